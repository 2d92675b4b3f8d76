"""Heads of a real-valued site: mixtures of normals and of Laplaces."""

import abc
import math
import statistics
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfar.heads import numerics
from tfar.heads.base import Head, check_positive_int
from tfar.heads.numerics import is_class, logsumexp, raw_scale_of, select_class, softplus, sum_where
from tfar.heads.support import Support

# Limit on the distance from the location of a component, in units of its scale, and on inputs of networks. It prevents
# overflow of squares and of their gradients.
LIMIT = 1e9
# Nodes of the quadrature that computes an entropy, and how many of them are held in memory at once.
ENTROPY_NODES = 256
NODES_AT_ONCE = 8


class LocationScaleMixture(Head):
    """Mixture of K location-scale components.

    The parameter vector holds K logits, K locations and K unconstrained scales, in this order:

        p(x) = sum_k softmax(logits)[k] f((x - loc[k]) / scale[k]) / scale[k],    scale = min_scale + softplus(raw_scale)

    A draw uses two uniform numbers: the first selects the component, and the second selects the quantile of that
    component.

    Distances from a location are limited to 1e9 scales, so that every log-probability is finite.

    The entropy is `-sum_k softmax(logits)[k] E_k[log p(x)]` with each expectation computed by the midpoint rule at 256
    nodes t, which are mapped to the quantiles `u = t - sin(2 pi t) / (2 pi)` of component k so that the integrand
    vanishes smoothly at both ends.

    Args:
        num_components: int, K.
        min_scale: float. Smallest scale; bounds the density that a single value can reach.

    Raises:
        ValueError: If `num_components` is less than 1 or `min_scale` is not positive.
    """

    noise_size = 2
    # Raising the density of a component to the power 1 / T multiplies its scale by T to this power.
    _scale_power: float
    # The component with location 0 and scale 1: variance, distribution function, mass of an interval, quantile function.
    _standard_variance: float
    _standard_cdf: Callable[[tf.Tensor], tf.Tensor]
    _standard_interval: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    _standard_quantile: Callable[[tf.Tensor], tf.Tensor]

    def __init__(self, num_components: int = 10, min_scale: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive_int("num_components", num_components)
        if not 0.0 < min_scale < math.inf:
            raise ValueError(f"Expected `min_scale` to be positive and finite; received {min_scale!r}.")
        self.min_scale = float(min_scale)

    @property
    def reparameterized(self) -> bool:
        return self.num_components == 1  # With several components, the choice of one is not differentiable.

    @property
    def params_size(self) -> int:
        return 3 * self.num_components

    def support(self, site: int | None = None) -> Support:
        return Support()

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return tf.minimum(tf.maximum(tf.cast(x, tf.float32), -LIMIT), LIMIT)

    def components(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Splits parameters `[..., 3 K]` into logits, loc and scale, each `[..., K]`."""
        logits, loc, raw_scale = tf.split(tf.cast(params, tf.float32), 3, axis=-1)
        return logits, loc, self.min_scale + softplus(raw_scale)

    def scale_location_gradients(self, params: tf.Tensor) -> tf.Tensor:
        """Returns the same parameters; the gradient of each location is multiplied by the scale of its component.

        The gradient of a location grows as 1 / scale. The multiplication keeps narrow components from dominating the
        update.
        """
        logits, loc, raw_scale = tf.split(tf.cast(params, tf.float32), 3, axis=-1)
        scale = tf.stop_gradient(self.min_scale + softplus(raw_scale))
        # The difference is exactly zero, so it changes only the gradient of loc and not its value.
        loc = tf.stop_gradient(loc) + scale * (loc - tf.stop_gradient(loc))
        return tf.concat([logits, loc, raw_scale], axis=-1)

    def initial_params(self) -> list[float]:
        """Returns initial parameters for standardised data: equal weights, scale 1, evenly spread locations.

        The locations differ because components that start equal stay equal: their gradients are the same.
        """
        shares = [(k + 0.5) / self.num_components for k in range(self.num_components)]
        loc = [statistics.NormalDist().inv_cdf(share) for share in shares]
        raw_scale = math.log(math.expm1(max(1.0 - self.min_scale, self.min_scale)))
        return [0.0] * self.num_components + loc + [raw_scale] * self.num_components

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        raw_scale = raw_scale_of(scale * temperature**self._scale_power, self.min_scale)
        return tf.concat([logits / temperature, loc, raw_scale], axis=-1)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return logsumexp(self._joint_log_probs(params, x))

    def _joint_log_probs(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns log p(component, x), `[..., K]`."""
        logits, loc, scale = self.components(params)
        z = standardized(tf.expand_dims(x, -1), loc, scale)
        return tf.nn.log_softmax(logits) + self._standard_log_prob(z) - tf.math.log(scale)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        chosen = is_class(select_class(logits, noise[..., 0]), self.num_components)
        return sum_where(chosen, loc) + sum_where(chosen, scale) * self._standard_quantile(noise[..., 1])

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        component = select_class(self._joint_log_probs(params, x), uniform[..., 0])
        selects = numerics.point_in(*numerics.class_interval(logits, component), uniform[..., 1])
        z = sum_where(is_class(component, self.num_components), standardized(tf.expand_dims(x, -1), loc, scale))
        return numerics.open_unit(tf.stack([selects, self._standard_cdf(z)], axis=-1))

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        return self._mix(logits, self._standard_cdf((tf.expand_dims(x, -1) - loc) / scale))

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        low, high = ((tf.expand_dims(edge, -1) - loc) / scale for edge in (lower, tf.maximum(lower, upper)))
        return self._mix(logits, self._standard_interval(low, high))

    def _mix(self, logits: tf.Tensor, of_components: tf.Tensor) -> tf.Tensor:
        return tf.minimum(tf.reduce_sum(tf.nn.softmax(logits) * of_components, axis=-1), 1.0)

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        logits, loc, scale = self.components(params)
        weights = tf.nn.softmax(logits)
        mean = tf.reduce_sum(weights * loc, axis=-1)
        of_components = self._standard_variance * tf.square(scale) + tf.square(loc - mean[..., None])
        return mean, tf.reduce_sum(weights * of_components, axis=-1)

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        t = (tf.range(ENTROPY_NODES // 2, dtype=tf.float64) + 0.5) / ENTROPY_NODES
        u, density = t - tf.sin(2.0 * math.pi * t) / (2.0 * math.pi), 1.0 - tf.cos(2.0 * math.pi * t)
        left = self._standard_quantile(tf.cast(u, tf.float32))  # the right half follows by symmetry, with all digits
        nodes = tf.reshape(tf.concat([left, -left], 0), [-1, NODES_AT_ONCE])
        weights = tf.reshape(tf.cast(tf.tile(density, [2]) / ENTROPY_NODES, tf.float32), [-1, NODES_AT_ONCE])

        def body(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            x = loc[..., None] + scale[..., None] * nodes[i]
            log_prob = self._log_prob(params[..., None, None, :], x, site)
            return i + 1, total + tf.reduce_sum(weights[i] * log_prob, axis=-1)

        count, start = ENTROPY_NODES // NODES_AT_ONCE, (tf.constant(0), tf.zeros_like(loc))
        expected = tf.while_loop(lambda i, _: i < count, body, start, maximum_iterations=count)[1]
        return -tf.reduce_sum(tf.nn.softmax(logits) * expected, axis=-1)

    @abc.abstractmethod
    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of the component with location 0 and scale 1."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components, "min_scale": self.min_scale}


@keras.saving.register_keras_serializable("tfar")
class NormalMixture(LocationScaleMixture):
    """Mixture of normals; see `LocationScaleMixture` for the parameters.

    The mode has a closed form for one component only.

    Example:
        >>> round(float(NormalMixture(1).log_prob([[0.0, 0.0, 0.5413]], 0.0)[0]), 3)
        -0.919

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013.
    """

    _scale_power = 0.5
    _standard_variance = 1.0
    _standard_cdf = staticmethod(numerics.normal_cdf)
    _standard_interval = staticmethod(numerics.normal_interval)
    _standard_quantile = staticmethod(numerics.normal_quantile)

    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        if self.num_components > 1:
            raise NotImplementedError("The mode of a mixture of several normals has no closed form.")
        return self.components(params)[1][..., 0]


@keras.saving.register_keras_serializable("tfar")
class LaplaceMixture(LocationScaleMixture):
    """Mixture of Laplace distributions, `f(z) = exp(-|z|) / 2`; see `LocationScaleMixture` for the parameters.

    Between the locations the density is convex, so the mode is the location with the highest density.

    Example:
        >>> round(float(LaplaceMixture(1).log_prob([[0.0, 0.0, 0.5413]], 0.0)[0]), 3)
        -0.693

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013.
    """

    _scale_power = 1.0
    _standard_variance = 2.0
    _standard_cdf = staticmethod(numerics.laplace_cdf)
    _standard_interval = staticmethod(numerics.laplace_interval)
    _standard_quantile = staticmethod(numerics.laplace_quantile)

    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -tf.abs(z) - math.log(2.0)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        loc = self.components(params)[1]
        highest = tf.argmax(self._log_prob(params[..., None, :], loc, site), axis=-1)
        return tf.gather(loc, highest, batch_dims=loc.shape.rank - 1)


def standardized(x: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Returns (x - loc) / scale, clipped to -LIMIT .. LIMIT.

    The difference is clipped before the division, because a gradient through an infinite quotient would be NaN.
    """
    bound = tf.stop_gradient(tf.minimum(LIMIT * scale, tf.float32.max))
    return tf.minimum(tf.maximum(x - loc, -bound), bound) / scale
