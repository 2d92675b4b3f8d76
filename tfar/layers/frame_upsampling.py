"""Learned upsampling of frames to the rate of a signal."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfar")
class FrameUpsampling(keras.layers.Layer):
    """Transposed convolution of each feature over time, whose stride is the number of samples of a frame.

        y[n h + p] = sum_{j < m} K[j, p] * x[n + j - (m - 1) / 2],    p = 0 .. h - 1

    with frames outside of the input equal to zero. Initially it repeats each frame h times.

    Args:
        hop_length: int, h. Samples of a frame.
        num_frames: int, m, odd. Frames that a sample depends on.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, frames, F]`.
    Output shape: `[B, frames * hop_length, F]`.

    Raises:
        ValueError: If `num_frames` is even.

    Example:
        >>> FrameUpsampling(hop_length=2)(tf.constant([[[1.0], [5.0]]])).numpy().ravel().tolist()
        [1.0, 1.0, 5.0, 5.0]

    References:
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.5.
        https://arxiv.org/abs/1609.03499
    """

    def __init__(self, hop_length: int, num_frames: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_frames % 2 == 0:
            raise ValueError(f"Expected an odd `num_frames`; received {num_frames!r}.")
        self.hop_length, self.num_frames = int(hop_length), int(num_frames)

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = (self.num_frames, self.hop_length, int(input_shape[-1] or 0))
        middle = tf.range(self.num_frames) == self.num_frames // 2
        repetition = lambda shape, dtype=None: tf.cast(tf.broadcast_to(middle[:, None, None], shape), dtype)  # noqa: E731
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=repetition)
        self.built = True

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        x, side = tf.convert_to_tensor(inputs), self.num_frames // 2
        kernel, count = tf.convert_to_tensor(self.kernel), tf.shape(x)[1]
        padded = tf.pad(x, [[0, 0], [side, side], [0, 0]])
        parts = [padded[:, j : j + count, None] * kernel[j] for j in range(self.num_frames)]
        known = None if x.shape[1] is None else x.shape[1] * self.hop_length
        result = tf.reshape(tf.add_n(parts), [tf.shape(x)[0], count * self.hop_length, kernel.shape[-1]])
        result.set_shape([None, known, kernel.shape[-1]])
        return result

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hop_length": self.hop_length, "num_frames": self.num_frames}
