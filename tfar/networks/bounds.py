"""Bounds on the sums of layers, over all inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def largest_sum(
    values: NDArray, layer: Any, others: Sequence[Any] = (), group_size: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds the sums of a dense layer, for inputs from 0 to a largest value each.

    Args:
        values: `[inputs / group_size]`. The largest value of the inputs of a group, of which only one is not zero.
        layer: a `MaskedDense` layer.
        others: kernels `[n, units]` of further inputs, from 0 to 1.
        group_size: int. Number of inputs of a group.

    Returns:
        The largest absolute value of the sum of any part of the terms, and the largest sum of all terms, both `[units]`.
    """
    kernel = np.asarray(layer.kernel, np.float64)
    kernel = kernel.reshape(len(values), group_size, -1)
    constant = [np.asarray(other, np.float64) for other in others]
    if layer.use_connectivity_kernel:
        constant.append(np.asarray(layer.masked_connectivity, np.float64))
    if layer.bias is not None:
        constant.append(np.asarray(layer.bias, np.float64)[None])
    size = values @ np.abs(kernel).max(axis=1) + sum(np.abs(part).sum(axis=0) for part in constant)
    highest = values @ np.maximum(kernel, 0.0).max(axis=1) + sum(np.maximum(part, 0.0).sum(axis=0) for part in constant)
    return size, highest
