"""Helpers of the plot tests: reading pictures, and positions of texts."""

from pathlib import Path
from typing import Any

import numpy as np


def pixels(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)


def assert_picture(path: Path) -> None:
    picture = pixels(path)
    assert min(picture.shape[:2]) > 60
    assert len(np.unique(picture.reshape([-1, picture.shape[-1]]), axis=0)) >= 3
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


def assert_inside(figure: Any) -> None:
    """Checks that every text is completely inside the figure."""
    width, height = figure.bbox.size
    renderer = figure.canvas.get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
