"""Keras layers that respect an order of their inputs."""

from tfar.layers.masked_conv2d import MaskedConv2D
from tfar.layers.masked_dense import MaskedDense

__all__ = ["MaskedConv2D", "MaskedDense"]
