"""Head of a pixel: a discretised mixture of logistics whose channels are coupled linearly."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfar.heads.base import Head, check_positive_int
from tfar.heads.numerics import logsumexp, raw_scale_of, select_class, softplus

# The smallest scale in units of half the range of the values, exp(-7).
MIN_SCALE = float(np.exp(-7.0))
# `probs` lists the joint values of all channels up to this many.
MAX_JOINT_VALUES = 2**16


class Components(NamedTuple):
    """What a parameter vector says of K components and C channels, in units of half the range.

    Attributes:
        logits: `[..., K]`.
        loc: `[..., K, C]`, before the coupling.
        scale: `[..., K, C]`.
        coefficients: `[..., K, C (C - 1) / 2]`: of channels (1, 0), (2, 0), (2, 1), ...
    """

    logits: tf.Tensor
    loc: tf.Tensor
    scale: tf.Tensor
    coefficients: tf.Tensor


@keras.saving.register_keras_serializable("tfar")
class DiscretizedLogisticMixture(Head):
    """Pixel of C channels with whole values `low .. high`: a mixture of rounded logistics.

    With y = 2 (x - low) / (high - low) - 1, and h = 1 / (high - low) half the width of a value's interval,

        p(x) = sum_k softmax(logits)[k] prod_c [F((y_c + h - m_kc) / s_kc) - F((y_c - h - m_kc) / s_kc)]
        m_kc = loc_kc + sum_{b < c} coefficient_kcb y_b,    s = softplus(raw_scale) + exp(-7),    F(z) = 1 / (1 + exp(-z))

    where the interval of `low` begins at minus infinity and that of `high` ends at infinity, so that the values of each channel
    have probabilities that sum to 1. The parameter vector holds for each component its logit, C locations, C raw scales and
    C (C - 1) / 2 coefficients.

    A draw uses 1 + C uniform numbers: the first selects the component, each other inverts the distribution function of a channel,
    whose location hangs on the values drawn before it.

    Args:
        num_components: int, K.
        low: int. The lowest value.
        high: int. The highest value.
        num_channels: int, C.

    Raises:
        ValueError: If `num_components` or `num_channels` is less than 1, or `high` is not above `low`.

    Example:
        >>> head = DiscretizedLogisticMixture(num_components=1, high=1, num_channels=1)
        >>> round(float(head.log_prob(tf.zeros([1, 3]), [[1.0]])[0]), 4)
        -0.6931

    References:
        Salimans, Karpathy, Chen and Kingma. PixelCNN++: Improving the PixelCNN with discretized logistic mixture likelihood and
        other modifications. ICLR 2017, sections 2.1 and 2.2. https://arxiv.org/abs/1701.05517

    Notes:
        The authors' code bounds the coefficients by tanh and the logarithm of the scale at -7 from below; here the coefficients
        are free, as in the paper, and the scale is a softplus plus exp(-7), as in TensorFlow Probability.
    """

    discrete = True
    num_classes: int

    def __init__(
        self, num_components: int = 10, low: int = 0, high: int = 255, num_channels: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive_int("num_components", num_components)
        self.num_channels = check_positive_int("num_channels", num_channels)
        if any(isinstance(v, bool) or int(v) != v for v in (low, high)) or not low < high:
            raise ValueError(f"Expected whole numbers `low` < `high`; received {low!r} and {high!r}.")
        self.low, self.high = int(low), int(high)
        self.lowest = float(self.low)
        self.num_classes = self.high - self.low + 1
        self.site_shape = (self.num_channels,)
        self.noise_size = 1 + self.num_channels
        self._num_coefficients = self.num_channels * (self.num_channels - 1) // 2

    @property
    def params_size(self) -> int:
        return self.num_components * (1 + 2 * self.num_channels + self._num_coefficients)

    def components(self, params: tf.Tensor) -> Components:
        """Splits parameters `[..., params_size]`."""
        logits, loc, raw_scale, coefficients = self._split(params)
        return Components(logits[..., 0], loc, softplus(raw_scale) + MIN_SCALE, coefficients)

    def _split(self, params: tf.Tensor) -> list[tf.Tensor]:
        sizes = [1, self.num_channels, self.num_channels, self._num_coefficients]
        shape = tf.concat([tf.shape(params)[:-1], [self.num_components, sum(sizes)]], 0)
        return tf.split(tf.reshape(params, shape), sizes, axis=-1)

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        logits, loc, raw_scale, coefficients = self._split(params)
        raw_scale = raw_scale_of((softplus(raw_scale) + MIN_SCALE) * temperature, MIN_SCALE)
        return tf.reshape(tf.concat([logits / temperature, loc, raw_scale, coefficients], axis=-1), tf.shape(params))

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        within = tf.logical_and(x >= float(self.low), x <= float(self.high))
        return tf.logical_and(within, tf.equal(x, tf.floor(x)))

    # Values are counted from 0 and locations and scales are in the same units, so that an edge between two values is one number,
    # whichever of them asks for it: sums over the values telescope.

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        parts, level = self.components(params), x - float(self.low)
        total = tf.nn.log_softmax(parts.logits)
        for channel in range(self.num_channels):
            loc = self._location(parts, [level[..., None, c] for c in range(channel)])
            total += self._log_mass(level[..., None, channel], loc, self._to_levels(parts.scale[..., channel]))
        return logsumexp(total)

    def _location(self, parts: Components, before: list[tf.Tensor]) -> tf.Tensor:
        """Location of the channel after those whose levels are `before`, in levels: `[..., K]`, or `[...]` of one component."""
        channel = len(before)
        loc, first = parts.loc[..., channel], channel * (channel - 1) // 2
        for i, level in enumerate(before):
            loc += parts.coefficients[..., first + i] * (level * (2.0 / (self.num_classes - 1)) - 1.0)
        return self._to_levels(loc + 1.0)

    def _to_levels(self, values: tf.Tensor) -> tf.Tensor:
        return values * (0.5 * (self.num_classes - 1))

    def _log_mass(self, level: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """log(F(a) - F(b)) at the edges a and b of a level, without a difference of numbers that are almost equal.

        F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)),    1 - exp(-d) = 2 t / (1 + t) for t = tanh(d / 2)
        """
        above = (level + 0.5 - loc) / scale
        below = (level - 0.5 - loc) / scale
        at_top, at_bottom = tf.equal(level, self.num_classes - 1.0), tf.equal(level, 0.0)
        tanh = tf.tanh(0.5 / scale)
        zeros = tf.zeros_like(above)
        log_above = tf.where(at_top, zeros, -softplus(-above))
        log_below = tf.where(at_bottom, zeros, -softplus(below))
        inside = tf.logical_not(tf.logical_or(at_top, at_bottom))
        return log_above + log_below + tf.where(inside, tf.math.log(2.0 * tanh / (1.0 + tanh)), zeros)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        parts = self.components(params)
        component = select_class(parts.logits, noise[..., 0])
        chosen = tf.equal(tf.expand_dims(component, -1), tf.range(self.num_components, dtype=tf.float32))
        one = Components(parts.logits, *(_choose(part, chosen) for part in parts[1:]))
        quantile = tf.math.log(noise[..., 1:]) - tf.math.log(1.0 - noise[..., 1:])
        levels: list[tf.Tensor] = []
        for channel in range(self.num_channels):
            loc, scale = self._location(one, levels), self._to_levels(one.scale[..., channel])
            nearest = tf.floor(loc + scale * quantile[..., channel] + 0.5)
            levels.append(tf.minimum(tf.maximum(nearest, 0.0), self.num_classes - 1.0))
        return tf.stack(levels, axis=-1) + float(self.low)

    def _probs(self, params: tf.Tensor) -> tf.Tensor:
        """Probabilities of the joint values of all channels in lexicographic order, `[..., num_classes ** num_channels]`."""
        count = self.num_classes**self.num_channels
        if count > MAX_JOINT_VALUES:
            raise ValueError(
                f"Expected at most {MAX_JOINT_VALUES} joint values of the channels, as `probs` lists them all; received "
                f"{self.num_classes}**{self.num_channels}. `log_prob` gives those that you ask for."
            )
        values = np.indices([self.num_classes] * self.num_channels).reshape(self.num_channels, -1).T + self.low
        return tf.exp(self._log_prob(tf.expand_dims(params, -2), tf.constant(values, tf.float32)))

    def get_config(self) -> dict[str, Any]:
        names = ("num_components", "low", "high", "num_channels")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _choose(values: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The entry of one component, `[..., N]`, of values `[..., K, N]` of all."""
    return tf.reduce_sum(tf.where(tf.expand_dims(chosen, -1), values, tf.zeros_like(values)), axis=-2)
