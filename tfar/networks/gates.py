"""The gated activation unit of WaveNet and of Gated PixelCNN."""

import tensorflow as tf


def gate(features: tf.Tensor, half: int | None = None) -> tf.Tensor:
    """Returns tanh(a) * sigmoid(b) of the two halves of the features, or of each group of `2 * half` features."""
    half, lead = half or features.shape[-1] // 2, tf.shape(features)[:-1]
    num_groups = features.shape[-1] // (2 * half)
    halves = tf.reshape(features, tf.concat([lead, [num_groups, 2, half]], 0))
    values, gates = tf.unstack(halves, axis=-2)  # cheaper than slices, because their gradients are padded with zeros
    return tf.reshape(tf.tanh(values) * tf.sigmoid(gates), tf.concat([lead, [num_groups * half]], 0))
