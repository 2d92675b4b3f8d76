"""Bounds on the sums of layers, over all inputs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.networks.inputs import SiteEncoding

Numbers = NDArray[np.float64]


class Sums(NamedTuple):
    """What the sums of units can be.

    Attributes:
        size: float64 `[units]`. The largest absolute value of the sum of any part of the terms.
        highest: float64 `[units]`. The largest value of the sum of any part of the terms, at least 0.
    """

    size: Numbers
    highest: Numbers

    def plus(self, other: "Sums") -> "Sums":
        """Returns the bounds of the sums of two layers."""
        return Sums(self.size + other.size, self.highest + other.highest)

    def plus_constant(self, largest: float) -> "Sums":
        """Returns the bounds after the addition of a number from 0 to `largest`."""
        return Sums(self.size + largest, self.highest + largest)

    def rounded(self, activation: Any) -> Numbers:
        """Returns the largest absolute value of each unit after `RoundedReLU.signed`."""
        return np.asarray(activation.signed(tf.constant(self.size, tf.float32)), np.float64)

    def activated(self, activation: Callable[[tf.Tensor], tf.Tensor]) -> Numbers:
        """Returns the largest value of each unit after an activation that does not decrease and is at least 0."""
        return np.asarray(activation(tf.constant(self.highest, tf.float32)), np.float64)


def check_bits(encoding: SiteEncoding) -> None:
    """Raises ValueError unless the inputs of sites are zeros and ones, for sites of whole numbers."""
    if encoding.num_classes and encoding.num_classes > 2 and not encoding.one_hot:
        raise ValueError("Expected bits or one-hot inputs (one_hot_inputs=True); received classes scaled to -1 .. 1.")


def sums_of(
    values: Numbers, layer: Any, others: Sequence[NDArray] = (), group_size: int = 1, *, signed: bool = False
) -> Sums:
    """Bounds the sums of a dense layer or a convolution, for inputs from 0 to a largest value each.

    Args:
        values: `[channels / group_size]`. The largest value of the inputs of a group, of which only one is not zero.
        layer: a layer with a masked `kernel`, `[..., channels, units]`, and perhaps a `bias`.
        others: kernels `[n, units]` of further inputs, from 0 to 1.
        group_size: int. Number of inputs of a group.
        signed: bool. Whether the inputs may also be negative, with `values` as their largest absolute values.
    """
    kernel = np.asarray(layer.kernel, np.float64)
    units = kernel.shape[-1]
    by_group = kernel.reshape(-1, len(values), group_size, units)  # the first axis holds the taps of a convolution
    constant = [np.asarray(other, np.float64).reshape(-1, units) for other in others]
    if getattr(layer, "use_connectivity_kernel", False):
        constant.append(np.asarray(layer.masked_connectivity, np.float64))
    if layer.bias is not None:
        constant.append(np.asarray(layer.bias, np.float64)[None])

    def bound(part: Callable[[Numbers], Numbers]) -> Numbers:
        """Returns the sums of the largest terms, where `part` maps weights to their absolute values or positive parts."""
        of_inputs = values @ part(by_group).max(axis=2).sum(axis=0)
        return of_inputs + sum((part(weights).sum(axis=0) for weights in constant), np.zeros(units))

    return Sums(bound(np.abs), bound(np.abs if signed else lambda weights: np.maximum(weights, 0.0)))
