"""2D convolution within each frame of a video."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import CausalLayer, Weights, as_float, overlaps


@keras.saving.register_keras_serializable("tfar")
class FrameConv2D(CausalLayer, keras.layers.Layer):
    """2D convolution of each frame of a video, without a mask: a pixel sees the pixels around it in its own frame.

        y[t] = conv(x[t], W) + b

    What lies outside the frame is zeros, and the size of the frame is kept. In steps (see `CausalLayer`), a position is a frame.

    Args:
        filters: int. Number of output channels.
        kernel_size: int or (height, width).
        dilation_rate: int. Distance between neighbouring taps.
        kernel_initializer: initializer of the kernel `[height, width, C, filters]`.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T, H, W, C]`, with known T, H, W and C.
    Output shape: `[B, T, H, W, filters]`.

    Example:
        >>> FrameConv2D(8, 3, dilation_rate=2)(tf.ones([2, 5, 16, 16, 1])).shape
        TensorShape([2, 5, 16, 16, 8])

    References:
        Yu and Koltun. Multi-scale context aggregation by dilated convolutions. ICLR 2016, section 2.
        https://arxiv.org/abs/1511.07122
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        dilation_rate: int = 1,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.dilation_rate = int(filters), int(dilation_rate)
        self.kernel_size = pair(kernel_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.in_channels = int(input_shape[-1] or 0)
        shape = (*self.kernel_size, self.in_channels, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        return convolve_frames(inputs, kernel, self.dilation_rate) + bias

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.filters)

    def step_weights(self) -> Weights:
        return {"kernel": as_float(self.kernel), "bias": as_float(self.bias)}

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        return convolve(cache[:, -1], weights["kernel"], self.dilation_rate) + weights["bias"]

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        return reach_around(asked, self.kernel_size, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        own = {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "dilation_rate": self.dilation_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **own}


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Returns an int or two ints as (height, width)."""
    sizes = [size] if isinstance(size, int) else list(size)
    return int(sizes[0]), int(sizes[-1])


def convolve(x: tf.Tensor, kernel: tf.Tensor, dilation_rate: int = 1) -> tf.Tensor:
    """Convolves images `[B, H, W, C]` with a kernel, and keeps their size."""
    return tf.nn.convolution(x, kernel, padding="SAME", dilations=dilation_rate)


def convolve_frames(video: tf.Tensor, kernel: tf.Tensor, dilation_rate: int = 1) -> tf.Tensor:
    """Convolves all frames of videos `[B, T, H, W, C]` with a kernel, and keeps their size."""
    outputs = convolve(tf.reshape(video, [-1, *video.shape[2:]]), kernel, dilation_rate)
    return tf.reshape(outputs, [-1, *video.shape[1:4], kernel.shape[-1]])


def reach_around(asked: NDArray[np.bool_], kernel_size: Sequence[int], dilation_rate: int = 1) -> NDArray[np.bool_]:
    """Returns the inputs, bool `[..., H, W, 1]`, that sets of outputs of a convolution of that shape depend on."""
    frames, result = asked.reshape(-1, *asked.shape[-3:-1]), np.zeros(asked.shape, bool)
    inputs = result.reshape(frames.shape)
    # An even kernel has its additional tap below and to the right, as in TensorFlow.
    spans = [(size - 1) * dilation_rate for size in kernel_size]
    offsets = [range(-(span // 2), span - span // 2 + 1, dilation_rate) for span in spans]
    for _, out, source in overlaps(frames.shape[1:], frames.shape[1:], offsets):
        inputs[(slice(None), *source)] |= frames[(slice(None), *out)]
    return result
