"""Head of a site with counts or other whole numbers: a mixture of discretised logistics with open tails."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfar.heads import numerics
from tfar.heads.base import MAX_WHOLE, Head, check_positive_int
from tfar.heads.mixtures import standardized
from tfar.heads.numerics import is_class, logsumexp, raw_scale_of, select_class, softplus, sum_where
from tfar.heads.support import Support
from tfar.layers import Standardization

# The smallest scale of a component, as a share of the distance between two values.
MIN_SCALE = 0.1
# Values and edges of intervals are clipped to this number, so that no difference of two of them is NaN.
_FAR = 1e38
# Nodes of a component in an expectation, and how many of them are held in memory at once. Components of a smaller scale
# than `_WIDE` are summed over that many neighbouring values; wider ones are integrated at that many quantiles.
_NODES, _AT_ONCE, _WIDE = 256, 32, 8.0
# Scale of the logistic distribution with the standard deviation 1.
_UNIT_LOGISTIC = math.sqrt(3.0) / math.pi


@keras.saving.register_keras_serializable("tfar")
class Count(Head):
    """Mixture of K discretised logistics over the whole numbers from `low` on.

        p(x) = sum_k softmax(logits)[k] [F((x + 1/2 - m_k) / s_k) - F((x - 1/2 - m_k) / s_k)],    F(z) = 1 / (1 + exp(-z))
        m_k = loc + scale * location[k],    s_k = 0.1 + scale * softplus(raw_scale[k])

    The interval of `low` begins at minus infinity, so that the probabilities of all values from `low` on sum to 1. There is
    no highest value. The parameter vector holds K logits, K locations and K raw scales, in this order. Locations and scales
    are in the units `loc` and `scale`, which are non-trainable weights: they are given, or `adapt` sets them to the mean
    and the standard deviation of data; training calls `adapt` first if neither is given. The inputs of a network are
    the standardised values.

    A draw uses one uniform number: it selects the component, and its position within the interval of that component
    gives the value.

    Args:
        num_components: int, K.
        low: int, the lowest value, or None for all whole numbers. Default: 0.
        loc: None, or float: the location of the data.
        scale: None, or positive float: the scale of the data.

    Raises:
        ValueError: If `num_components` is less than 1, `low` is not a whole number within -2**24 .. 2**24, or `loc` or
            `scale` is out of range.

    Example:
        >>> head = Count(num_components=1, loc=3.0)
        >>> tf.exp(head.log_prob([[0.0, 0.0, 0.0]] * 3, [0.0, 3.0, 6.0])).numpy().round(3)
        array([0.041, 0.305, 0.029], dtype=float32)

    References:
        Salimans, Karpathy, Chen and Kingma. PixelCNN++: Improving the PixelCNN with discretized logistic mixture likelihood
        and other modifications. ICLR 2017, section 2.1. https://arxiv.org/abs/1701.05517

    Notes:
        The paper's values also have a highest one, which receives the mass above it; see `DiscretizedLogisticMixture`.
        float32 represents whole numbers exactly up to 2**24. Larger ones are accepted, but neighbours are not told apart.
    """

    discrete = True

    def __init__(
        self, num_components: int = 5, low: int | None = 0, loc: Any = None, scale: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive_int("num_components", num_components)
        self.low = None if low is None else check_positive_int("low", low, lowest=-MAX_WHOLE)
        if self.low is not None and self.low > MAX_WHOLE:
            raise ValueError(f"Expected `low` to be at most 2**24; received {low!r}.")
        self.units = Standardization((), loc, scale, dtype="float32", name="units")
        self._low = -_FAR if self.low is None else float(self.low)

    @property
    def params_size(self) -> int:
        return 3 * self.num_components

    def build(self, input_shape: Any = None) -> None:
        """Creates the location and the scale."""
        if not self.units.built:
            self.units.build()
        self.built = True

    @property
    def awaits_data(self) -> bool:
        return self.units.awaits_data

    def adapt(self, data: Any) -> None:
        """Sets `loc` and `scale` to the mean and the standard deviation of data, computed in float64.

        Args:
            data: array, or an iterable of arrays.
        """
        self.units.adapt(data)

    def support(self, site: int | None = None) -> Support:
        return Support(-math.inf if self.low is None else float(self.low), math.inf, discrete=True)

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return standardized(tf.cast(x, tf.float32), *self._units())

    def initial_params(self) -> list[float]:
        """Returns initial parameters for standardised data: equal weights, deviation 1, evenly spread locations."""
        shares = [(k + 0.5) / self.num_components for k in range(self.num_components)]
        loc = [statistics.NormalDist().inv_cdf(share) for share in shares]
        return [0.0] * self.num_components + loc + [math.log(math.expm1(_UNIT_LOGISTIC))] * self.num_components

    # Components, in the units of the values --------------------------------------------------------------------------

    def _units(self) -> tuple[tf.Tensor, tf.Tensor]:
        self._ensure_built()
        return tf.convert_to_tensor(self.units.loc), tf.convert_to_tensor(self.units.scale)

    def components(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Splits parameters `[..., 3 K]` into logits, locations and scales in units of the values, each `[..., K]`."""
        logits, location, raw_scale = tf.split(tf.cast(params, tf.float32), 3, axis=-1)
        loc, scale = self._units()
        return logits, loc + scale * location, MIN_SCALE + scale * softplus(raw_scale)

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        logits, location, raw_scale = tf.split(params, 3, axis=-1)
        share = MIN_SCALE / self._units()[1]
        raw_scale = raw_scale_of((softplus(raw_scale) + share) * temperature, share)
        return tf.concat([logits / temperature, location, raw_scale], axis=-1)

    def _log_mass(self, lowest: tf.Tensor, highest: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns log(F(a) - F(b)) for the values lowest .. highest with edges b and a."""
        above, below = standardized(highest + 0.5, loc, scale), standardized(lowest - 0.5, loc, scale)
        at_low = tf.logical_and(lowest <= self._low, tf.ones_like(below, tf.bool))
        # Without the maximum, TensorFlow's graph optimizer adds the 1 to a value first, which may lose it.
        width = (tf.maximum(highest - lowest, 0.0) + 1.0) / scale
        return numerics.logistic_log_mass(below, above, width, at_low, tf.zeros_like(at_low))

    def _joint_log_probs(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns log p(component, x), `[..., K]`."""
        logits, loc, scale = self.components(params)
        x = tf.minimum(tf.maximum(tf.expand_dims(x, -1), -_FAR), _FAR)
        return tf.nn.log_softmax(logits) + self._log_mass(x, x, loc, scale)

    # Densities and draws ---------------------------------------------------------------------------------------------

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return logsumexp(self._joint_log_probs(params, x))

    def _nearby(self, x: tf.Tensor, supported: tf.Tensor) -> tf.Tensor:
        return tf.where(supported, x, tf.zeros_like(x) + (0.0 if self.low is None else float(self.low)))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        component = select_class(logits, noise[..., 0])
        low, high = numerics.class_interval(logits, component)
        within = numerics.open_unit((noise[..., 0] - low) / tf.maximum(high - low, 1e-30))
        quantile = tf.math.log(within) - tf.math.log(1.0 - within)
        chosen = is_class(component, self.num_components)
        nearest = tf.floor(sum_where(chosen, loc) + sum_where(chosen, scale) * quantile + 0.5)
        return tf.minimum(tf.maximum(nearest, self._low), _FAR)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        joint = self._joint_log_probs(params, x)
        component = select_class(joint, uniform[..., 0])
        # The position of the uniform number within the interval of the selected component is again uniform.
        low, high = numerics.class_interval(joint, component)
        rest = (uniform[..., 0] - low) / tf.maximum(high - low, 1e-30)
        chosen = is_class(component, self.num_components)
        loc, scale = sum_where(chosen, loc), sum_where(chosen, scale)
        below = tf.where(x > self._low, tf.sigmoid(standardized(x - 0.5, loc, scale)), tf.zeros_like(x))
        within = numerics.point_in(below, tf.sigmoid(standardized(x + 0.5, loc, scale)), rest)
        noise = numerics.point_in(*numerics.class_interval(logits, component), within)
        return numerics.open_unit(tf.expand_dims(noise, -1))

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        highest = tf.minimum(tf.maximum(tf.floor(x), -_FAR), _FAR)
        below = tf.sigmoid(standardized(tf.expand_dims(highest, -1) + 0.5, loc, scale))
        total = tf.minimum(tf.reduce_sum(tf.nn.softmax(logits) * below, axis=-1), 1.0)
        return tf.where(x < self._low, tf.zeros_like(total), total)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        lowest = tf.minimum(tf.maximum(tf.math.ceil(lower), self._low), _FAR)
        highest = tf.minimum(tf.maximum(tf.floor(upper), -_FAR), _FAR)
        empty = tf.logical_or(highest < lowest, upper < self._low)
        lowest, highest = tf.expand_dims(lowest, -1), tf.expand_dims(tf.maximum(highest, lowest), -1)
        mass = tf.nn.softmax(logits) * tf.exp(self._log_mass(lowest, highest, loc, scale))
        total = tf.minimum(tf.reduce_sum(mass, axis=-1), 1.0)
        return tf.where(empty, tf.zeros_like(total), total)

    # Summaries -------------------------------------------------------------------------------------------------------

    def _nodes(self, numbers: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns some of the nodes of each component and their weights, both `[..., K, len(numbers)]`.

        Narrow components: the values around the location, with their masses. Wide ones: `low` with its mass, and
        quantiles of the rest, at which the mass of a value is the density.
        """
        loc, scale = tf.expand_dims(loc, -1), tf.expand_dims(scale, -1)
        values = tf.maximum(tf.round(loc), self._low) + numbers - _NODES // 2
        masses = tf.exp(self._log_mass(tf.maximum(values, self._low), tf.maximum(values, self._low), loc, scale))
        masses = tf.where(values < self._low, tf.zeros_like(masses), masses)
        if self.low is None:
            at_low = tf.zeros_like(loc)
        else:
            at_low = tf.sigmoid((self._low + 0.5 - loc) / scale)
        # The node 0 stands for `low`; the nodes 1 .. 255 divide (0, 1), with weights that vanish at its ends.
        t = numbers / _NODES
        share = t - tf.sin(2.0 * math.pi * t) / (2.0 * math.pi)
        rest = tf.maximum((1.0 - at_low) * (1.0 - share), 1e-30)
        quantile = loc + scale * (tf.math.log(tf.maximum(at_low + (1.0 - at_low) * share, 1e-30)) - tf.math.log(rest))
        first = tf.equal(numbers, 0.0)
        density = (1.0 - at_low) * (1.0 - tf.cos(2.0 * math.pi * t)) / _NODES
        wide = scale >= _WIDE
        x = tf.where(wide, tf.where(first, tf.zeros_like(quantile) + max(self._low, -MAX_WHOLE), quantile), values)
        return x, tf.where(wide, tf.where(first, at_low, density), masses)

    def _expectation(self, params: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Returns the expectation `[...]` of a function of values `[..., K, nodes]`."""
        logits, loc, scale = self.components(params)

        def body(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            numbers = tf.cast(i * _AT_ONCE + tf.range(_AT_ONCE), tf.float32)
            x, weights = self._nodes(numbers, loc, scale)
            return i + 1, total + tf.reduce_sum(weights * function(x), axis=-1)

        count, start = _NODES // _AT_ONCE, (tf.constant(0), tf.zeros_like(loc))
        expected = tf.while_loop(lambda i, _: i < count, body, start, maximum_iterations=count)[1]
        return tf.reduce_sum(tf.nn.softmax(logits) * expected, axis=-1)

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        logits, loc, scale = self.components(params)
        total = self._expectation(params, tf.ones_like)
        # Deviations from a nearby point keep the digits of a variance that is small beside the location.
        centre = tf.reduce_sum(tf.nn.softmax(logits) * loc, axis=-1)[..., None, None]
        mean = self._expectation(params, lambda x: x - centre) / total + centre[..., 0, 0]
        square = self._expectation(params, lambda x: tf.square(x - mean[..., None, None])) / total
        # The variance of a rounded number is larger by 1 / 12. What a component has at `low` is not rounded, and narrow
        # components are summed over the values already.
        rounded = tf.nn.softmax(logits) * tf.sigmoid((loc - self._low - 0.5) / scale)
        return mean, square + sum_where(scale >= _WIDE, rounded) / 12.0

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        wide = params[..., None, None, :]
        return -self._expectation(params, lambda x: self._log_prob(wide, tf.maximum(x, self._low), site))

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        if self.num_components > 1:
            raise NotImplementedError("The mode of a mixture of several discretised logistics has no closed form.")
        nearest = tf.maximum(tf.round(self.components(params)[1]), self._low)
        if self.low is None:
            return nearest[..., 0]
        candidates = tf.concat([nearest, tf.fill(tf.shape(nearest), self._low)], axis=-1)
        first = self._log_prob(params, candidates[..., 0], site) >= self._log_prob(params, candidates[..., 1], site)
        return tf.where(first, candidates[..., 0], candidates[..., 1])

    def get_config(self) -> dict[str, Any]:
        units = {name: self.units.get_config()[name] for name in ("loc", "scale")}
        return {**super().get_config(), "num_components": self.num_components, "low": self.low, **units}
