"""Plots of receptive fields."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.plots import figures
from tfar.plots.figures import MARGIN

LATER, SEEN, UNSEEN, ITSELF = range(4)
# The colours also differ in lightness, for readers who cannot distinguish the hues. The pixel itself is marked with a cross.
COLORS = {SEEN: figures.INK, UNSEEN: "#eda63a", LATER: figures.UNKNOWN, ITSELF: figures.DRAWN}
WORDS = {SEEN: "in the receptive field", UNSEEN: "earlier, but outside", LATER: "later", ITSELF: "the pixel"}
PANEL_INCHES, HEADING_INCHES, LINE_INCHES, SWATCH_INCHES = 2.6, 0.26, 0.24, 0.14


def receptive_field(
    of: Any,
    row: int,
    column: int,
    channel: int = 0,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
) -> Any:
    """Plots the receptive field of a pixel: the earlier pixels that the parameters of the pixel depend on.

    A pixel x_j is earlier than x_i if j < i in raster order. An earlier pixel outside the receptive field is in a blind spot of
    the network, or too far away for its number of layers.

    Args:
        of: a distribution with a method `receptive_field(row, column, channel)`, such as PixelCNN; or a bool array `[H, W]` or
            `[H, W, C]` that is True inside the receptive field; or a dict from headings to these, plotted side by side. Each
            channel has its own panel, whose heading counts the earlier pixels inside the receptive field.
        row: int. Row of the pixel.
        column: int. Column of the pixel.
        channel: int. Channel of the pixel.
        path: path of the picture to save, or None.
        title: str or None.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the pixel does not exist, or if a receptive field has another shape or holds the pixel or a later one.

    Example:
        >>> dist = tfar.PixelCNN([6, 6], filters=4, num_blocks=2, first_kernel_size=3)
        >>> figure = receptive_field({"PixelCNN": dist}, row=3, column=2)
        >>> [text.get_text() for text in figure.texts][:3]
        ['PixelCNN: 17 of 20', 'in the receptive field', 'earlier, but outside']
    """
    fields = dict(of) if isinstance(of, Mapping) else {"": of}
    if not fields:
        raise ValueError("Expected at least one distribution or array; received an empty dict.")
    maps = {name: _map(field, row, column, channel) for name, field in fields.items()}
    panels: list[tuple[str, NDArray[np.int64]]] = []
    for name, seen in maps.items():
        kinds = classify(seen, row, column, channel)
        for c in range(kinds.shape[2]):
            label = ", ".join(part for part in (name, f"channel {c}" if kinds.shape[2] > 1 else "") if part)
            inside, outside = (int(np.sum(kinds[..., c] == kind)) for kind in (SEEN, UNSEEN))
            heading = f"{label}{': ' if label else ''}{inside} of {inside + outside}"
            panels.append((heading, kinds[..., c]))
    return figures.finished(_draw(panels, title), path)


def classify(seen: NDArray[np.bool_], row: int, column: int, channel: int = 0) -> NDArray[np.int64]:
    """Classifies each value of a map `[H, W, C]`, True in the receptive field of a value: `LATER`, `SEEN`, `UNSEEN`, `ITSELF`.

    Raises:
        ValueError: If the receptive field holds the value itself or a later one.

    Example:
        >>> classify(np.array([[[True], [False]], [[True], [False]]]), 1, 1)[..., 0]
        array([[1, 2],
               [1, 3]])
    """
    order = np.arange(seen.size).reshape(seen.shape)
    place = order[row, column, channel]
    too_late = int(np.sum(seen & (order >= place)))
    if too_late:
        raise ValueError(
            f"Expected the receptive field of row {row}, column {column}, channel {channel} to hold only values that are earlier "
            f"in raster order; received {too_late} other values."
        )
    kinds = np.where(order > place, LATER, np.where(seen, SEEN, UNSEEN))
    kinds[row, column, channel] = ITSELF
    return kinds


def _map(of: Any, row: int, column: int, channel: int) -> NDArray[np.bool_]:
    """Returns the receptive field as a bool array `[H, W, C]`."""
    from_dist = getattr(of, "receptive_field", None)
    seen = np.asarray(of if from_dist is None else from_dist(row, column, channel))
    if seen.dtype != bool or seen.ndim not in (2, 3) or not seen.size:
        raise ValueError(
            "Expected a distribution with `receptive_field` or a bool array of shape [H, W] or [H, W, C]; received "
            f"{type(of).__name__}, {seen.dtype} of shape {seen.shape}."
        )
    seen = seen.reshape([*seen.shape[:2], -1])
    for name, value, size in zip(("row", "column", "channel"), (row, column, channel), seen.shape, strict=True):
        figures.check_int(name, value, 0, size - 1)
    return seen


def _draw(panels: list[tuple[str, NDArray[np.int64]]], title: str | None) -> Any:
    found = {kind for _, kinds in panels for kind in np.unique(kinds)}
    legend = [kind for kind in WORDS if kind in found]
    sizes = [(PANEL_INCHES * np.array(k.shape[::-1]) / max(k.shape)).tolist() for _, k in panels]
    widths = [max(size[0], figures.text_width(text)) for (text, _), size in zip(panels, sizes, strict=True)]
    width = max(sum(widths) + 2 * MARGIN * (len(panels) - 1), figures.text_width(title or "", 11, "bold"), 2.4)
    lines = _wrap(legend, width)
    top = MARGIN + HEADING_INCHES * (2 if title else 1)
    height = top + max(size[1] for size in sizes)
    figure = figures.new_figure(width + 2 * MARGIN, height + 0.12 + LINE_INCHES * len(lines) + MARGIN, title)
    left = MARGIN
    for (text, kinds), size, step in zip(panels, sizes, widths, strict=True):
        figures.write(figure, left, top - 0.08, text, va="bottom")
        _panel(figure, kinds, left, top, *size)
        left += step + 2 * MARGIN
    for number, line in enumerate(lines):
        _legend_line(figure, line, height + 0.12 + LINE_INCHES * (number + 0.5))
    return figure


def _panel(figure: Any, kinds: NDArray[np.int64], left: float, top: float, width: float, height: float) -> None:
    """Plots one channel, with lines between the pixels of small images."""
    colors = np.stack([figures.rgb(COLORS[kind]) for kind in range(len(COLORS))])
    axes = figures.place(figure, colors[kinds], left, top, width, height)
    rows, columns = kinds.shape
    if max(kinds.shape) <= 64:
        line = {"colors": figures.PAGE, "linewidth": 0.8 if max(kinds.shape) <= 20 else 0.5}
        axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, **line)
        axes.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, **line)
    for y, x in np.argwhere(kinds == ITSELF):
        _cross(axes, x, y, 72.0 * width / columns)


def _cross(axes: Any, x: float, y: float, points: float) -> None:
    """Plots a white cross on a cell of `points` points."""
    size = min(0.5 * points, 6.0)
    axes.plot([x], [y], "x", color=figures.PAGE, markersize=size, markeredgewidth=max(0.25 * size, 0.7))


def _wrap(legend: list[int], width: float) -> list[list[int]]:
    """Distributes the entries of the legend over lines of at most `width` inches."""
    lines: list[list[int]] = []
    used = width
    for kind in legend:
        needed = _entry_width(kind)
        if lines and used + needed - 2 * SWATCH_INCHES <= width:
            lines[-1].append(kind)
            used += needed
        else:
            lines.append([kind])
            used = needed
    return lines


def _entry_width(kind: int) -> float:
    """Returns the width in inches of a swatch, its label and the space after it."""
    return 1.5 * SWATCH_INCHES + figures.text_width(WORDS[kind]) + 2 * SWATCH_INCHES


def _legend_line(figure: Any, line: list[int], middle: float) -> None:
    left = MARGIN
    for kind in line:
        swatch = figures.place(
            figure,
            figures.rgb(COLORS[kind])[None, None],
            left,
            middle - SWATCH_INCHES / 2,
            SWATCH_INCHES,
            SWATCH_INCHES,
        )
        if kind == ITSELF:
            _cross(swatch, 0, 0, 72.0 * SWATCH_INCHES)
        figures.write(figure, left + 1.5 * SWATCH_INCHES, middle, WORDS[kind], va="center_baseline")
        left += _entry_width(kind)
