"""The mu-law without rounding, by operations built into TFLite.

    f(y) = sign(y) ln(1 + mu |y|) / ln(1 + mu)

van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.2. https://arxiv.org/abs/1609.03499
"""

import math

import tensorflow as tf


def compand(y: tf.Tensor, mu: float) -> tf.Tensor:
    """Returns f(y), which maps -1 .. 1 onto itself and is steepest at 0."""
    return tf.sign(y) * tf.math.log(1.0 + mu * tf.abs(y)) / math.log(1.0 + mu)


def expand(companded: tf.Tensor, mu: float) -> tf.Tensor:
    """Returns y such that f(y) = companded, of numbers within -1 .. 1; others are moved to the nearest end."""
    size = tf.minimum(tf.abs(companded), 1.0)
    return tf.sign(companded) * (tf.exp(math.log(1.0 + mu) * size) - 1.0) / mu


def companded_width(y: tf.Tensor, width: tf.Tensor, mu: float) -> tf.Tensor:
    """Returns f(y + width) - f(y) for width > 0, with the digits that the difference would lose."""
    end = y + width
    ratio = mu * width / (1.0 + mu * tf.minimum(tf.abs(y), tf.abs(end)))
    one_side = _log1p(ratio) / math.log(1.0 + mu)
    return tf.where(y * end >= 0.0, one_side, compand(end, mu) - compand(y, mu))


def _log1p(x: tf.Tensor) -> tf.Tensor:
    """Computes log(1 + x) for x >= 0: what the sum loses of a small x, the quotient x / ((1 + x) - 1) gives back."""
    total = 1.0 + x
    lost = tf.equal(total, 1.0)
    return tf.where(lost, x, tf.math.log(total) * x / tf.where(lost, tf.ones_like(x), total - 1.0))
