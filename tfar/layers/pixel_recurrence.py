"""Base class of the recurrences along the diagonals of an image, whose states pass from pixel to pixel."""

import abc
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights
from tfar.layers.lstm_scan import lstm_scan
from tfar.layers.recurrence import Recurrence
from tfar.layers.skew import skewed, unskewed


class PixelRecurrence(Recurrence, abc.ABC):
    """Passes states from the pixel to the left and the pixel above to each pixel; see `Recurrence` for the arguments.

    A record of a group begins with its hidden state h and its cell state c.
    """

    offsets = (0, -1)  # In the column of a skewed image: the pixel to the left, and the pixel above.

    def _scan(self, gates: tf.Tensor) -> tf.Tensor:
        """Returns the hidden states `[D, B, H, W, h]` of all directions, as one loop over the diagonals.

        Args:
            gates: float tensor `[D, B, H, W, G h]`. Contributions of the inputs; all directions start at the upper left.
        """
        num_directions, _, height, width, size = gates.shape
        columns = skewed(tf.reshape(gates, [-1, height, width, size]))
        columns = tf.transpose(columns, [2, 0, 1, 3])
        hidden = lstm_scan(
            tf.reshape(columns, [height + width - 1, num_directions, -1, height, size]),
            self._by_direction(tf.convert_to_tensor(self.kernel)),
            self._initial,
            self.offsets,
            has_begun(height, width),
            self.num_groups,
            self.cell,
        )
        hidden = tf.reshape(hidden, [height + width - 1, -1, height, self.filters])
        hidden = unskewed(tf.transpose(hidden, [1, 2, 0, 3]))
        return tf.reshape(hidden, [num_directions, -1, height, width, self.filters])

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        weights = super().step_weights()
        left = tf.split(weights["kernel"][0, : self.filters], self.num_groups, axis=-1)
        weights["left"] = left[0] if self.num_groups == 1 else tf.stack(left)
        return weights

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor:
        """See `CausalLayer`. The cache holds the records of the pixel to the left and of the pixel itself."""
        state = tf.reshape(self._initial[0], [2, self.num_groups, self.group_size])
        rest = tf.zeros([self.num_groups, self.record_size - 2 * self.group_size])
        record = tf.concat([*tf.unstack(state), rest], axis=-1)
        return tf.tile(record[None, None], [batch_size, 2, 1, 1])

    def _from_left(
        self, cache: tf.Tensor, group: tf.Tensor, weights: Weights
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what the pixel to the left contributes to a group: to the gates, and its cell state.

        The other results are the records of the pixel to the left and of the pixel itself, for the cache.
        """
        size = self.group_size
        before, now = tf.unstack(cache, axis=1)
        before = tf.where(tf.equal(group, 0), now, before)  # The first group of a pixel moves on to the pixel.
        h = tf.reshape(before[..., :size], [-1, self.filters])
        c = tf.gather(before, group, axis=1)[:, size : 2 * size]
        kernel = weights["left"] if self.num_groups == 1 else tf.gather(weights["left"], group)
        return tf.matmul(h, kernel), c, before, now


def has_begun(height: int, width: int) -> NDArray[np.bool_]:
    """Returns which rows have begun in each column of a skewed image, `[H + W - 1, H]`."""
    column, row = np.mgrid[: height + width - 1, :height]
    return column >= row


def above_and_left(asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the inputs that outputs `[S, H, W, groups]` depend on if states pass to the right and down.

    Those of earlier pixels in all groups, and those of the own pixel in the same group.
    """
    needed = np.any(asked, axis=-1)[:, ::-1, ::-1]
    needed = np.logical_or.accumulate(np.logical_or.accumulate(needed, axis=1), axis=2)[:, ::-1, ::-1]
    below, right = np.zeros_like(needed), np.zeros_like(needed)
    below[:, :-1], right[:, :, :-1] = needed[:, 1:], needed[:, :, 1:]
    return asked | (below | right)[..., None]
