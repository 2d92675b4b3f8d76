"""Distributions: a network and a head as a `tfp.distributions.Distribution`."""

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.made import MADE
from tfar.distributions.nade import NADE
from tfar.distributions.pixel_cnn_plus_plus import PixelCNNPlusPlus

__all__ = ["MADE", "NADE", "Autoregressive", "PixelCNNPlusPlus"]
