"""Head of a pixel: a mixture of discretised logistics with linearly coupled channels."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfar.heads import numerics
from tfar.heads.base import MAX_WHOLE, Head, check_positive_int, is_number
from tfar.heads.numerics import is_class, logsumexp, raw_scale_of, select_class, softplus
from tfar.heads.support import Support
from tfar.layers.companding import compand, companded_width, expand

# The smallest scale in units of half the range of up to 256 values.
_MIN_SCALE = float(np.exp(-7.0))


class Components(NamedTuple):
    """Parameters of K components and C channels, in units of half the range.

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
    """Mixture of discretised logistics for a pixel of C channels with integer values `low .. high`.

    With y = 2 (x - low) / (high - low) - 1, and h = 1 / (high - low), half the width of the interval of a value,

        p(x) = sum_k softmax(logits)[k] prod_c [F((f(y_c + h) - m_kc) / s_kc) - F((f(y_c - h) - m_kc) / s_kc)]
        m_kc = loc_kc + sum_{b < c} coefficient_kcb f(y_b),    s = softplus(raw_scale) + min_scale,    F(z) = 1 / (1 + exp(-z))

    The interval of `low` begins at minus infinity and that of `high` ends at infinity, so that the probabilities of the
    values of each channel sum to 1. By default f(y) = y. With `companding=mu`, f is the mu-law,

        f(y) = sign(y) ln(1 + mu |y|) / ln(1 + mu)

    Most samples of audio are small compared with the range of 16 bits. The mu-law spreads them over the range, so that the
    network need not learn locations to so many digits.

    The parameter vector holds for each component its logit, C locations, C raw
    scales and C (C - 1) / 2 coefficients.

    A draw uses 1 + C uniform numbers. The first selects the component, and each of the others gives the value of a
    channel through its inverse distribution function. The location of a channel depends on the values of the channels
    drawn before it. A pixel of several channels has no scalar distribution function: `cdf`, `interval_prob` and
    `quantile` need one channel.

    Args:
        num_components: int, K.
        low: int. The lowest value, at least -2**24.
        high: int. The highest value, at most 2**24 and at most `low + 2**23`.
        num_channels: int, C.
        companding: positive float or None. The mu of the mu-law; 255 for audio of 16 bits.

    Attributes:
        min_scale: float. The smallest scale in units of half the range: exp(-7) for up to 256 values, as in the paper's code,
            and for more values exp(-7) * 255 / (high - low), which is the same share of the distance between two values.
            For 16 bits its logarithm is -12.5.

    Raises:
        ValueError: If `num_components` or `num_channels` is less than 1, or `low` or `high` is out of range, or
            `companding` is not positive.

    Example:
        >>> head = DiscretizedLogisticMixture(num_components=1, high=1, num_channels=1)
        >>> round(float(head.log_prob(tf.zeros([1, 3]), [[1.0]])[0]), 4)
        -0.6931

    References:
        Salimans, Karpathy, Chen and Kingma. PixelCNN++: Improving the PixelCNN with discretized logistic mixture likelihood and
        other modifications. ICLR 2017, sections 2.1 and 2.2. https://arxiv.org/abs/1701.05517
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.2: the mu-law.
        https://arxiv.org/abs/1609.03499

    Notes:
        The authors' code bounds the coefficients by tanh and the logarithm of the scale at -7 from below; here the coefficients
        are free, as in the paper, and the scale is a softplus plus its smallest value, as in TensorFlow Probability.
    """

    discrete = True

    def __init__(
        self,
        num_components: int = 10,
        low: int = 0,
        high: int = 255,
        num_channels: int = 3,
        *,
        companding: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive_int("num_components", num_components)
        self.num_channels = check_positive_int("num_channels", num_channels)
        if any(isinstance(v, bool) or int(v) != v for v in (low, high)) or not low < high:
            raise ValueError(f"Expected whole numbers `low` < `high`; received {low!r} and {high!r}.")
        if max(abs(low), abs(high), 2 * (high - low)) > MAX_WHOLE:
            raise ValueError(
                "Expected `low` and `high` within -2**24 .. 2**24 and at most 2**23 apart, as float32 holds no halves beyond; "
                f"received {low!r} and {high!r}."
            )
        if companding is not None and not (is_number(companding) and 0.0 < companding < np.inf):
            raise ValueError(f"Expected `companding` to be a positive number or None; received {companding!r}.")
        self.low, self.high = int(low), int(high)
        self.companding = None if companding is None else float(companding)
        self._top = float(self.high - self.low)
        self.min_scale = _MIN_SCALE * min(1.0, 255.0 / self._top)
        self.site_shape = (self.num_channels,)
        self.noise_size = 1 + self.num_channels
        self._num_coefficients = self.num_channels * (self.num_channels - 1) // 2

    @property
    def params_size(self) -> int:
        return self.num_components * (1 + 2 * self.num_channels + self._num_coefficients)

    def components(self, params: tf.Tensor) -> Components:
        """Splits parameters `[..., params_size]`."""
        logits, loc, raw_scale, coefficients = self._split(params)
        return Components(logits[..., 0], loc, softplus(raw_scale) + self.min_scale, coefficients)

    def _split(self, params: tf.Tensor) -> list[tf.Tensor]:
        sizes = [1, self.num_channels, self.num_channels, self._num_coefficients]
        shape = tf.concat([tf.shape(params)[:-1], [self.num_components, sum(sizes)]], 0)
        return tf.split(tf.reshape(params, shape), sizes, axis=-1)

    def initial_params(self) -> list[float]:
        """Returns zeros, but locations that are spread evenly over the values of a channel.

        Components that start equal stay equal at a site without inputs, because their gradients are the same.
        """
        count, rest = self.num_channels, [0.0] * (self.num_channels + self._num_coefficients)
        locations = [(2 * k + 1) / self.num_components - 1.0 for k in range(self.num_components)]
        return [number for loc in locations for number in (0.0, *[loc] * count, *rest)]

    def support(self, site: int | None = None) -> Support:
        return Support(float(self.low), float(self.high), discrete=True)

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        logits, loc, raw_scale, coefficients = self._split(params)
        raw_scale = raw_scale_of((softplus(raw_scale) + self.min_scale) * temperature, self.min_scale)
        return tf.reshape(tf.concat([logits / temperature, loc, raw_scale, coefficients], axis=-1), tf.shape(params))

    # Values are represented as levels from 0, and locations and scales are in the same units, after the mu-law if there is
    # one. Both neighbours of an edge between two values then use the same number for it, so that sums over the values telescope.

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return logsumexp(self._joint_log_probs(self.components(params), x - float(self.low)))

    def _joint_log_probs(self, parts: Components, level: tf.Tensor) -> tf.Tensor:
        """Returns log p(component, x), `[..., K]`."""
        total = tf.nn.log_softmax(parts.logits)
        for channel in range(self.num_channels):
            loc = self._location(parts, [level[..., None, c] for c in range(channel)])
            scale = self._to_levels(parts.scale[..., channel])
            total += self._log_mass(level[..., None, channel], level[..., None, channel], loc, scale)
        return total

    def _location(self, parts: Components, before: list[tf.Tensor]) -> tf.Tensor:
        """Returns the location, in levels, of the channel after `before`: `[..., K]`, or `[...]` for one component."""
        channel = len(before)
        loc, first = parts.loc[..., channel], channel * (channel - 1) // 2
        for i, level in enumerate(before):
            loc += parts.coefficients[..., first + i] * (self._companded(level) * (2.0 / self._top) - 1.0)
        return self._to_levels(loc + 1.0)

    def _to_levels(self, values: tf.Tensor) -> tf.Tensor:
        return values * (0.5 * self._top)

    def _log_mass(self, lowest: tf.Tensor, highest: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns log(F(a) - F(b)) for the levels lowest .. highest with edges b and a."""
        above, below = self._companded(highest + 0.5), self._companded(lowest - 0.5)
        width = highest - lowest + 1.0
        if self.companding is not None:
            unit = 2.0 / self._top
            width = self._to_levels(companded_width(self._centred(lowest - 0.5) * unit, width * unit, self.companding))
        return numerics.logistic_log_mass(
            (below - loc) / scale, (above - loc) / scale, width / scale, lowest <= 0.0, highest >= self._top
        )

    def _centred(self, level: tf.Tensor) -> tf.Tensor:
        """Returns the distance from the middle of the range, which is exact."""
        return level - 0.5 * self._top

    def _companded(self, level: tf.Tensor) -> tf.Tensor:
        """Applies f to levels, or to edges between two levels; the result is in levels again."""
        if self.companding is None:
            return level
        return self._to_levels(compand(self._centred(level) * (2.0 / self._top), self.companding) + 1.0)

    def _nearest(self, companded: tf.Tensor) -> tf.Tensor:
        """Returns the level whose interval holds a companded number."""
        level = companded
        if self.companding is not None:
            level = self._to_levels(expand(self._centred(companded) * (2.0 / self._top), self.companding) + 1.0)
        return tf.minimum(tf.maximum(tf.floor(level + 0.5), 0.0), self._top)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        parts = self.components(params)
        one = self._component(parts, select_class(parts.logits, noise[..., 0]))
        quantile = tf.math.log(noise[..., 1:]) - tf.math.log(1.0 - noise[..., 1:])
        levels: list[tf.Tensor] = []
        for channel in range(self.num_channels):
            loc, scale = self._location(one, levels), self._to_levels(one.scale[..., channel])
            levels.append(self._nearest(loc + scale * quantile[..., channel]))
        return tf.stack(levels, axis=-1) + float(self.low)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        parts, level = self.components(params), x - float(self.low)
        joint = self._joint_log_probs(parts, level)
        component = select_class(joint, uniform[..., 0])
        # The position of the uniform number within the interval of the selected component is again uniform.
        low, high = numerics.class_interval(joint, component)
        rest = (uniform[..., 0] - low) / tf.maximum(high - low, 1e-30)
        noise = [numerics.point_in(*numerics.class_interval(parts.logits, component), rest)]
        one = self._component(parts, component)
        for channel in range(self.num_channels):
            loc = self._location(one, [level[..., c] for c in range(channel)])
            scale, own = self._to_levels(one.scale[..., channel]), level[..., channel]
            low, high = (tf.sigmoid((self._companded(own + half) - loc) / scale) for half in (-0.5, 0.5))
            low = tf.where(own > 0.0, low, tf.zeros_like(low))
            high = tf.where(own < self._top, high, tf.ones_like(high))
            noise.append(numerics.point_in(low, high, uniform[..., 1 + channel]))
        return numerics.open_unit(tf.stack(noise, axis=-1))

    def _component(self, parts: Components, component: tf.Tensor) -> Components:
        """Returns the parameters of one component `[...]`, without the axis of components."""
        chosen = tf.expand_dims(is_class(component, self.num_components), -1)
        pick = [tf.reduce_sum(tf.where(chosen, part, tf.zeros_like(part)), axis=-2) for part in parts[1:]]
        return Components(parts.logits, *pick)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        parts = self.components(params)
        lowest = tf.maximum(tf.math.ceil(lower) - float(self.low), 0.0)
        highest = tf.minimum(tf.floor(upper) - float(self.low), self._top)
        empty, highest = (highest < lowest)[..., 0], tf.maximum(highest, lowest)
        scale = self._to_levels(parts.scale[..., 0])
        log_mass = self._log_mass(lowest, highest, self._location(parts, []), scale)
        mass = tf.reduce_sum(tf.nn.softmax(parts.logits) * tf.exp(log_mass), axis=-1)
        return tf.where(empty, tf.zeros_like(mass), tf.minimum(mass, 1.0))

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.exp(self._log_prob(tf.expand_dims(params, -2), self._all_values(), site))

    def get_config(self) -> dict[str, Any]:
        names = ("num_components", "low", "high", "num_channels", "companding")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
