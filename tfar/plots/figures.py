"""Figures that do not use the global state of matplotlib, and mosaics of images."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar import files
from tfar.optional import require

INK, PAPER, PAGE, DRAWN, UNKNOWN = "#1f2a44", "#f4f1ea", "#ffffff", "#d1495b", "#dcd7cc"
TEXT = "#333333"
DPI = 160
TILE_INCHES = 0.62
GAP = 0.09
MARGIN = 0.18

Limits = tuple[float, float] | None
RGB = NDArray[np.float64]


def new_figure(width: float, height: float, title: str | None = None) -> Any:
    """Returns a figure of this size in inches, or wider if the title needs it.

    It uses the Agg backend and is not registered with pyplot.
    """
    require("matplotlib", "plots")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if title:
        width = max(width, text_width(title, 11, "bold") + 2 * MARGIN)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAGE)
    FigureCanvasAgg(figure)
    if title:
        write(figure, MARGIN, MARGIN + 0.08, title, fontsize=11, fontweight="bold", va="center")
    return figure


def finished(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    """Saves the figure if `path` is not None, and returns it. The file appears under its name when it is complete."""
    if path is not None:
        with files.replacing(path) as temporary:
            figure.savefig(temporary, format=os.fspath(path).rpartition(".")[2] or "png", dpi=DPI)
    return figure


def check_int(name: str, value: Any, low: int, high: float = math.inf) -> int:
    """Returns `value` as an int, or raises ValueError if it is not an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        limit = f"from {low} to {high}" if high < math.inf else f"of at least {low}"
        raise ValueError(f"Expected `{name}` to be an integer {limit}; received {value!r}.")
    return int(value)


def check_images(name: str, images: Any) -> NDArray[Any]:
    """Returns images `[N, H, W]` or `[N, H, W, 1 or 3]` as an array `[N, H, W, C]`, or raises ValueError."""
    images = np.asarray(images, np.float64)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            f"Expected `{name}` of shape [N, H, W], [N, H, W, 1] or [N, H, W, 3]; received {images.shape}."
        )
    return images


def check_limits(limits: Any) -> tuple[float, float]:
    """Returns two numbers, the lower one first, as floats, or raises ValueError."""
    pair = np.asarray(limits)
    if pair.shape != (2,) or not np.issubdtype(pair.dtype, np.number) or not pair[0] < pair[1]:
        raise ValueError(f"Expected `limits` to be two numbers, the lower one first; received {limits!r}.")
    return float(pair[0]), float(pair[1])


def levels(images: NDArray[Any], limits: Limits) -> NDArray[Any]:
    """Scales values to 0 … 1. The range is `limits`, or the range of the values, extended to include 0 and 1."""
    low, high = (
        (min(0.0, float(images.min())), max(1.0, float(images.max()))) if limits is None else check_limits(limits)
    )
    return np.clip((images - low) / max(high - low, 1e-12), 0.0, 1.0)


def paint(shades: NDArray[Any], ink: str = INK) -> RGB:
    """Returns RGB colours for values `[N, H, W, C]` in 0 … 1. A single channel is mapped to shades of `ink`."""
    if shades.shape[-1] == 3:
        return shades
    return rgb(PAPER) * (1.0 - shades) + rgb(ink) * shades


def rgb(color: str) -> RGB:
    """Returns a colour such as "#1f2a44" as three numbers in 0 … 1."""
    return np.array([int(color[i : i + 2], 16) / 255.0 for i in (1, 3, 5)])


def mosaic(tiles: RGB, columns: int) -> tuple[RGB, int, int]:
    """Arranges tiles `[N, H, W, 3]` in rows of `columns` tiles; also returns the distances of tiles down and across in pixels."""
    zoom = max(1, round(64 / max(tiles.shape[1:3])))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = tiles.shape
    gap = max(1, round(GAP * max(height, width)))
    rows = -(-count // columns)
    canvas = np.broadcast_to(rgb(PAGE), (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)).copy()
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = tile
    return canvas, height + gap, width + gap


def place(figure: Any, picture: RGB, left: float, top: float, width: float, height: float) -> Any:
    """Shows a picture on the figure and returns its axes. The position is in inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / total_width, 1.0 - (top + height) / total_height, width / total_width, height / total_height)
    )
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return axes


def text_width(text: str, fontsize: float = 9.0, fontweight: str = "normal") -> float:
    """Returns the width in inches of a line of text on a figure."""
    require("matplotlib", "plots")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    box = TextPath((0.0, 0.0), text, size=fontsize, prop=FontProperties(weight=fontweight)).get_extents()
    return float(box.x1) / 72.0


def write(figure: Any, x: float, y: float, text: str, **options: Any) -> None:
    """Writes text on the figure. The position is in inches from the upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1.0 - y / height, text, **{"color": TEXT, "fontsize": 9, **options})
