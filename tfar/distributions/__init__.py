"""Distributions: a network and a head as a `tfp.distributions.Distribution`."""

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.gated_pixel_cnn import GatedPixelCNN
from tfar.distributions.made import MADE
from tfar.distributions.nade import NADE
from tfar.distributions.pixel_cnn import PixelCNN

__all__ = ["MADE", "NADE", "Autoregressive", "GatedPixelCNN", "PixelCNN"]
