"""Kernels of which a mask leaves a staircase, stored and multiplied in blocks.

If the degrees of inputs and units are sorted, a unit sees a prefix of the inputs, and the longer one the later it comes. Blocks
of neighbouring units, each with little more than the inputs that its last unit sees, need fewer weights, less work of a product
and less of an optimiser: five need three fifths, and many a half. What all units of a block see needs no mask, and is read where
it lies; the rest, the edge of the staircase, is masked. The edges of all blocks are one variable.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# More blocks skip more, and are more calls; fewer are larger products, of which XLA deals each to all cores and waits for it.
BLOCKS = 5
# No more blocks than a kernel has so many weights, masked ones included: below, the calls cost more than what is skipped.
WEIGHTS_PER_BLOCK = 30_000
# With AVX2, XLA's products go by tiles of so many columns, or by slower ones of half as many where those waste less. So a block
# takes a multiple of so many inputs, or all that are seen, and units that fill more than half of their last tile.
TILE = 16


class Block(NamedTuple):
    """Neighbouring units of a layer, with the inputs that one of them sees and a few more to fill up.

    Attributes:
        units: slice.
        num_common: int. So many of the first inputs all units see.
        in_degrees: int array `[inputs at the edge]`: of the inputs after those, which some of the units see.
        out_degrees: int array `[units]`.
        strict: bool. As in `MaskedDense`.
    """

    units: slice
    num_common: int
    in_degrees: np.ndarray
    out_degrees: np.ndarray
    strict: bool

    @property
    def num_inputs(self) -> int:
        """How many of the first inputs the block takes."""
        return self.num_common + len(self.in_degrees)

    @property
    def edge_shape(self) -> tuple[int, int]:
        """Shape of the weights that are masked."""
        return len(self.in_degrees), len(self.out_degrees)

    def masked(self, edge: tf.Tensor) -> tf.Tensor:
        """The weights of the edge with zeros where the mask is zero.

        The mask is computed from the degrees, in the loop that reads the weights: a stored one would be read too.
        """
        left, right = tf.constant(self.in_degrees)[:, None], tf.constant(self.out_degrees)[None, :]
        return tf.where(left < right if self.strict else left <= right, edge, tf.zeros_like(edge))


def find(in_degrees: Sequence[int], out_degrees: Sequence[int], *, strict: bool) -> tuple[Block, ...]:
    """The blocks of a kernel; none if the degrees are not sorted or the kernel is small.

    Example:
        >>> [(block.num_common, block.edge_shape) for block in find(range(256), range(300), strict=False)]
        [(0, (144, 144)), (144, (112, 156))]
    """
    inputs, units = np.asarray(in_degrees, np.int32), np.asarray(out_degrees, np.int32)
    number = min(BLOCKS, len(units), inputs.size * units.size // WEIGHTS_PER_BLOCK)
    if number < 2 or np.any(np.diff(inputs) < 0) or np.any(np.diff(units) < 0):
        return ()
    blocks = []
    edges = np.cumsum([0, *_sizes(len(units), number)]).tolist()
    for columns in map(slice, edges[:-1], edges[1:]):
        first, last = np.searchsorted(
            inputs, units[[columns.start, columns.stop - 1]], "left" if strict else "right"
        ).tolist()
        num_common, last = first // TILE * TILE, max(1, last)
        # Inputs that no unit sees stay out: if every product reads a slice, XLA computes it in the loop that makes the inputs.
        filled = -(-last // TILE) * TILE
        last = filled if filled < len(inputs) else last
        blocks.append(Block(columns, num_common, inputs[num_common:last], units[columns], strict))
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
    """The weights that are stored of a kernel `[N, M]`.

    Returns:
        A list: `[num_common, units]` of each block whose units see inputs in common, and in the end the edges of all blocks,
        one after the other in a vector.
    """
    common = [kernel[: block.num_common, block.units] for block in blocks if block.num_common]
    edges = [tf.reshape(kernel[block.num_common : block.num_inputs, block.units], [-1]) for block in blocks]
    return [*common, tf.concat(edges, axis=0)]


def _by_block(parts: Sequence[Any], blocks: Sequence[Block]) -> Iterator[tuple[Block, Any, tf.Tensor]]:
    """Each block with the weights `[num_common, units]`, or None, and those of its edge."""
    common = iter(parts[:-1])
    edges = tf.split(tf.convert_to_tensor(parts[-1]), [int(np.prod(block.edge_shape)) for block in blocks])
    for block, edge in zip(blocks, edges, strict=True):
        yield block, next(common) if block.num_common else None, tf.reshape(edge, block.edge_shape)


def join(parts: Sequence[Any], blocks: Sequence[Block], num_inputs: int) -> tf.Tensor:
    """The kernel `[N, M]` of what `split` returned, with zeros elsewhere."""
    columns = []
    for block, common, edge in _by_block(parts, blocks):
        column = edge if common is None else tf.concat([common, edge], axis=0)
        columns.append(tf.pad(column, [[0, num_inputs - block.num_inputs], [0, 0]]))
    return tf.concat(columns, axis=1)


def matmul(inputs: tf.Tensor, parts: Sequence[Any], blocks: Sequence[Block]) -> tf.Tensor:
    """Inputs times the masked kernel.

    Args:
        inputs: float tensor `[..., N]`.
        parts: weights as `split` returns them.
        blocks: what `find` returned.

    Returns:
        float tensor `[..., M]`.
    """
    flat = tf.reshape(inputs, [-1, inputs.shape[-1]])
    common_ranges = [(0, block.num_common) for block in blocks]
    edge_ranges = [(block.num_common, block.num_inputs) for block in blocks]
    slices = _columns(flat, [*common_ranges, *edge_ranges])
    columns = []
    for i, (block, common, edge) in enumerate(_by_block(parts, blocks)):
        products = [] if common is None else [tf.matmul(slices[i], common)]
        if len(block.in_degrees):
            products.append(tf.matmul(slices[len(blocks) + i], block.masked(edge)))
        columns.append(functools.reduce(operator.add, products))
    outputs = tf.concat(columns, axis=1)
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [outputs.shape[1]]], 0))


def _columns(x: tf.Tensor, ranges: Sequence[tuple[int, int]]) -> list[tf.Tensor]:
    """The columns `[start, stop)` of each range, `[B, stop - start]`.

    Their gradients are added up piece by piece, of which no range holds a part. Those of plain slices would each be padded to
    all columns first, and every number of the sum would ask each slice whether it has it.
    """
    edges = sorted({0, x.shape[1], *(edge for both in ranges for edge in both)})

    @tf.custom_gradient
    def slices(x: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        def gradient(*upstream: tf.Tensor) -> tf.Tensor:
            pieces = []
            for first, last in itertools.pairwise(edges):
                terms = [
                    dy[:, first - start : last - start]
                    for dy, (start, stop) in zip(upstream, ranges, strict=True)
                    if start <= first and last <= stop
                ]
                pieces.append(functools.reduce(operator.add, terms) if terms else tf.zeros_like(x[:, first:last]))
            return tf.concat(pieces, axis=1)

        return [x[:, start:stop] for start, stop in ranges], gradient

    return slices(x)
