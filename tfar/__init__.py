"""Neural autoregressive density estimation on TensorFlow."""

from tfar import data, distributions, heads, layers, masks, networks, orders, random, samplers, training
from tfar.distributions import MADE, Autoregressive
from tfar.training import load

__version__ = "0.1.0"

__all__ = [
    "MADE",
    "Autoregressive",
    "data",
    "distributions",
    "heads",
    "layers",
    "load",
    "masks",
    "networks",
    "orders",
    "random",
    "samplers",
    "training",
]
