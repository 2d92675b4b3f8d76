"""A convolutional LSTM over the frames of a video."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import CausalLayer, Weights, as_float
from tfar.layers.frame_conv2d import convolve, convolve_frames, pair, reach_around
from tfar.layers.lstm_scan import lstm


@keras.saving.register_keras_serializable("tfar")
class ConvLSTM(CausalLayer, keras.layers.Layer):
    """LSTM over the frames of a video, whose products are convolutions, so that the states are maps of the size of a frame.

        [o, f, i, g] = conv(x[t], W) + conv(h[t-1], U) + b
        c[t] = sigmoid(f) c[t-1] + sigmoid(i) tanh(g),    h[t] = sigmoid(o) tanh(c[t])

    The states before the first frame are zeros, and the bias of the forget gates is initially 1, so that the LSTM remembers.
    In steps (see `CausalLayer`), a position is a frame, and the cache holds h and c.

    Args:
        filters: int. Number of features of h.
        kernel_size: int or (height, width) of both convolutions.
        kernel_initializer: initializer of W, `[height, width, C, 4 filters]`.
        recurrent_initializer: initializer of U, `[height, width, filters, 4 filters]`.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T, H, W, C]`, with known T, H, W and C.
    Output shape: `[B, T, H, W, filters]`.

    Example:
        >>> ConvLSTM(8, 3)(tf.ones([2, 5, 16, 16, 1])).shape
        TensorShape([2, 5, 16, 16, 8])

    References:
        Shi et al. Convolutional LSTM network: a machine learning approach for precipitation nowcasting. NIPS 2015, section 3.1,
        equation 3, without the products of the gates with c (peepholes).
        https://arxiv.org/abs/1506.04214
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size = int(filters), pair(kernel_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.in_channels = int(input_shape[-1] or 0)
        gates = 4 * self.filters
        add = lambda name, channels, initializer: self.add_weight(  # noqa: E731
            shape=(*self.kernel_size, channels, gates), initializer=initializer, name=name
        )
        self.kernel = add("kernel", self.in_channels, self.kernel_initializer)
        self.recurrent_kernel = add("recurrent_kernel", self.filters, self.recurrent_initializer)
        values = np.repeat(np.array([0.0, 1.0, 0.0, 0.0], np.float32), self.filters)
        initializer = lambda shape, dtype=None: tf.constant(values, dtype)  # noqa: E731
        self.bias = self.add_weight(shape=(gates,), initializer=initializer, name="bias")
        self.built = True

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        return tf.cast(self._states(inputs)[:, :, 0], self.compute_dtype)

    def _states(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns h and c of all frames, float32 `[B, T, 2, H, W, filters]`."""
        weights = self.step_weights()
        sums = convolve_frames(tf.cast(inputs, tf.float32), weights["kernel"]) + weights["bias"]
        cache, states = self.start(tf.shape(inputs)[0], inputs.shape[2:4]), []
        for t in range(inputs.shape[1]):  # A graph of T steps has gradients that need no stacks of states.
            cache = self._next(cache, sums[:, t], weights)
            states.append(cache)
        return tf.stack(states, axis=1)

    def _next(self, cache: tf.Tensor, sums: tf.Tensor, weights: Weights) -> tf.Tensor:
        """Returns the cache after a frame, of which `sums` are the contributions to the gates."""
        h, c = tf.unstack(cache, axis=1)
        return tf.stack(lstm(sums + convolve(h, weights["recurrent_kernel"]), [c]), axis=1)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.filters)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        return {name: as_float(getattr(self, name)) for name in ("kernel", "recurrent_kernel", "bias")}

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor:
        return tf.zeros([batch_size, 2, *spatial, self.filters])

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        return cache[:, 0]

    def step(
        self,
        cache: tf.Tensor | None,
        x: tf.Tensor,
        index: tf.Tensor,
        weights: Weights,
        part: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        cache = self._next(cache, convolve(x, weights["kernel"]) + weights["bias"], weights)
        return self.read(cache, index, weights), cache, x

    def fill(self, x: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Returns the cache after the first `length` frames of `x [B, T, H, W, C]`; `length` is an int32 scalar, at most T."""
        states = tf.gather(self._states(x), tf.maximum(length - 1, 0), axis=1)
        return tf.where(length > 0, states, tf.zeros_like(states))

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        states = asked.copy()
        for t in range(asked.shape[1] - 2, -1, -1):
            states[:, t] |= reach_around(states[:, t + 1], self.kernel_size)
        return reach_around(states, self.kernel_size)

    def get_config(self) -> dict[str, Any]:
        own = {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }
        return {**super().get_config(), **own}
