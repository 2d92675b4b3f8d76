"""The functions between the sums of a network of gates: as the papers write them, and on the grid of a frozen model."""

import math

import numpy as np

Array = np.ndarray


class Plain:
    """No rounding."""

    def relu(self, features: Array) -> Array:
        return np.maximum(features, 0.0)

    def signed(self, features: Array) -> Array:
        return features

    def gate(self, a: float, b: float) -> float:
        return math.tanh(a) / (1.0 + math.exp(-b))


PLAIN = Plain()


class Grid(Plain):
    """Multiples of `2**-bits`, cut to the largest one that `largest` holds; halves are rounded to even numbers."""

    def __init__(self, bits: int, largest: float | None) -> None:
        self.scale = 2.0**bits
        self.largest = np.inf if largest is None else np.floor(largest * self.scale) / self.scale

    def relu(self, features: Array) -> Array:
        return self.signed(np.maximum(features, 0.0))

    def signed(self, features: Array) -> Array:
        return self._nearest(np.clip(features, -self.largest, self.largest))

    def gate(self, a: float, b: float) -> float:
        a, b = self._nearest(a), self._nearest(b)
        return self._nearest(self._nearest(math.tanh(a)) * self._nearest(1.0 / (1.0 + math.exp(-b))))

    def _nearest(self, x):
        return np.rint(x * self.scale) / self.scale
