"""Gates of features: those of WaveNet and Gated PixelCNN, and of the Video Pixel Network."""

from collections.abc import Callable

import tensorflow as tf

from tfar.layers.lstm_scan import by_gate, sigmoid


def gate(features: tf.Tensor, half: int | None = None) -> tf.Tensor:
    """Returns tanh(a) * sigmoid(b) of the two halves of the features, or of each group of `2 * half` features."""
    return of_halves(features, half, lambda a, b: tf.tanh(a) * tf.sigmoid(b))


def of_halves(features: tf.Tensor, half: int | None, function: Callable[..., tf.Tensor]) -> tf.Tensor:
    """Returns `function(a, b)` of the halves a and b of each group of features, see `gate`."""
    half, lead = half or features.shape[-1] // 2, tf.shape(features)[:-1]
    num_groups = features.shape[-1] // (2 * half)
    halves = tf.reshape(features, tf.concat([lead, [num_groups, 2, half]], 0))
    a, b = tf.unstack(halves, axis=-2)  # cheaper than slices, because their gradients are padded with zeros
    return tf.reshape(function(a, b), tf.concat([lead, [num_groups * half]], 0))


def multiplicative_unit(sums: tf.Tensor, h: tf.Tensor, group_size: int | None = None) -> tf.Tensor:
    """Returns g1 * tanh(g2 * h + g3 * tanh(u)), with the gates g = sigmoid(sums), of features `h [..., c]`.

    `sums [..., 4 c]` hold g1, g2, g3 and u before their activation: those of the first group of `group_size` features, then
    those of the next; None stands for one group. The term g2 * h is the identity path: the output at a pixel depends on h at
    the same pixel, whatever the mask of the convolution from h to `sums`.

    References:
        Kalchbrenner et al. Video pixel networks. ICML 2017, section 4.1 and figure 2.
    """
    first, second, third, update = by_gate(sums, 4, h.shape[-1] // (group_size or h.shape[-1]))
    return sigmoid(first) * tf.tanh(sigmoid(second) * h + sigmoid(third) * tf.tanh(update))
