"""Product with a masked kernel that skips the blocks which the mask leaves empty.

If the degrees of inputs and units are sorted, the mask is a staircase: a block of units sees a prefix of the inputs, and a
block of inputs is seen by a suffix of the units. A few blocks of units do little more than half the work of the full product,
and mask little more than half of the kernel; two blocks of inputs do three quarters.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Of units in the product, and of inputs in its gradient: the numbers that kept two threads busiest at 784-500 and 784-500-500.
# XLA shares blocks out, and a single product badly. The gradient of the kernel is a single one: it gained nothing from blocks.
UNIT_BLOCKS, INPUT_BLOCKS = 6, 2
# Below this number of weights the full product is as fast.
SMALLEST = 2**16


class Block(NamedTuple):
    """A part of the kernel, of which the mask leaves something."""

    inputs: slice
    units: slice
    in_degrees: np.ndarray
    out_degrees: np.ndarray
    strict: bool

    def masked(self, weights: tf.Tensor) -> tf.Tensor:
        """`weights` of the block's own shape, with zeros where the mask is zero.

        The mask is computed from the degrees, in the loop that reads the weights: a stored one would be read too.
        """
        left, right = tf.constant(self.in_degrees)[:, None], tf.constant(self.out_degrees)[None, :]
        return tf.where(left < right if self.strict else left <= right, weights, tf.zeros_like(weights))

    def masked_part(self, kernel: tf.Tensor) -> tf.Tensor:
        """The block of the masked kernel."""
        return self.masked(kernel[self.inputs, self.units])


class Staircase(NamedTuple):
    """A kernel's mask in blocks.

    Args:
        by_units: blocks of neighbouring units, each with the prefix of the inputs that one of them sees.
        by_inputs: blocks of neighbouring inputs, each with the suffix of the units that see one of them.
        whole: the whole kernel.
    """

    by_units: list[Block]
    by_inputs: list[Block]
    whole: Block


def find(in_degrees: Sequence[int], out_degrees: Sequence[int], *, strict: bool) -> Staircase | None:
    """The staircase of a kernel, or None if the degrees are not sorted or the kernel is small.

    Example:
        >>> [(block.inputs.stop, block.units) for block in find(range(576), range(576), strict=False).by_units][:2]
        [(96, slice(0, 96, None)), (192, slice(96, 192, None))]
    """
    inputs, units = np.asarray(in_degrees, np.int32), np.asarray(out_degrees, np.int32)
    if inputs.size * units.size < SMALLEST or np.any(np.diff(inputs) < 0) or np.any(np.diff(units) < 0):
        return None

    def block(rows: slice, columns: slice) -> Block:
        return Block(rows, columns, inputs[rows], units[columns], strict)

    by_units, by_inputs = [], []
    for columns in _parts(len(units), UNIT_BLOCKS):
        seen = np.searchsorted(inputs, units[columns.stop - 1], side="left" if strict else "right")
        by_units.append(block(slice(0, int(seen)), columns))
    for rows in _parts(len(inputs), INPUT_BLOCKS):
        blind = np.searchsorted(units, inputs[rows.start], side="right" if strict else "left")
        by_inputs.append(block(rows, slice(int(blind), len(units))))
    return Staircase(by_units, by_inputs, block(slice(0, len(inputs)), slice(0, len(units))))


def _parts(size: int, number: int) -> list[slice]:
    """`range(size)` in equal parts, as far as it goes."""
    parts = np.array_split(np.arange(size), min(number, size))
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def matmul(inputs: tf.Tensor, kernel: Any, staircase: Staircase) -> tf.Tensor:
    """`inputs @ (kernel * mask)` by blocks, with a gradient by blocks.

    Args:
        inputs: float tensor `[..., N]`.
        kernel: float tensor `[N, M]`.
        staircase: what `find` returned.

    Returns:
        float tensor `[..., M]`.
    """

    @tf.custom_gradient
    def product(x: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Any]:
        outputs = [tf.matmul(x[:, block.inputs], block.masked_part(weights)) for block in staircase.by_units]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            to_inputs = [
                tf.matmul(upstream[:, block.units], block.masked_part(weights), transpose_b=True)
                for block in staircase.by_inputs
            ]
            to_weights = staircase.whole.masked(tf.matmul(x, upstream, transpose_a=True))
            return tf.concat(to_inputs, axis=1), to_weights

        return tf.concat(outputs, axis=1), gradient

    flat = tf.reshape(inputs, [-1, kernel.shape[0]])
    outputs = product(flat, tf.convert_to_tensor(kernel))
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[1]]], 0))
