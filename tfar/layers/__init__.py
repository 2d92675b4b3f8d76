"""Keras layers: those that respect an order of their inputs, and those that prepare values for them."""

from tfar.layers.masked_dense import MaskedDense
from tfar.layers.standardization import Standardization

__all__ = ["MaskedDense", "Standardization"]
