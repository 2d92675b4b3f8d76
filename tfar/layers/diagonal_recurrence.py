"""The recurrence of Diagonal BiLSTM, along the diagonals of an image in two directions."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights, as_float
from tfar.layers.lstm_scan import lstm_scan
from tfar.layers.pixel_recurrence import PixelRecurrence, above_and_left


@keras.saving.register_keras_serializable("tfar")
class DiagonalRecurrence(PixelRecurrence):
    """Passes the states of two LSTMs from the upper left and from the upper right corner of an image through all pixels:

        left[r, c]  = LSTM(x[r, c], left[r, c-1], left[r-1, c])
        right[r, c] = LSTM(x'[r, c], right[r, c+1], right[r-1, c])
        y[r, c]     = left[r, c] + right[r-1, c]

    The hidden states of both neighbours enter the gates, and the cell state is that of the neighbour in the same row. The
    right direction is shifted down by one row, because its states depend on pixels to the right. States outside the image
    are the learned initial state. A loop over the diagonals of the skewed image (see `Skew`) computes both directions.

    Args:
        filters: int. Number of features h of a hidden state, a multiple of `num_groups`.
        num_groups: int. Groups of channels of a pixel that are decided one after the other.
        image_channels: int. If not 0, the number of channels of a second input that contributes to the gates of the right
            direction through a kernel of its own. It may be the image itself, because of the shift.
        kernel_initializer: initializer of the kernels.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, W, 8 filters]`, the contributions of the inputs to the gates. Each group holds those of the left
    direction, then those of the right one. With `image_channels`, also `[B, H, W, image_channels]`.

    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If a size is below 1, or features cannot be split evenly among the groups.

    Example:
        >>> DiagonalRecurrence(3)(tf.ones([2, 5, 4, 24])).shape
        TensorShape([2, 5, 4, 3])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.2, figure 3.
        https://arxiv.org/abs/1601.06759
    """

    num_directions = 2

    def __init__(self, filters: int, num_groups: int = 1, *, image_channels: int = 0, **kwargs: Any) -> None:
        super().__init__(filters, num_groups, **kwargs)
        self.image_channels = int(image_channels)

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        if self.image_channels:
            shape = (self.image_channels, 4 * self.filters)
            self.image_kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="image_kernel")

    def call(self, inputs: Any, image: Any = None) -> tf.Tensor:
        """Applies the layer."""
        inputs = tf.convert_to_tensor(inputs)
        height, width = inputs.shape[1:3]
        left, right = tf.unstack(tf.reshape(self._by_direction(inputs), [2, -1, height, width, 4 * self.filters]))
        if self.image_channels:
            right += tf.tensordot(tf.cast(image, right.dtype), tf.cast(self.image_kernel, right.dtype), 1)
        left, right = tf.unstack(self._scan(tf.stack([left, tf.reverse(right, [2])])))
        return tf.cast(left + self._shifted_down(tf.reverse(right, [2])), self.compute_dtype)

    def _shifted_down(self, right: tf.Tensor) -> tf.Tensor:
        """Moves all rows down by one; the first one becomes the initial state."""
        first = tf.zeros_like(right[:, :1]) + self._initial[1, 0]
        return tf.concat([first, right[:, :-1]], axis=1)

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def record_size(self) -> int:
        """Size of the record of a group: left h and c, contributions to the right gates, right h of the row above."""
        return 7 * self.group_size

    def step_weights(self) -> Weights:
        weights = super().step_weights()
        return {**weights, "image": as_float(self.image_kernel)} if self.image_channels else weights

    def step(
        self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        size, group = self.group_size, index % self.num_groups
        left, c, before, now = self._from_left(cache, group, weights)
        above, right = tf.split(part, [4 * size, size], axis=-1)
        h, c = self.cell.step(x[:, : 4 * size] + above + left, [c], 1)
        now = self._with_record(now, tf.concat([h, c, x[:, 4 * size :], right], axis=-1), group)
        return h + right, tf.stack([before, now], axis=1), tf.reshape(now, [-1, self.kept_channels])

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        return self.read_rows_of([self], [rows], index, [weights])[0]

    @staticmethod
    def read_rows_of(
        layers: Sequence["DiagonalRecurrence"], rows: Sequence[tf.Tensor], index: tf.Tensor, weights: Sequence[Weights]
    ) -> list[tf.Tensor]:
        """Computes `read_rows` of several layers of equal sizes, with one loop for the right direction of all of them.

        The inputs of all layers are known in a row that is finished, because right states act on the next row only.
        """
        stacked = [layer._finished(*arguments) for layer, *arguments in zip(layers, rows, weights, strict=True)]
        left, right, above = (tf.stack(tensors) for tensors in zip(*stacked, strict=True))  # [L, B, W, ...]
        kernel = tf.stack([w["kernel"] for w in weights])
        initial = tf.stack([w["initial"] for w in weights])
        filters, num_groups = layers[0].filters, layers[0].num_groups
        outside = initial[:, :, 0, None, None]
        left = tf.where(index > 0, left, outside[:, 0])
        # The loop goes from the last pixel to the first, and takes all layers as its directions.
        sums = right + _product(above, kernel[:, 1, filters:])
        sums = tf.reverse(tf.transpose(sums, [2, 0, 1, 3]), [0])[:, :, :, None]
        states = lstm_scan(sums, kernel[:, 1, :filters], initial[:, 1], (0,), num_groups=num_groups)
        right = tf.transpose(tf.reverse(states[:, :, :, 0], [0]), [1, 2, 0, 3])
        right = tf.where(index > 0, right, outside[:, 1])
        sums = _product(left, kernel[:, 0, filters:])
        return [layer._parts(sums[number], right[number]) for number, layer in enumerate(layers)]

    def _finished(self, rows: tf.Tensor, weights: Weights) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns left states, contributions to the right gates, and right states of the row above, of a finished row."""
        size, width = self.group_size, rows.shape[2]
        records, image = tf.split(rows[:, 0], [self.kept_channels, self.image_channels], axis=-1)
        h, _, sums, above = tf.split(self._by_group(records), [size, size, 4 * size, size], axis=-1)
        join = lambda x: tf.reshape(x, [-1, width, self.num_groups * x.shape[-1]])  # noqa: E731
        right = join(sums)
        if self.image_channels:
            right += tf.tensordot(image, weights["image"], 1)
        return join(h), right, join(above)

    # Dependences -----------------------------------------------------------------------------------------------------

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        return above_and_left(asked) | self._right_reach(asked)

    def reach_above(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        """See `CausalLayer`. All channels of the second input contribute to all groups."""
        return np.broadcast_to(self._right_reach(asked).any(axis=-1, keepdims=True), asked.shape)

    @staticmethod
    def _right_reach(asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        shifted = np.concatenate([asked[:, 1:], np.zeros_like(asked[:, :1])], axis=1)
        return above_and_left(shifted[:, :, ::-1])[:, :, ::-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "image_channels": self.image_channels}


def _product(states: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiplies the states `[L, B, W, h]` of each layer by its kernel `[L, h, 4 h]`."""
    flat = tf.reshape(states, [kernel.shape[0], -1, kernel.shape[1]])
    return tf.reshape(tf.matmul(flat, kernel), [kernel.shape[0], -1, states.shape[2], kernel.shape[2]])
