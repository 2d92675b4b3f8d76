"""Neural autoregressive density estimation on TensorFlow."""

from tfar import distributions, heads, layers, masks, networks, orders, random, samplers, testing, training
from tfar.distributions import MADE, Autoregressive
from tfar.training import load

__version__ = "0.1.0"

__all__ = [
    "MADE",
    "Autoregressive",
    "distributions",
    "heads",
    "layers",
    "load",
    "masks",
    "networks",
    "orders",
    "random",
    "samplers",
    "testing",
    "training",
]
