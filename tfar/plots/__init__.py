"""Pictures of images: samples, completions, and what surprises. Needs matplotlib: `pip install "tfar[plots]"`."""

from tfar.plots.images import completions, image_grid, surprise_map

__all__ = ["completions", "image_grid", "surprise_map"]
