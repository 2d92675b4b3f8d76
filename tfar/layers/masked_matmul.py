"""Matrix product with a kernel that is masked by degrees."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# With sorted degrees, each quarter of the units uses only a leading part of the inputs, which saves 3/8 of the work if
# the degrees are evenly spread. More slices save little more.
NUM_SLICES = 4
# Smaller kernels are multiplied in one call, because the overhead of four calls exceeds the saving.
MIN_WEIGHTS = 2**16


def masked(weights: tf.Tensor, in_degrees: Any, out_degrees: Any, *, strict: bool) -> tf.Tensor:
    """Sets the weights `[N, M]` between an input and a unit to zero unless their degrees allow the connection.

    Degrees are `[N]` and `[M]`, or `[B, N]` and `[B, M]` for a mask per row, with a result `[B, N, M]`. A connection needs
    `in_degree < out_degree` if `strict`, else `in_degree <= out_degree`.
    """
    left = tf.cast(in_degrees, tf.int32)[..., :, None]
    right = tf.cast(out_degrees, tf.int32)[..., None, :]
    return tf.where(left < right if strict else left <= right, weights, tf.zeros([], weights.dtype))


def masked_matmul(
    inputs: tf.Tensor, kernel: tf.Tensor, in_degrees: NDArray[np.int32], out_degrees: NDArray[np.int32], *, strict: bool
) -> tf.Tensor:
    """Computes `inputs @ masked(kernel)`, `[..., M]`, for degrees that are known in advance.

    If the degrees are sorted and the kernel is large, the units are split into slices of equal size, and each slice is
    multiplied only with the inputs that its last unit is connected to. The result is the same.
    """
    slices = _slices(in_degrees, out_degrees, strict)
    if len(slices) == 1:
        return tf.matmul(inputs, masked(kernel, in_degrees, out_degrees, strict=strict))

    # The gradient of the kernel is computed as one product, because gradients of slices would be padded to the size of
    # the kernel and summed.
    @tf.custom_gradient
    def product(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            whole = masked(kernel, in_degrees, out_degrees, strict=strict)
            d_kernel = tf.matmul(x, upstream, transpose_a=True)
            return tf.matmul(upstream, whole, transpose_b=True), masked(
                d_kernel, in_degrees, out_degrees, strict=strict
            )

        outputs = []
        for end, units in slices:
            part = masked(kernel[:end, units], in_degrees[:end], out_degrees[units], strict=strict)
            outputs.append(tf.matmul(x[:, :end], part))
        return tf.concat(outputs, axis=1), gradient

    outputs = product(tf.reshape(inputs, [-1, len(in_degrees)]), kernel)
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [len(out_degrees)]], 0))


def _slices(in_degrees: NDArray[np.int32], out_degrees: NDArray[np.int32], strict: bool) -> list[tuple[int, slice]]:
    """Returns the slices of the units and the number of inputs that each needs; one slice if slicing saves nothing."""
    num_inputs, num_units = len(in_degrees), len(out_degrees)
    is_sorted = np.all(np.diff(in_degrees) >= 0) and np.all(np.diff(out_degrees) >= 0)
    if num_inputs * num_units < MIN_WEIGHTS or num_units < NUM_SLICES or not is_sorted:
        return [(num_inputs, slice(0, num_units))]
    edges = [num_units * i // NUM_SLICES for i in range(NUM_SLICES + 1)]
    ends = np.searchsorted(in_degrees, out_degrees[np.array(edges[1:]) - 1], "left" if strict else "right")
    return [(int(end), slice(*edges[i : i + 2])) for i, end in enumerate(ends)]
