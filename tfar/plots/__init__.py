"""Plots for image models: samples, completions, log-likelihoods of pixels, and receptive fields.

They require matplotlib: `pip install "tfar[plots]"`.
"""

from tfar.plots.fields import receptive_field
from tfar.plots.images import completions, image_grid, samples_over_training, surprise_map

__all__ = ["completions", "image_grid", "receptive_field", "samples_over_training", "surprise_map"]
