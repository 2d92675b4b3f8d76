"""Keras layers: those that respect an order of their inputs, and those that prepare values for them."""

from tfar.layers.masked_conv2d import MaskedConv2D
from tfar.layers.masked_dense import MaskedDense
from tfar.layers.standardization import Standardization

__all__ = ["MaskedConv2D", "MaskedDense", "Standardization"]
