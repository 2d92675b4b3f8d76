"""Interface of causal layers, which evaluate whole events, single positions and dependency sets."""

import abc
import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Weights = dict[str, tf.Tensor]


class CausalLayer(abc.ABC):
    """Mixin for layers whose output at a position depends only on inputs at that position and at earlier ones.

    Such a layer is evaluated in three ways:

    * In parallel: `layer(x)` maps a whole event.
    * In steps: `start` creates a cache and `step` maps one position along an axis, such as a row of an image, a pixel
      of a row or a sample of a signal. A step writes the cache before it reads it, so that XLA updates a large cache in
      place. `push` writes and `read` reads; layers whose input and output have different resolutions call them
      separately.
    * As a dependency set: `reach` returns the inputs that a set of outputs depends on.

    The output of a strict layer does not depend on the input at the same position. Its steps take the input of the
    previous position.

    A layer whose positions are the pixels of a row may also depend on `num_above` rows above. `read_rows` computes the
    contribution of these rows for the whole row when the row starts, and each step adds it as `part`. The rows consist
    of the third output of `step` for each position.

    A layer may have a second input, of which it uses only rows that are finished: in parallel `layer(x, image)`, and in steps
    as further channels of the rows of `read_rows`.

    Attributes:
        in_channels: int. Channels of the input.
        filters: int. Channels of the output.
        window: int. Number of positions along the axis that an output depends on, and length of the cache.
        num_above: int. Number of rows above that an output of a layer over pixels depends on.
        kept_channels: int. Channels of what a step returns to be kept; by default those of the input.
        part_channels: int. Channels of the result of `read_rows`; by default those of the output.
    """

    in_channels: int
    filters: int
    window: int = 1
    num_above: int = 0

    @property
    def kept_channels(self) -> int:
        """Number of channels of what a step returns to be kept for later rows."""
        return self.in_channels

    @property
    def part_channels(self) -> int:
        """Number of channels of the result of `read_rows`."""
        return self.filters

    @abc.abstractmethod
    def step_weights(self) -> Weights:
        """Returns float32 tensors that all steps use, computed once before a loop over the positions."""

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor | None:
        """Returns the cache before the first position, or None if the layer needs none.

        Args:
            batch_size: int or int32 scalar, B.
            spatial: axes of one position, `(W,)` if a position is a row of an image.
        """
        if self.window <= 1:
            return None
        return tf.zeros([batch_size, self.window, *spatial, self.in_channels])

    def push(self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Returns the cache with the input `x [B, *spatial, C]` of position `index`; without a cache, `x` itself."""
        return x[:, None] if cache is None else tf.concat([cache[:, 1:], x[:, None]], axis=1)

    @abc.abstractmethod
    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the output `[B, *spatial, filters]` of position `index`; `part` replaces the bias if it is given."""

    def step(
        self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Maps one position.

        Args:
            cache: the cache that `start` or the previous step returned.
            x: input of the position, `[B, *spatial, C]`.
            index: int32 scalar. The position.
            weights: the result of `step_weights`.
            part: None, or the entry of the result of `read_rows` for this position.

        Returns:
            The output, the new cache, and the values of this position that `read_rows` needs for later rows.
        """
        cache = self.push(cache, x, index)
        return self.read(cache, index, weights, part), cache, x

    def fill(self, x: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Returns the cache after the steps of positions 0 .. `length` - 1 of a whole event `x`, for `prefill`."""
        raise NotImplementedError(f"{type(self).__name__} fills no cache from a whole event.")

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        """Returns the contribution of the rows above plus the bias, for a whole row.

        Args:
            rows: `[B, num_above, W, kept channels]`. The values that the steps of the rows above returned to be kept.
            index: int32 scalar. The row that starts.
            weights: what `step_weights` returned.

        Returns:
            `[B, W of the output, part_channels]`.
        """
        raise NotImplementedError(f"{type(self).__name__} sees no rows above.")

    @abc.abstractmethod
    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        """Returns the inputs that sets of outputs depend on.

        Args:
            asked: bool `[S, *positions of the output, groups]`. S sets of outputs, each a mask over positions and
                groups of channels.
            size: number of positions of the input along each axis.

        Returns:
            bool `[S, *size, groups]`.
        """

    def reach_above(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        """Returns the entries of the second input that sets of outputs depend on; see `reach`."""
        raise NotImplementedError(f"{type(self).__name__} has no second input.")


def overlaps(
    small: Sequence[int], large: Sequence[int], offsets: Sequence[range], strides: int = 1
) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
    """Yields the positions that each tap of a 2D kernel connects: large = strides * small + offset.

    `offsets` holds the offsets of the rows and of the columns of the kernel. A result is the index of the tap in the kernel,
    slices of the small image and slices of the large one.
    """
    for a, row in enumerate(offsets[0]):
        for b, column in enumerate(offsets[1]):
            rows, columns = (
                _overlap(n, m, offset, strides) for n, m, offset in zip(small, large, (row, column), strict=True)
            )
            yield (a, b), (rows[0], columns[0]), (rows[1], columns[1])


def _overlap(small: int, large: int, offset: int, strides: int) -> tuple[slice, slice]:
    inside = [i for i in range(small) if 0 <= strides * i + offset < large]
    if not inside:
        return slice(0), slice(0)
    first, last = inside[0], inside[-1]
    return slice(first, last + 1), slice(strides * first + offset, strides * last + offset + 1, strides)


def as_float(variable: Any) -> tf.Tensor:
    """Returns the value of a variable or tensor in float32."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def convolve_rows(
    rows: tf.Tensor, kernel: tf.Tensor, columns: range, strides: int = 1, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Convolves rows `[B, R, W, C]` with a kernel `[R, width, C, filters]` whose columns have the offsets `columns`.

    Returns `[B, ceil(W / strides), filters]`.
    """
    padded = tf.pad(rows, [[0, 0], [0, 0], [max(0, -columns[0]), max(0, columns[-1])], [0, 0]])
    if columns[-1] < 0:
        padded = padded[:, :, : columns[-1]]
    row = tf.nn.conv2d(padded, kernel, [1, strides], "VALID")[:, 0]
    return row if bias is None else row + bias


class Run:
    """Evaluates a network that is described once, by calls `run(layer, x)` of layers and pointwise functions.

    Features of a level have half the rows and columns of the level above. The first part of a network may compute
    features of whole rows, such as the vertical stack of a PixelCNN, which the second part reads pixel by pixel. The
    first part calls `give` and the second calls `take`, in the same order.
    """

    def __call__(self, layer: Any, *inputs: Any) -> Any:
        """Applies a causal layer to one input, or a pointwise function to several."""
        raise NotImplementedError

    def give(self, x: Any) -> None:
        """Stores features of whole rows for `take`."""
        raise NotImplementedError

    def take(self) -> Any:
        """Returns the next features that `give` stored."""
        raise NotImplementedError

    def below(self, contract: Any, expand: Any, x: Any, body: Callable[["Run", Any], Any]) -> Any:
        """Halves the resolution by the layer `contract`, applies `body(run, x)` and doubles it by the layer `expand`."""
        raise NotImplementedError

    def condition(self, part: Any) -> Any:
        """Returns a condition, `[B, k]` or a map `[B, H, W, k]`, at the positions that are evaluated."""
        raise NotImplementedError

    def drop(self, x: Any) -> Any:
        """Applies dropout, in training only."""
        return x


class Parallel(Run):
    """Evaluates whole images, with a dropout function in training; `initialize` initialises weight-normalised layers."""

    def __init__(self, drop: Callable[[tf.Tensor], tf.Tensor] | None = None, *, initialize: bool = False) -> None:
        self._drop, self._initialize = drop, initialize
        self._given: collections.deque[tf.Tensor] = collections.deque()

    def __call__(self, layer: Any, *inputs: Any, **how: Any) -> Any:
        if self._initialize and hasattr(layer, "initialize"):
            return layer.initialize(*inputs, **how)
        return layer(*inputs, **how)

    def give(self, x: tf.Tensor) -> None:
        self._given.append(x)

    def take(self) -> tf.Tensor:
        return self._given.popleft()

    def below(self, contract: Any, expand: Any, x: tf.Tensor, body: Callable[[Run, Any], Any]) -> tf.Tensor:
        return self(expand, body(self, self(contract, x)), size=x.shape[1:3])

    def condition(self, part: tf.Tensor) -> tf.Tensor:
        return part if part.shape.rank == 4 else part[:, None, None]

    def drop(self, x: tf.Tensor) -> tf.Tensor:
        return x if self._drop is None else self._drop(x)
