"""Pictures of images: samples, completions, what surprises, and what a pixel sees.

They need matplotlib: `pip install "tfar[plots]"`.
"""

from tfar.plots.fields import receptive_field
from tfar.plots.images import completions, image_grid, samples_over_training, surprise_map

__all__ = ["completions", "image_grid", "receptive_field", "samples_over_training", "surprise_map"]
