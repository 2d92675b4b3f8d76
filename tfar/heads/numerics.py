"""Elementary functions that stay exact at extreme arguments, in TensorFlow and in TFLite.

TFLite's own softplus and log_sigmoid overflow near |x| = 89, and it has no inverse of the normal distribution function.
"""

import tensorflow as tf


def softplus(x: tf.Tensor) -> tf.Tensor:
    """log(1 + exp(x)), finite for every finite x."""
    return tf.maximum(x, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def softplus_inverse(y: tf.Tensor) -> tf.Tensor:
    """x with softplus(x) = y, for y > 0."""
    small = tf.minimum(y, 0.1)  # where 1 - exp(-y) would cancel
    large = tf.maximum(y, 0.1)
    of_small = tf.math.log(small) + small * (0.5 + small / 24.0)
    return tf.where(y < 0.1, of_small, large + tf.math.log(1.0 - tf.exp(-large)))


def raw_scale_of(scale: tf.Tensor, min_scale: float) -> tf.Tensor:
    """raw with min_scale + softplus(raw) = scale; a scale that is not above `min_scale` becomes it."""
    return softplus_inverse(tf.maximum(scale - min_scale, 1e-30))


def logsumexp(x: tf.Tensor) -> tf.Tensor:
    """log(sum(exp(x))) over the last axis, for finite x."""
    largest = tf.stop_gradient(tf.reduce_max(x, axis=-1, keepdims=True))
    return tf.math.log(tf.reduce_sum(tf.exp(x - largest), axis=-1)) + largest[..., 0]


def logaddexp(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """log(exp(x) + exp(y)), for finite x and y."""
    return tf.maximum(x, y) + tf.math.log(1.0 + tf.exp(-tf.abs(x - y)))


def select_class(logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Inverts the distribution function of a softmax.

    Args:
        logits: float tensor `[..., K]`.
        noise: float tensor `[...]` in (0, 1).

    Returns:
        float tensor `[...]`: the class k with cdf(k - 1) <= noise < cdf(k), as a float in `0 .. K - 1`.
    """
    cdf = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    return tf.reduce_sum(tf.cast(tf.expand_dims(noise, -1) >= cdf[..., :-1], tf.float32), axis=-1)


def normal_quantile(p: tf.Tensor) -> tf.Tensor:
    """Inverse of the standard normal distribution function, to about seven digits.

    Wichura, Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37, 1988 (PPND7).
    """
    q = p - 0.5
    r = 0.180625 - q * q
    centre = q * _ratio(
        r,
        (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
        (1.0, 17.895169469, 78.757757664, 67.187563600),
    )
    tail = tf.where(q < 0.0, p, 1.0 - p)
    s = tf.sqrt(-tf.math.log(tf.maximum(tail, 1e-37)))
    middle = _ratio(
        s - 1.6, (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103), (1.0, 0.73700164250, 0.12021132975)
    )
    far = _ratio(
        s - 5.0, (6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997), (1.0, 0.24197894225, 0.012258202635)
    )
    outer = tf.where(s <= 5.0, middle, far)
    return tf.where(tf.abs(q) <= 0.425, centre, tf.where(q < 0.0, -outer, outer))


def laplace_quantile(p: tf.Tensor) -> tf.Tensor:
    """Inverse of the standard Laplace distribution function."""
    return tf.where(p < 0.5, tf.math.log(2.0 * p), -tf.math.log(2.0 * (1.0 - p)))


def _ratio(x: tf.Tensor, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> tf.Tensor:
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x: tf.Tensor, coefficients: tuple[float, ...]) -> tf.Tensor:
    value = tf.zeros_like(x) + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
