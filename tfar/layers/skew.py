"""Layers that offset the rows of an image so that its diagonals become columns, and that undo it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfar")
class Skew(keras.layers.Layer):
    """Offsets row r of an image by r columns: `y[r, r + c] = x[r, c]`, and 0 elsewhere.

    Column t of the result holds the pixels (r, t - r), whose neighbours above and to the left are in column t - 1.

    Args:
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, W, C]`.
    Output shape: `[B, H, H + W - 1, C]`.

    Example:
        >>> Skew()(tf.reshape(tf.range(1.0, 7.0), [1, 2, 3, 1]))[0, ..., 0].numpy()
        array([[1., 2., 3., 0.],
               [0., 4., 5., 6.]], dtype=float32)

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.2.
        https://arxiv.org/abs/1601.06759
    """

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        return skewed(tf.convert_to_tensor(inputs))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        batch_size, height, width, channels = input_shape
        return (batch_size, height, height + width - 1, channels)


@keras.saving.register_keras_serializable("tfar")
class Unskew(keras.layers.Layer):
    """The inverse of `Skew`: `y[r, c] = x[r, r + c]`.

    Args:
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, H + W - 1, C]`.
    Output shape: `[B, H, W, C]`.

    Example:
        >>> x = tf.random.normal([2, 4, 3, 5])
        >>> bool(tf.reduce_all(Unskew()(Skew()(x)) == x))
        True
    """

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        return unskewed(tf.convert_to_tensor(inputs))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        batch_size, height, width, channels = input_shape
        return (batch_size, height, width - height + 1, channels)


def skewed(x: tf.Tensor) -> tf.Tensor:
    """See `Skew`. With H columns of padding, rows of H + W become rows of H + W - 1, and each starts a column later."""
    _, height, width, channels = x.shape
    flat = tf.reshape(tf.pad(x, [[0, 0], [0, 0], [0, height], [0, 0]]), [-1, height * (height + width), channels])
    return tf.reshape(flat[:, : height * (height + width - 1)], [-1, height, height + width - 1, channels])


def unskewed(x: tf.Tensor) -> tf.Tensor:
    """See `Unskew`."""
    _, height, columns, channels = x.shape
    flat = tf.pad(tf.reshape(x, [-1, height * columns, channels]), [[0, 0], [0, height], [0, 0]])
    return tf.reshape(flat, [-1, height, columns + 1, channels])[:, :, : columns + 1 - height]
