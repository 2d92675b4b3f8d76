"""Plots of images, videos and signals: samples, completions, log-likelihoods of pixels, receptive fields, and spectrograms.

They require matplotlib: `pip install "tfar[plots]"`.
"""

from tfar.plots.audio import waveforms
from tfar.plots.fields import receptive_field
from tfar.plots.images import completions, image_grid, samples_over_training, scales, surprise_map
from tfar.plots.videos import animation, video_grid

__all__ = [
    "animation",
    "completions",
    "image_grid",
    "receptive_field",
    "samples_over_training",
    "scales",
    "surprise_map",
    "video_grid",
    "waveforms",
]
