"""Lossless compression of rows by a model, and copies of models that compute the same bits on every machine."""

from tfar.coding.codec import compress, decompress
from tfar.coding.freezing import freeze

__all__ = ["compress", "decompress", "freeze"]
