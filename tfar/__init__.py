"""Neural autoregressive density estimation on TensorFlow."""

from tfar import distributions, heads, layers, masks, networks, orders, random, samplers
from tfar.distributions import MADE, Autoregressive

__version__ = "0.1.0"

__all__ = [
    "MADE",
    "Autoregressive",
    "distributions",
    "heads",
    "layers",
    "masks",
    "networks",
    "orders",
    "random",
    "samplers",
]
