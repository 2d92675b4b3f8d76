"""Elementary functions that are accurate at extreme arguments and use only operations built into TFLite.

TFLite's softplus and log_sigmoid overflow near |x| = 89, and it has neither erf nor the inverse of the normal distribution
function.
"""

from collections.abc import Callable

import tensorflow as tf

# Nodes and weights of Gauss-Legendre quadrature with five points on [-1, 1].
NODES = (-0.9061798459, -0.5384693101, 0.0, 0.5384693101, 0.9061798459)
NODE_WEIGHTS = (0.2369268851, 0.4786286705, 0.5688888889, 0.4786286705, 0.2369268851)
INV_SQRT_2 = 0.7071067811865476
INV_SQRT_2_PI = 0.3989422804014327
# Coefficients of `normal_cdf`, starting with the constant term.
ERFC: tuple[float, ...] = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806)
ERFC += (0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277)


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Computes log(1 + exp(x)), which is finite for every finite x."""
    return tf.maximum(x, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def softplus_inverse(y: tf.Tensor) -> tf.Tensor:
    """Returns x such that softplus(x) = y, for y > 0."""
    small = tf.minimum(y, 0.1)  # where 1 - exp(-y) would cancel
    large = tf.maximum(y, 0.1)
    of_small = tf.math.log(small) + small * (0.5 + small / 24.0)
    return tf.where(y < 0.1, of_small, large + tf.math.log(1.0 - tf.exp(-large)))


def raw_scale_of(scale: tf.Tensor, min_scale: float) -> tf.Tensor:
    """Returns raw such that min_scale + softplus(raw) = scale; smaller scales are raised to `min_scale`."""
    return softplus_inverse(tf.maximum(scale - min_scale, 1e-30))


def logsumexp(x: tf.Tensor) -> tf.Tensor:
    """Computes log(sum(exp(x))) over the last axis; -inf, with gradient 0, where all entries are -inf."""
    largest = tf.stop_gradient(tf.reduce_max(x, axis=-1, keepdims=True))
    nothing = tf.equal(largest, -float("inf"))
    total = tf.reduce_sum(tf.exp(x - tf.where(nothing, tf.zeros_like(largest), largest)), axis=-1)
    nothing, largest = nothing[..., 0], largest[..., 0]
    return tf.math.log(tf.where(nothing, tf.ones_like(total), total)) + largest


def logaddexp(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Computes log(exp(x) + exp(y)) for x and y below inf; -inf if both are -inf."""
    gap = tf.where(tf.equal(x, y), tf.zeros_like(x - y), tf.abs(x - y))
    return tf.maximum(x, y) + tf.math.log(1.0 + tf.exp(-gap))


def sum_where(condition: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Sums the values for which the condition holds over the last axis.

    Multiplying by 0 or 1 instead would turn an infinite value that is not selected into NaN.
    """
    return tf.reduce_sum(tf.where(condition, values, tf.zeros_like(values)), axis=-1)


# Softmax ---------------------------------------------------------------------------------------------------------------


def is_class(k: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the one-hot encoding, bool `[..., num_classes]`, of classes `[...]` given as floats."""
    return tf.equal(tf.expand_dims(k, -1), tf.range(num_classes, dtype=tf.float32))


def select_class(logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Inverts the distribution function of a softmax for logits `[..., K]` and noise `[...]` in (0, 1).

    Returns the class k with cdf(k - 1) <= noise < cdf(k), as a float `[...]`. A class of probability 0 is never returned, even if
    rounding makes the last `cdf` less than 1.
    """
    probs = tf.nn.softmax(logits)
    classes = tf.range(logits.shape[-1], dtype=tf.float32)
    possible = probs > 0.0
    reached = tf.logical_and(possible, tf.expand_dims(noise, -1) < tf.cumsum(probs, axis=-1))
    first = tf.reduce_min(tf.where(reached, classes, tf.fill(tf.shape(reached), float(logits.shape[-1]))), axis=-1)
    last = tf.reduce_max(tf.where(possible, classes, tf.zeros_like(probs)), axis=-1)
    return tf.minimum(first, last)


def class_interval(logits: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns cdf(k - 1) and cdf(k) of a softmax, the interval of noise for which `select_class` returns class k."""
    cdf = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    num_classes = logits.shape[-1]
    low = sum_where(is_class(k - 1.0, num_classes), cdf)
    high = sum_where(is_class(k, num_classes), cdf)
    return low, tf.where(tf.equal(k, num_classes - 1.0), tf.ones_like(high), high)


def point_in(low: tf.Tensor, high: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns the point `low + uniform * (high - low)`, rounded such that low <= point < high."""
    point = low + uniform * (high - low)
    return tf.where(point < high, point, low)


def open_unit(noise: tf.Tensor) -> tf.Tensor:
    """Clips noise to the open interval (0, 1)."""
    return tf.minimum(tf.maximum(noise, 1e-37), 1.0 - 2.0**-24)


# Normal ----------------------------------------------------------------------------------------------------------------


def normal_cdf(z: tf.Tensor) -> tf.Tensor:
    """Computes the standard normal distribution function: seven digits for z > 0, six digits of the tail for z < 0.

    Press et al., Numerical recipes, section 6.2 (erfc by Chebyshev fitting).
    """
    x = tf.abs(z) * INV_SQRT_2
    t = 1.0 / (1.0 + 0.5 * x)
    tail = 0.5 * t * tf.exp(_polynomial(t, ERFC) - x * x)
    return tf.where(z < 0.0, tail, 1.0 - tail)


def normal_interval(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Computes the mass of a standard normal in [low, high], for low <= high, with small relative error in both tails.

    For a narrow interval a difference of distribution functions would cancel, so the density is integrated with five
    nodes.
    """
    low, high = tf.maximum(tf.minimum(low, 40.0), -40.0), tf.maximum(tf.minimum(high, 40.0), -40.0)
    right = low + high > 0.0  # by symmetry, an interval in the right tail is reflected to the left tail
    low, high = tf.where(right, -high, low), tf.where(right, -low, high)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    narrow = tf.zeros_like(centre)
    for node, weight in zip(NODES, NODE_WEIGHTS, strict=True):
        z = centre + half * node
        narrow += weight * tf.exp(-0.5 * z * z)
    return tf.where(half < 0.25, narrow * half * INV_SQRT_2_PI, normal_cdf(high) - normal_cdf(low))


def normal_quantile(p: tf.Tensor) -> tf.Tensor:
    """Computes the inverse of the standard normal distribution function, to about seven digits.

    Wichura, Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37, 1988 (PPND7).
    """
    q = p - 0.5
    r = 0.180625 - q * q
    numerator = (3.3871327179, 50.434271938, 159.29113202, 59.109374720)
    centre = q * _ratio(r, numerator, (1.0, 17.895169469, 78.757757664, 67.187563600))
    tail = tf.where(q < 0.0, p, 1.0 - p)
    s = tf.sqrt(-tf.math.log(tf.maximum(tail, 1e-37)))
    numerator = (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103)
    middle = _ratio(s - 1.6, numerator, (1.0, 0.73700164250, 0.12021132975))
    numerator = (6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997)
    far = _ratio(s - 5.0, numerator, (1.0, 0.24197894225, 0.012258202635))
    outer = tf.where(s <= 5.0, middle, far)
    return tf.where(tf.abs(q) <= 0.425, centre, tf.where(q < 0.0, -outer, outer))


# Laplace and logistic --------------------------------------------------------------------------------------------------


def laplace_cdf(z: tf.Tensor) -> tf.Tensor:
    """Computes the standard Laplace distribution function."""
    tail = 0.5 * tf.exp(-tf.abs(z))
    return tf.where(z < 0.0, tail, 1.0 - tail)


def laplace_interval(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Computes the mass of a standard Laplace in [low, high], low <= high, with small relative error in both tails."""
    low, high = tf.maximum(tf.minimum(low, 200.0), -200.0), tf.maximum(tf.minimum(high, 200.0), -200.0)
    nearest = tf.minimum(tf.maximum(low, 0.0), tf.maximum(high, 0.0)) + tf.maximum(-high, 0.0)
    one_sided = tf.exp(-nearest) * one_minus_exp(high - low)
    across = one_minus_exp(tf.maximum(-low, 0.0)) + one_minus_exp(tf.maximum(high, 0.0))
    return 0.5 * tf.where(tf.logical_and(low < 0.0, high > 0.0), across, one_sided)


def laplace_quantile(p: tf.Tensor) -> tf.Tensor:
    """Computes the inverse of the standard Laplace distribution function."""
    return tf.where(p < 0.5, tf.math.log(2.0 * p), -tf.math.log(2.0 * (1.0 - p)))


def logistic_log_mass(
    below: tf.Tensor, above: tf.Tensor, width: tf.Tensor, open_below: tf.Tensor, open_above: tf.Tensor
) -> tf.Tensor:
    """Returns log(F(above) - F(below)) of the standard logistic distribution, without cancellation.

    F(a) - F(b) = F(a) F(-b) (1 - exp(b - a))

    Args:
        below, above: float tensors, the ends b and a.
        width: float tensor, a - b with all its digits.
        open_below, open_above: bool tensors. Whether the interval begins at minus infinity, or ends at infinity.
    """
    zeros = tf.zeros_like(above)
    log_above = tf.where(open_above, zeros, -softplus(-above))
    log_below = tf.where(open_below, zeros, -softplus(below))
    inside = tf.logical_not(tf.logical_or(open_above, open_below))
    return log_above + log_below + tf.where(inside, tf.math.log(one_minus_exp(width)), zeros)


def one_minus_exp(d: tf.Tensor) -> tf.Tensor:
    """Computes 1 - exp(-d) for d >= 0 without cancellation."""
    t = tf.tanh(0.5 * d)
    return 2.0 * t / (1.0 + t)


# Bisection -------------------------------------------------------------------------------------------------------------


def smallest_float(reached: Callable[[tf.Tensor], tf.Tensor], shape: tf.Tensor) -> tf.Tensor:
    """Returns the smallest finite float32, `[*shape]`, for which a monotone condition holds elementwise.

    It bisects the float32 numbers by rank, so that 32 evaluations find the exact number. TFLite does not support it.
    """

    def number(rank: tf.Tensor) -> tf.Tensor:
        bits = tf.cast(tf.where(rank >= 0, rank, -1 - rank), tf.int32)
        magnitude = tf.bitcast(bits, tf.float32)
        return tf.where(rank >= 0, magnitude, -magnitude)

    def body(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = (low + high) // 2
        holds = reached(number(middle))
        return tf.where(holds, low, middle), tf.where(holds, middle, high)

    largest = 0x7F7FFFFF  # rank and bit pattern of the largest finite float32
    low, high = tf.fill(shape, tf.constant(-2 - largest, tf.int64)), tf.fill(shape, tf.constant(largest, tf.int64))
    _, high = tf.while_loop(lambda low, high: tf.reduce_any(high - low > 1), body, (low, high), maximum_iterations=33)
    return number(high)


def _ratio(x: tf.Tensor, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> tf.Tensor:
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x: tf.Tensor, coefficients: tuple[float, ...]) -> tf.Tensor:
    value = tf.zeros_like(x) + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
