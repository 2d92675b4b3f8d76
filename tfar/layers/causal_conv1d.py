"""Dilated causal convolutions over a signal, of numbers and of one-hot vectors."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import CausalLayer, Weights, as_float

# Arguments of Conv1D that a causal convolution does not support.
FIXED = {"strides": 1, "padding": "causal", "data_format": "channels_last", "groups": 1}


@keras.saving.register_keras_serializable("tfar")
class CausalConv1D(CausalLayer, keras.layers.Conv1D):
    """1D convolution whose output at time t depends on the inputs at t, t - d, ..., t - (k - 1) d alone.

        y[t] = activation(sum_{j < k} x[t - (k - 1 - j) d - s] W[j] + b),    s = 1 if strict, else 0

    Inputs before the beginning are zeros. All taps form one matrix product, in the pass and in a step. In steps (see
    `CausalLayer`), the cache is a ring buffer of the last `(k - 1) d + 1` inputs, and rows may be at different times.

    Args:
        filters: int. Number of output channels.
        kernel_size: int, k.
        dilation_rate: int, d.
        strict: bool. Exclude the input at time t itself: the taps are those of time t - 1.
        **kwargs: keyword arguments of `keras.layers.Conv1D` (activation, initialisers, regularisers, dtype, name), except for
            strides, padding, groups and data format.

    Input shape: `[B, T, C]`.
    Output shape: `[B, T, filters]`.

    Raises:
        ValueError: If an argument is not supported.

    Example:
        >>> layer = CausalConv1D(8, kernel_size=2, dilation_rate=4)
        >>> layer(tf.ones([2, 16, 3])).shape
        TensorShape([2, 16, 8])

    References:
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.1 and figure 3.
        https://arxiv.org/abs/1609.03499
    """

    def __init__(
        self, filters: int, kernel_size: int, *, dilation_rate: int = 1, strict: bool = False, **kwargs: Any
    ) -> None:
        given = {**FIXED, **kwargs}
        for name, value in FIXED.items():
            if given[name] not in (value, (value,), [value]):
                raise ValueError(f"Expected `{name}` to be {value!r}; received {given[name]!r}.")
        super().__init__(filters, kernel_size, dilation_rate=dilation_rate, **given)
        self.strict = bool(strict)
        self.num_taps, self._dilation = int(self.kernel_size[0]), int(self.dilation_rate[0])

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.in_channels = int(input_shape[-1] or 0)
        super().build(input_shape)

    @property
    def window(self) -> int:  # type: ignore[override]
        """Number of inputs from the first tap to the last, which is the length of the ring buffer."""
        return (self.num_taps - 1) * self._dilation + 1

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        x = tf.convert_to_tensor(inputs)
        length = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
        padded = tf.pad(x, [[0, 0], [self.window - 1 + self.strict, 0], [0, 0]])
        first = [tap * self._dilation for tap in range(self.num_taps)]
        taps = tf.concat([padded[:, start : start + length] for start in first], axis=-1)
        return self._activated(self._product(taps, self._table(tf.convert_to_tensor(self.kernel))), self.bias)

    def _table(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the kernel `[k, C, filters]` as the matrix that `_product` takes."""
        return tf.reshape(kernel, [-1, self.filters])

    def _product(self, taps: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        """Multiplies the inputs of all taps, `[..., k C]`, by the kernel."""
        return tf.matmul(taps, table) if taps.shape.rank == 2 else tf.tensordot(taps, table, 1)

    def _activated(self, outputs: tf.Tensor, offset: Any) -> tf.Tensor:
        outputs = outputs if offset is None else outputs + offset
        return outputs if self.activation is None else self.activation(outputs)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        bias = tf.zeros([self.filters]) if self.bias is None else as_float(self.bias)
        return {"table": self._table(as_float(self.kernel)), "bias": bias}

    def push(self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Writes the input of time `index`, int32 `[]` or `[B]`, over the oldest one of the ring buffer."""
        if cache is None:
            return x[:, None]
        rows = tf.range(tf.shape(x)[0])
        return tf.tensor_scatter_nd_update(cache, tf.stack([rows, tf.zeros_like(rows) + index % self.window], 1), x)

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        if self.num_taps == 1:
            taps = cache[:, 0]
        else:
            back = tf.range(1 - self.num_taps, 1) * self._dilation
            if index.shape.rank:
                taps = tf.gather(cache, (index[:, None] + back) % self.window, axis=1, batch_dims=1)
            else:
                taps = tf.gather(cache, (index + back) % self.window, axis=1)
            taps = tf.reshape(taps, [-1, self.num_taps * self.in_channels])
        return self._activated(self._product(taps, weights["table"]), weights["bias"] if part is None else part)

    def fill(self, x: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Returns the cache after the steps of times 0 .. `length` - 1.

        Args:
            x: the input of the pass, `[B, T, C]`, T at least 1.
            length: int32 `[]` or `[B]`, at most T.
        """
        last = tf.broadcast_to(tf.reshape(length, [-1, 1]), [tf.shape(x)[0], 1]) - 1
        # The slot s holds the input of the latest time that is equal to s modulo the window; a step of a strict layer
        # takes the input of the time before.
        times = last - (last - tf.range(self.window)) % self.window - int(self.strict)
        values = tf.gather(x, tf.maximum(times, 0), axis=1, batch_dims=1)
        return tf.where(times[..., None] >= 0, values, tf.zeros_like(values))

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        result, length = np.zeros_like(asked), asked.shape[1]
        for tap in range(self.num_taps):
            back = min(length, tap * self._dilation + self.strict)
            result[:, : length - back] |= asked[:, back:]
        return result

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name not in FIXED}
        return {**config, "kernel_size": self.num_taps, "dilation_rate": self._dilation, "strict": self.strict}


@keras.saving.register_keras_serializable("tfar")
class OneHotCausalConv1D(CausalConv1D):
    """Causal convolution of one-hot vectors that are given by the numbers of their classes.

    The product of a one-hot vector and the kernel is a row of the kernel, so that a lookup replaces the product. The
    input 0 is a vector of zeros, as before the beginning, and the input i is the one-hot vector of class i - 1.

    Args:
        filters: int. Number of output channels.
        kernel_size: int.
        num_classes: int, K.
        **kwargs: see `CausalConv1D`.

    Input shape: `[B, T, C]`, whole numbers 0 .. K.
    Output shape: `[B, T, filters]`.

    Example:
        >>> layer = OneHotCausalConv1D(8, kernel_size=2, num_classes=256)
        >>> layer(tf.constant([[[0.0], [256.0]]])).shape
        TensorShape([1, 2, 8])
    """

    def __init__(self, filters: int, kernel_size: int, num_classes: int, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.num_classes = int(num_classes)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = int(input_shape[-1] or 0)
        super().build((*input_shape[:-1], channels * self.num_classes))
        self.in_channels = channels
        # Keras refuses inputs whose channels differ from those of the kernel.
        self.input_spec = keras.layers.InputSpec(min_ndim=3, axes={-1: channels})

    def _table(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the rows of each tap and channel, after a row of zeros for the input 0."""
        blocks = tf.reshape(kernel, [-1, self.num_classes, self.filters])
        return tf.reshape(tf.pad(blocks, [[0, 0], [1, 0], [0, 0]]), [-1, self.filters])

    def _product(self, taps: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        block = self.num_classes + 1
        # Clipping keeps the lookup within the table if an invalid row, which becomes NaN, holds other numbers.
        classes = tf.clip_by_value(tf.cast(taps, tf.int32), 0, self.num_classes)
        rows = classes + block * tf.range(self.num_taps * self.in_channels)
        return tf.reduce_sum(tf.gather(table, rows), axis=-2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
