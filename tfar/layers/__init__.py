"""Keras layers that respect an order of their inputs."""

from tfar.layers.gated_residual import GatedResidualBlock
from tfar.layers.masked_dense import MaskedDense
from tfar.layers.shifted_conv2d import ShiftedConv2D
from tfar.layers.shifted_conv2d_transpose import ShiftedConv2DTranspose

__all__ = ["GatedResidualBlock", "MaskedDense", "ShiftedConv2D", "ShiftedConv2DTranspose"]
