"""Keras layers that respect an order of their inputs."""

from tfar.layers.masked_dense import MaskedDense

__all__ = ["MaskedDense"]
