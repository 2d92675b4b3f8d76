"""Neural autoregressive density estimation on TensorFlow."""

__version__ = "0.1.0"
