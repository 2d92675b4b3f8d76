"""Plots of videos: frames in a grid, and animated GIFs."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar import files
from tfar.optional import require
from tfar.plots import figures
from tfar.plots.figures import Limits
from tfar.plots.images import Path, image_grid


def video_grid(
    videos: ArrayLike,
    path: Path = None,
    num_given: int | None = None,
    title: str | None = None,
    limits: Limits = None,
) -> Any:
    """Plots a row for each video, with its frames from left to right.

    Args:
        videos: array `[N, T, H, W]`, `[N, T, H, W, 1]` or `[N, T, H, W, 3]`.
        path: path of the picture to save, or None.
        num_given: int or None. Number of frames that were given; the frames after them, which were sampled, are plotted in red.
            None plots all frames alike.
        title: str or None.
        limits: as in `image_grid`.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the videos have another shape, or if an argument is invalid.

    Example:
        >>> video_grid(np.zeros([2, 5, 8, 8]), num_given=3).get_size_inches().round(1).tolist()
        [3.7, 1.7]
    """
    painted = _painted(videos, num_given, limits)
    return image_grid(painted.reshape([-1, *painted.shape[2:]]), path, columns=painted.shape[1], title=title)


def animation(
    videos: ArrayLike,
    path: str | os.PathLike[str],
    num_given: int | None = None,
    columns: int | None = None,
    frames_per_second: float = 5.0,
    limits: Limits = None,
) -> None:
    """Saves videos side by side as an animated GIF, which repeats without end.

    Args:
        videos, num_given, limits: as in `video_grid`.
        path: path of the file to save, whose name ends with .gif.
        columns: int or None. Number of videos in a row. None makes the grid about square.
        frames_per_second: float in (0, 50].

    Raises:
        ImportError: If matplotlib, which brings Pillow, is not installed.
        ValueError: If the videos have another shape, or if an argument is invalid.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "videos.gif"
        >>> animation(np.zeros([2, 5, 8, 8]), path)
        >>> path.read_bytes()[:6]
        b'GIF89a'
    """
    if not os.fspath(path).lower().endswith(".gif"):
        raise ValueError(f"Expected `path` to end with .gif; received {os.fspath(path)!r}.")
    if not 0.0 < frames_per_second <= 50.0:
        raise ValueError(f"Expected `frames_per_second` in (0, 50]; received {frames_per_second!r}.")
    painted = _painted(videos, num_given, limits)
    across = math.ceil(math.sqrt(len(painted))) if columns is None else figures.check_int("columns", columns, 1)
    image = require("PIL.Image", "plots")
    mosaics = [figures.mosaic(painted[:, t], across)[0] for t in range(painted.shape[1])]
    first, *others = [image.fromarray(np.uint8(np.rint(255.0 * mosaic))) for mosaic in mosaics]
    milliseconds = round(1000.0 / frames_per_second)
    with files.replacing(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)


def _painted(videos: ArrayLike, num_given: int | None, limits: Limits) -> NDArray[Any]:
    """Returns the colours of videos, `[N, T, H, W, 3]` in 0 … 1; those of sampled frames are shades of red."""
    array = np.asarray(videos, np.float64)
    array = array[..., None] if array.ndim == 4 else array
    if array.ndim != 5 or array.shape[-1] not in (1, 3) or not array.size:
        raise ValueError(
            f"Expected `videos` of shape [N, T, H, W], [N, T, H, W, 1] or [N, T, H, W, 3]; received {np.shape(videos)}."
        )
    num_frames = array.shape[1]
    num_given = num_frames if num_given is None else figures.check_int("num_given", num_given, 0, num_frames)
    shades = figures.levels(array, limits)
    given, sampled = (figures.paint(shades, ink) for ink in (figures.INK, figures.DRAWN))
    return np.concatenate([given[:, :num_given], sampled[:, num_given:]], axis=1)
