"""Keras layers that respect an order of their inputs, and a layer that standardises inputs."""

from tfar.layers.gated_residual import GatedResidualBlock
from tfar.layers.masked_conv2d import MaskedConv2D
from tfar.layers.masked_dense import MaskedDense
from tfar.layers.shifted_conv2d import ShiftedConv2D
from tfar.layers.shifted_conv2d_transpose import ShiftedConv2DTranspose
from tfar.layers.standardization import Standardization

__all__ = [
    "GatedResidualBlock",
    "MaskedConv2D",
    "MaskedDense",
    "ShiftedConv2D",
    "ShiftedConv2DTranspose",
    "Standardization",
]
