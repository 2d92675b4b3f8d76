"""Product with a masked kernel that skips the blocks which the mask leaves empty.

If the degrees of inputs and units are sorted, the mask is a staircase: a block of units sees a prefix of the inputs. Computing
a few such blocks does little more than half the work of the full product, forwards and backwards, and masks little more than
half of the kernel.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Of 3 to 16, the number that kept two threads busiest at 784-500: XLA shares blocks out, and a single product badly.
NUM_BLOCKS = 9
# Below this number of weights the full product is as fast.
SMALLEST = 2**16


class Block(NamedTuple):
    """Units `first .. last - 1` of a staircase, which see the inputs `0 .. num_inputs - 1` as far as their degrees allow."""

    first: int
    last: int
    num_inputs: int
    in_degrees: np.ndarray
    out_degrees: np.ndarray
    strict: bool

    def masked(self, weights: tf.Tensor) -> tf.Tensor:
        """`weights` of the block, `[num_inputs, last - first]`, with zeros where the mask is zero.

        The mask is computed from the degrees, in the loop that reads the weights: a stored one would be read too.
        """
        left, right = tf.constant(self.in_degrees)[:, None], tf.constant(self.out_degrees)[None, :]
        return tf.where(left < right if self.strict else left <= right, weights, tf.zeros_like(weights))


def blocks(in_degrees: Sequence[int], out_degrees: Sequence[int], strict: bool) -> list[Block]:
    """The blocks of a kernel, or none if the degrees are not sorted or the kernel is small.

    Example:
        >>> [block[:3] for block in blocks(range(576), range(576), strict=False)][:3]
        [(0, 64, 64), (64, 128, 128), (128, 192, 192)]
    """
    inputs, units = np.asarray(in_degrees, np.int32), np.asarray(out_degrees, np.int32)
    if inputs.size * units.size < SMALLEST or np.any(np.diff(inputs) < 0) or np.any(np.diff(units) < 0):
        return []
    found = []
    for chunk in np.array_split(np.arange(len(units)), min(NUM_BLOCKS, len(units))):
        first, last = int(chunk[0]), int(chunk[-1]) + 1
        seen = int(np.searchsorted(inputs, units[last - 1], side="left" if strict else "right"))
        found.append(Block(first, last, seen, inputs[:seen], units[first:last], strict))
    return found


def matmul(inputs: tf.Tensor, kernel: Any, staircase: Sequence[Block]) -> tf.Tensor:
    """`inputs @ (kernel * mask)` by blocks, with a gradient by blocks.

    Args:
        inputs: float tensor `[..., N]`.
        kernel: float tensor `[N, M]`.
        staircase: what `blocks` returned.

    Returns:
        float tensor `[..., M]`.
    """
    num_inputs = kernel.shape[0]

    def masked(weights: tf.Tensor) -> list[tf.Tensor]:
        return [b.masked(weights[: b.num_inputs, b.first : b.last]) for b in staircase]

    @tf.custom_gradient
    def product(x: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Any]:
        outputs = [tf.matmul(x[:, : b.num_inputs], w) for b, w in zip(staircase, masked(weights), strict=True)]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parts = [upstream[:, b.first : b.last] for b in staircase]
            to_inputs = [
                tf.pad(tf.matmul(part, w, transpose_b=True), [[0, 0], [0, num_inputs - b.num_inputs]])
                for part, b, w in zip(parts, staircase, masked(weights), strict=True)
            ]
            to_weights = [
                tf.pad(
                    b.masked(tf.matmul(x[:, : b.num_inputs], part, transpose_a=True)),
                    [[0, num_inputs - b.num_inputs], [0, 0]],
                )
                for part, b in zip(parts, staircase, strict=True)
            ]
            return tf.add_n(to_inputs), tf.concat(to_weights, axis=1)

        return tf.concat(outputs, axis=1), gradient

    flat = tf.reshape(inputs, [-1, num_inputs])
    outputs = product(flat, tf.convert_to_tensor(kernel))
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[1]]], 0))
