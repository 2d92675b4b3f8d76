"""The recurrence of a spatial LSTM, along the diagonals of an image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights
from tfar.layers.lstm_scan import SPATIAL_LSTM
from tfar.layers.pixel_recurrence import PixelRecurrence, above_and_left


@keras.saving.register_keras_serializable("tfar")
class SpatialRecurrence(PixelRecurrence):
    """Passes the states of a spatial LSTM from the upper left corner of an image through all pixels:

        sums[r, c] = x[r, c] + [h[r, c-1], h[r-1, c]] kernel
        h[r, c], c[r, c] = cell(sums[r, c], c[r, c-1], c[r-1, c])

    where `cell` is `tfar.layers.lstm_scan.spatial_lstm`, with a forget gate for each of the two neighbours. States outside
    the image are zero.

    Args:
        filters: int. Number of features h of a hidden state, a multiple of `num_groups`.
        num_groups: int. Groups of channels of a pixel that are decided one after the other.
        kernel_initializer: initializer of the kernel.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, W, 5 filters]`, the contributions of the inputs to the gates.
    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If a size is below 1, or features cannot be split evenly among the groups.

    Example:
        >>> SpatialRecurrence(3)(tf.ones([2, 5, 4, 15])).shape
        TensorShape([2, 5, 4, 3])

    References:
        Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, section 2.1, equations 1 and 2.
        https://arxiv.org/abs/1506.03478
    """

    cell = SPATIAL_LSTM
    learns_initial_state = False

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        inputs = tf.convert_to_tensor(inputs)
        return tf.cast(self._scan(inputs[None])[0], self.compute_dtype)

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def record_size(self) -> int:
        """Size of the record of a group: its hidden state and its cell state."""
        return 2 * self.group_size

    def step(
        self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        group = index % self.num_groups
        left, c_left, before, now = self._from_left(cache, group, weights)
        above, c_above = tf.split(part, [self.cell.num_gates * self.group_size, self.group_size], axis=-1)
        h, c = self.cell.step(x + above + left, [c_left, c_above], 1)
        now = self._with_record(now, tf.concat([h, c], axis=-1), group)
        return h, tf.stack([before, now], axis=1), tf.reshape(now, [-1, self.kept_channels])

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        """See `CausalLayer`. Above the first row, the given zeros are the initial states."""
        width = rows.shape[2]
        records = tf.reshape(rows, [-1, width, self.num_groups, 2, self.group_size])
        h, c = (tf.reshape(state, [-1, width, self.filters]) for state in tf.unstack(records, axis=3))
        return self._parts(tf.tensordot(h, weights["kernel"][0, self.filters :], 1), c)

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        return above_and_left(asked)
