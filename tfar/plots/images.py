"""Plots of images: grids, samples during training, completions, and log-likelihoods of pixels."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar.optional import require
from tfar.plots import figures
from tfar.plots.figures import MARGIN, TILE_INCHES, Limits

Path = str | os.PathLike[str] | None
HEADING = 0.26


def image_grid(
    images: ArrayLike | Mapping[str, ArrayLike],
    path: Path = None,
    columns: int | None = None,
    title: str | None = None,
    limits: Limits = None,
) -> Any:
    """Plots images in a grid. Several groups of images are plotted side by side.

    Args:
        images: array `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`, or a dict from headings to such arrays.
        path: path of the picture to save, or None.
        columns: int or None. Number of images in a row of a group. None makes the grid about square.
        title: str or None.
        limits: pair of float or None. The values that are plotted as the lightest and the darkest shade, or with three channels
            as black and full colour. None is (0, 1), extended to include all values.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the images have another shape, or if an argument is invalid.

    Example:
        >>> image_grid(np.eye(8)[None].repeat(6, 0)).get_size_inches().round(1).tolist()
        [2.3, 1.7]
    """
    groups = dict(images) if isinstance(images, Mapping) else {"": images}
    if not groups:
        raise ValueError("Expected at least one group of images; received an empty dict.")
    panels = {}
    for name, group in groups.items():
        array = figures.check_images("images", group)
        across = math.ceil(math.sqrt(len(array))) if columns is None else figures.check_int("columns", columns, 1)
        panels[name] = (
            figures.mosaic(figures.paint(figures.levels(array, limits)), across)[0],
            array.shape[1:3],
            across,
        )
    sizes = {name: _inches(*panel) for name, panel in panels.items()}
    heading = (HEADING if title else 0.0) + (HEADING if any(panels) else 0.0)
    width = sum(w for w, _ in sizes.values()) + MARGIN * (2 + 2 * (len(sizes) - 1))
    figure = figures.new_figure(width, max(h for _, h in sizes.values()) + 2 * MARGIN + heading, title)
    left = MARGIN
    for name, (picture, _, _) in panels.items():
        figures.write(figure, left, MARGIN + heading - 0.08, name, va="bottom")
        figures.place(figure, picture, left, MARGIN + heading, *sizes[name])
        left += sizes[name][0] + 2 * MARGIN
    return figures.finished(figure, path)


def completions(
    original: ArrayLike,
    observed: ArrayLike,
    completed: ArrayLike,
    path: Path = None,
    title: str | None = None,
    limits: Limits = None,
) -> Any:
    """Plots a column for each image: the original, its observed part, and its completions with the sampled part in red.

    Args:
        original: array `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`.
        observed: bool array that broadcasts to the shape of `original`.
        completed: array of the shape of `original`, or `[S, N, H, W, ...]` for S completions of each image.
        path: path of the picture to save, or None.
        title: str or None.
        limits: as in `image_grid`.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the shapes do not match.
    """
    plain = np.shape(original)
    images = figures.check_images("original", original)
    drawn = np.asarray(completed, np.float64)
    drawn = drawn[None] if drawn.shape == plain else drawn
    if drawn.shape[1:] != plain:
        raise ValueError(f"Expected `completed` of shape {plain} or [S, *{plain}]; received {np.shape(completed)}.")
    try:
        observed = np.broadcast_to(np.asarray(observed, bool), plain)
    except ValueError as error:
        raise ValueError(
            f"Expected `observed` to broadcast to shape {plain}; received shape {np.shape(observed)}."
        ) from error
    known = observed.reshape(images.shape).all(axis=-1, keepdims=True)
    together = np.concatenate([images[None], drawn.reshape([-1, *images.shape])])
    shades = figures.levels(together, limits)
    rows = [figures.paint(shades[0]), np.where(known, figures.paint(shades[0]), figures.rgb(figures.UNKNOWN))]
    rows += [np.where(known, figures.paint(s), figures.paint(s, figures.DRAWN)) for s in shades[1:]]
    labels = ["original", "observed", *(["completed"] + [""] * (len(rows) - 3))]
    return figures.finished(_labelled_rows(rows, labels, title, images.shape[1:3]), path)


def samples_over_training(
    samples: Mapping[int | str, ArrayLike], path: Path = None, title: str | None = None, limits: Limits = None
) -> Any:
    """Plots a row of samples for each epoch. If all are drawn with the same seed, a column shows how one sample develops.

    `tfar.training.SampleHistory` collects such samples in `fit`.

    Args:
        samples: dict from the number of finished epochs to images `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`. A key that is a
            str is used as the label of its row, for example for test images.
        path: path of the picture to save, or None.
        title: str or None.
        limits: as in `image_grid`, for all rows together.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no rows, or if their shapes differ or are not those of images.

    Example:
        >>> figure = samples_over_training({0: np.ones([5, 8, 8]), 10: np.eye(8)[None].repeat(5, 0), "real": np.zeros([5, 8, 8])})
        >>> [text.get_text() for text in figure.texts]
        ['epoch 0', 'epoch 10', 'real']
    """
    if not isinstance(samples, Mapping):
        raise ValueError(f"Expected `samples` to be a dict from epochs to images; received {type(samples).__name__}.")
    rows = {
        key if isinstance(key, str) else f"epoch {key}": figures.check_images("samples", x)
        for key, x in samples.items()
    }
    shapes = {row.shape for row in rows.values()}
    if len(shapes) != 1:
        found = {label: row.shape for label, row in rows.items()}
        raise ValueError(f"Expected `samples` with at least one row and rows of the same shape; received {found}.")
    shades = figures.levels(np.stack(list(rows.values())), limits)
    painted = [figures.paint(shade) for shade in shades]
    return figures.finished(_labelled_rows(painted, list(rows), title, shades.shape[2:4]), path)


def scales(
    images: ArrayLike, num_scales: int, path: Path = None, title: str | None = None, limits: Limits = None
) -> Any:
    """Plots a row for each size of a picture that grows by doubling, as samples of `tfar.MultiscalePixelCNN` do.

    The smallest picture is the subsample `images[:, ::2**num_scales, ::2**num_scales]`. All are shown at the same size.

    Args:
        images: array `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`.
        num_scales: int. How many times the picture doubles its height and width.
        path: path of the picture to save, or None.
        title: str or None.
        limits: as in `image_grid`.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the images have another shape, or the height or width is not a multiple of 2**num_scales.

    Example:
        >>> figure = scales(np.eye(8)[None], num_scales=2)
        >>> [text.get_text() for text in figure.texts]
        ['2 x 2', '4 x 4', '8 x 8']
    """
    array = figures.levels(figures.check_images("images", images), limits)
    height, width = array.shape[1:3]
    largest = 2 ** figures.check_int("num_scales", num_scales, 0)
    if height % largest or width % largest:
        raise ValueError(
            f"Expected images whose height and width are multiples of 2**num_scales = {largest}; received {height} x {width}."
        )
    rows, labels = [], []
    for stride in (2**scale for scale in range(num_scales, -1, -1)):
        enlarged = np.repeat(np.repeat(array[:, ::stride, ::stride], stride, axis=1), stride, axis=2)
        rows.append(figures.paint(enlarged))
        labels.append(f"{height // stride} x {width // stride}")
    return figures.finished(_labelled_rows(rows, labels, title, (height, width)), path)


def _labelled_rows(rows: list[NDArray[Any]], labels: list[str], title: str | None, shape: tuple[int, ...]) -> Any:
    columns = len(rows[0])
    picture, step, _ = figures.mosaic(np.concatenate(rows), columns)
    width, height = _inches(picture, shape, columns)
    label, heading = max(0.85, 0.15 + max(map(figures.text_width, labels))), HEADING if title else 0.0
    figure = figures.new_figure(width + label + 2 * MARGIN, height + 2 * MARGIN + heading, title)
    figures.place(figure, picture, MARGIN + label, MARGIN + heading, width, height)
    for i, text in enumerate(labels):
        middle = MARGIN + heading + (i + 0.47) * step * height / len(picture)
        figures.write(figure, MARGIN + label - 0.12, middle, text, ha="right", va="center")
    return figure


def surprise_map(
    images: ArrayLike,
    site_log_probs: ArrayLike,
    path: Path = None,
    columns: int = 4,
    title: str | None = None,
    limits: Limits = None,
) -> Any:
    """Plots each image beside the negative log-likelihood of its pixels, in nats.

    Args:
        images: array `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`.
        site_log_probs: array `[N, num_sites]`, the result of `dist.site_log_probs(images)`. The values of the channels of a
            pixel are added.
        path: path of the picture to save, or None.
        columns: int. Number of pairs in a row.
        title: str or None.
        limits: as in `image_grid`.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the sites are neither the pixels nor the channels of the pixels.
    """
    matplotlib = require("matplotlib", "plots")
    array = figures.check_images("images", images)
    count, height, width, _ = array.shape
    surprise = -np.asarray(site_log_probs, np.float64)
    if surprise.shape[:1] != (count,) or surprise.size % (count * height * width):
        raise ValueError(
            f"Expected `site_log_probs` of shape [{count}, {height * width}] for {count} images of {height} x {width} pixels, or "
            f"of shape [{count}, {height * width} * channels]; received {surprise.shape}."
        )
    surprise = surprise.reshape([count, height, width, -1]).sum(axis=-1)
    top = max(float(np.quantile(surprise, 0.998)), 1e-6)
    heat = matplotlib.colormaps["magma"](np.clip(surprise / top, 0.0, 1.0))[..., :3]
    pairs = np.stack([figures.paint(figures.levels(array, limits)), heat], axis=1).reshape([-1, height, width, 3])
    columns = min(figures.check_int("columns", columns, 1), count)
    picture, _, _ = figures.mosaic(pairs, 2 * columns)
    return figures.finished(_with_scale(picture, (height, width), 2 * columns, top, title), path)


def _with_scale(picture: NDArray[Any], shape: tuple[int, int], columns: int, top: float, title: str | None) -> Any:
    width, height = _inches(picture, shape, columns)
    heading, scale = HEADING if title else 0.0, 0.75
    figure = figures.new_figure(width + scale + 2 * MARGIN, height + 2 * MARGIN + heading, title)
    figures.place(figure, picture, MARGIN, MARGIN + heading, width, height)
    ramp = require("matplotlib", "plots").colormaps["magma"](np.linspace(1.0, 0.0, 256))[:, None, :3]
    axes = figures.place(figure, ramp, width + 2 * MARGIN, MARGIN + heading, 0.12, height)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([0, 255], [f"{top:.1f}", "0"], fontsize=8, color=figures.TEXT)
    axes.yaxis.tick_right()
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_visible(False)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("-log p, nats", fontsize=8, color=figures.TEXT, labelpad=-6)
    return figure


def _inches(picture: NDArray[Any], shape: tuple[int, ...], columns: int) -> tuple[float, float]:
    """Returns the width and the height in inches of a mosaic. Images above 40 pixels are shown larger than small ones."""
    tile = TILE_INCHES * max(1.0, max(shape) / 40.0)
    inches = tile * shape[1] / max(shape) * (columns * (1.0 + figures.GAP) - figures.GAP)
    return inches, inches * picture.shape[0] / picture.shape[1]
