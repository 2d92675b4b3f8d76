"""Kernels of which a mask leaves a staircase, stored and multiplied in blocks.

If the degrees of inputs and units are sorted, a unit sees a prefix of the inputs, and the longer one the later it comes. Two
blocks of neighbouring units, each with little more than the inputs that its last unit sees, need three quarters of the weights,
of the work of a product and of what an optimiser moves; three need two thirds, and many a half.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# More blocks skip more, and are more calls: of 784-500 and 784-500-500 no other number trained clearly faster.
BLOCKS = 3
# No more blocks than a kernel has so many weights, masked ones included: below, the calls cost more than what is skipped.
WEIGHTS_PER_BLOCK = 2**16
# With AVX2, XLA's products go by tiles of so many columns, or by slower ones of half as many where those waste less. So a block
# takes a multiple of so many inputs, or all of them, and units that fill more than half of their last tile.
TILE = 16


class Block(NamedTuple):
    """Neighbouring units of a layer, with the inputs that one of them sees and a few more to fill up.

    Attributes:
        units: slice.
        in_degrees: int array `[inputs taken]`: of the first inputs of the layer.
        out_degrees: int array `[units]`.
        strict: bool. As in `MaskedDense`.
    """

    units: slice
    in_degrees: np.ndarray
    out_degrees: np.ndarray
    strict: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the block's weights."""
        return len(self.in_degrees), len(self.out_degrees)

    def masked(self, weights: Any) -> tf.Tensor:
        """The block's weights with zeros where the mask is zero.

        The mask is computed from the degrees, in the loop that reads the weights: a stored one would be read too.
        """
        left, right = tf.constant(self.in_degrees)[:, None], tf.constant(self.out_degrees)[None, :]
        weights = tf.convert_to_tensor(weights)
        return tf.where(left < right if self.strict else left <= right, weights, tf.zeros_like(weights))


def find(in_degrees: Sequence[int], out_degrees: Sequence[int], *, strict: bool) -> tuple[Block, ...]:
    """The blocks of a kernel; none if the degrees are not sorted or the kernel is small.

    Example:
        >>> [block.shape for block in find(range(400), range(400), strict=False)]
        [(192, 192), (400, 208)]
    """
    inputs, units = np.asarray(in_degrees, np.int32), np.asarray(out_degrees, np.int32)
    number = min(BLOCKS, len(units), inputs.size * units.size // WEIGHTS_PER_BLOCK)
    if number < 2 or np.any(np.diff(inputs) < 0) or np.any(np.diff(units) < 0):
        return ()
    blocks = []
    edges = np.cumsum([0, *_sizes(len(units), number)]).tolist()
    for columns in map(slice, edges[:-1], edges[1:]):
        seen = max(1, int(np.searchsorted(inputs, units[columns.stop - 1], side="left" if strict else "right")))
        seen = min(len(inputs), -(-seen // TILE) * TILE)
        blocks.append(Block(columns, inputs[:seen], units[columns], strict))
    return tuple(blocks)


def _sizes(count: int, number: int) -> list[int]:
    """So many units in about equal parts, each of which fills more than half of its last tile, where such are near."""
    if number == 1:
        return [count]
    mean = count // number
    near = range(max(1, mean - TILE), min(count - number + 1, mean + TILE) + 1)
    by_distance = sorted(near, key=lambda size: abs(size * number - count))
    size = next((n for n in by_distance if _fills(n) and (number > 2 or _fills(count - n))), by_distance[0])
    return [size, *_sizes(count - size, number - 1)]


def _fills(size: int) -> bool:
    """Whether so many units fill more than half of their last tile."""
    return -size % TILE < TILE // 2


def split(kernel: tf.Tensor, blocks: Sequence[Block]) -> list[tf.Tensor]:
    """The weights of each block of a kernel `[N, M]`."""
    return [kernel[: block.shape[0], block.units] for block in blocks]


def join(parts: Sequence[Any], num_inputs: int) -> tf.Tensor:
    """The kernel `[N, M]` of the weights of its blocks, with zeros elsewhere."""
    parts = [tf.convert_to_tensor(part) for part in parts]
    return tf.concat([tf.pad(part, [[0, num_inputs - part.shape[0]], [0, 0]]) for part in parts], axis=1)


def matmul(inputs: tf.Tensor, parts: Sequence[Any], blocks: Sequence[Block]) -> tf.Tensor:
    """Inputs times the masked kernel.

    Args:
        inputs: float tensor `[..., N]`.
        parts: the weights of each block.
        blocks: what `find` returned.

    Returns:
        float tensor `[..., M]`.
    """
    flat = tf.reshape(inputs, [-1, inputs.shape[-1]])
    products = [
        tf.matmul(flat[:, : block.shape[0]], block.masked(part)) for block, part in zip(blocks, parts, strict=True)
    ]
    outputs = tf.concat(products, axis=1)
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [outputs.shape[1]]], 0))
