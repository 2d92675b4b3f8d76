"""Plots of images and signals: samples, completions, log-likelihoods of pixels, receptive fields, and spectrograms.

They require matplotlib: `pip install "tfar[plots]"`.
"""

from tfar.plots.audio import waveforms
from tfar.plots.fields import receptive_field
from tfar.plots.images import completions, image_grid, samples_over_training, scales, surprise_map

__all__ = [
    "completions",
    "image_grid",
    "receptive_field",
    "samples_over_training",
    "scales",
    "surprise_map",
    "waveforms",
]
