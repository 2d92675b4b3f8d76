"""The recurrence of Row LSTM, from row to row of an image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights
from tfar.layers.lstm_scan import lstm_scan
from tfar.layers.recurrence import Recurrence


@keras.saving.register_keras_serializable("tfar")
class RowRecurrence(Recurrence):
    """Passes the states of an LSTM from each row of an image to the next, by a convolution along the row:

        sums[r] = x[r] + conv(h[r-1], kernel),    h[r], c[r] = cell(sums[r], c[r-1])

    where `cell` is that of `tfar.layers.lstm_scan.lstm`. States above the first row and beside a row are the learned
    initial state. All pixels of a row are computed at once.

    Args:
        filters: int. Number of features h of a hidden state, a multiple of `num_groups`.
        num_groups: int. Groups of channels of a pixel that are decided one after the other.
        kernel_size: int. Number of pixels of the row above that a state depends on.
        kernel_initializer: initializer of the kernel.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, W, 4 filters]`, the contributions of the inputs to the gates.
    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If a size is below 1, or features cannot be split evenly among the groups.

    Example:
        >>> RowRecurrence(3)(tf.ones([2, 5, 4, 12])).shape
        TensorShape([2, 5, 4, 3])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.1, equation 3.
        https://arxiv.org/abs/1601.06759
    """

    def __init__(self, filters: int, num_groups: int = 1, *, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(filters, num_groups, **kwargs)
        if kernel_size < 1:
            raise ValueError(f"Expected `kernel_size` of at least 1; received {kernel_size!r}.")
        self.kernel_size = int(kernel_size)
        self.offsets = tuple(range(-(self.kernel_size // 2), self.kernel_size - self.kernel_size // 2))

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        rows = tf.transpose(tf.convert_to_tensor(inputs), [1, 0, 2, 3])[:, None]
        kernel = self._by_direction(tf.convert_to_tensor(self.kernel))
        hidden = lstm_scan(rows, kernel, self._initial, self.offsets, num_groups=self.num_groups, cell=self.cell)
        return tf.cast(tf.transpose(hidden[:, 0], [1, 0, 2, 3]), self.compute_dtype)

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def record_size(self) -> int:
        """Size of the record of a group: its hidden state and its cell state."""
        return 2 * self.group_size

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor | None:
        """See `CausalLayer`. The cache holds the record of the pixel, if groups complete it one after the other."""
        return None if self.num_groups == 1 else tf.zeros([batch_size, self.num_groups, self.record_size])

    def step(
        self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        above, c = tf.split(part, [4 * self.group_size, self.group_size], axis=-1)
        h, c = self.cell.step(x + above, [c], 1)
        record = tf.concat([h, c], axis=-1)
        if cache is None:
            return h, record, record
        cache = self._with_record(cache, record, index % self.num_groups)
        return h, cache, tf.reshape(cache, [-1, self.kept_channels])

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        width, initial = rows.shape[2], weights["initial"][0]
        records = tf.reshape(rows, [-1, width, self.num_groups, 2, self.group_size])
        h, c = (tf.reshape(state, [-1, width, self.filters]) for state in tf.unstack(records, axis=3))
        h, c = tf.where(index > 0, h, initial[0]), tf.where(index > 0, c, initial[1])
        before, after = -self.offsets[0], self.offsets[-1]
        beside = tf.zeros_like(h[:, :1]) + initial[0]
        padded = tf.concat([beside] * before + [h] + [beside] * after, axis=1)
        seen = tf.concat([padded[:, before + offset : before + offset + width] for offset in self.offsets], axis=-1)
        return self._parts(tf.tensordot(seen, weights["kernel"][0], 1), c)

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        result, width = asked.copy(), size[1]
        for row in range(size[0] - 1, 0, -1):
            needed = np.any(result[:, row], axis=-1)
            for offset in self.offsets:
                seen, source = (
                    slice(max(0, -offset), width - max(0, offset)),
                    slice(max(0, offset), width + min(0, offset)),
                )
                result[:, row - 1, source] |= needed[:, seen, None]
        return result

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size}
