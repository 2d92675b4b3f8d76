"""Heads of a real-valued site: mixtures of normals and of Laplaces."""

import abc
import math
import statistics
from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import Head, check_positive_int
from tfar.heads.numerics import laplace_quantile, logsumexp, normal_quantile, raw_scale_of, select_class, softplus


class LocationScaleMixture(Head):
    """Mixture of K location-scale components.

    The parameter vector holds K logits, K locations and K unconstrained scales, in this order:

        p(x) = sum_k softmax(logits)[k] f((x - loc[k]) / scale[k]) / scale[k],    scale = min_scale + softplus(raw_scale)

    A draw uses two uniform numbers: the first selects the component, the second its quantile.

    Args:
        num_components: int, K.
        min_scale: float. Smallest scale; bounds the density that a single value can reach.

    Raises:
        ValueError: If `num_components` is less than 1 or `min_scale` is not positive.
    """

    noise_size = 2
    # The power of T by which a component's scale changes when its density is taken to the power 1 / T.
    _scale_power: float

    def __init__(self, num_components: int = 10, min_scale: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive_int("num_components", num_components)
        if not min_scale > 0.0:
            raise ValueError(f"Expected `min_scale` to be positive; received {min_scale!r}.")
        self.min_scale = float(min_scale)

    @property
    def params_size(self) -> int:
        return 3 * self.num_components

    def components(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Splits parameters `[..., 3 K]` into logits, loc and scale, each `[..., K]`."""
        logits, loc, raw_scale = tf.split(tf.cast(params, tf.float32), 3, axis=-1)
        return logits, loc, self.min_scale + softplus(raw_scale)

    def scale_location_gradients(self, params: tf.Tensor) -> tf.Tensor:
        """The same parameters, but the gradient of each location is multiplied by the scale of its component.

        A location matters the more the narrower its component is: the step that its gradient asks for grows as 1 / scale. So
        scaled, it is the gradient with respect to the location in units of the scale.
        """
        logits, loc, raw_scale = tf.split(tf.cast(params, tf.float32), 3, axis=-1)
        scale = tf.stop_gradient(self.min_scale + softplus(raw_scale))
        # Equal to loc to the last bit: the difference is zero, and only its gradient is not.
        loc = tf.stop_gradient(loc) + scale * (loc - tf.stop_gradient(loc))
        return tf.concat([logits, loc, raw_scale], axis=-1)

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        raw_scale = raw_scale_of(scale * temperature**self._scale_power, self.min_scale)
        return tf.concat([logits / temperature, loc, raw_scale], axis=-1)

    def initial_params(self) -> list[float]:
        """Parameters for training to start from on standardised data: equal components of scale 1, side by side.

        Components that started as one would stay one, as their gradients would be the same.
        """
        shares = [(k + 0.5) / self.num_components for k in range(self.num_components)]
        loc = [statistics.NormalDist().inv_cdf(share) for share in shares]
        raw_scale = math.log(math.expm1(max(1.0 - self.min_scale, self.min_scale)))
        return [0.0] * self.num_components + loc + [raw_scale] * self.num_components

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        return tf.abs(x) <= tf.float32.max

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        z = (tf.expand_dims(x, -1) - loc) / scale
        return logsumexp(tf.nn.log_softmax(logits) + self._standard_log_prob(z) - tf.math.log(scale))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        logits, loc, scale = self.components(params)
        component = select_class(logits, noise[..., 0])
        chosen = tf.cast(
            tf.equal(tf.expand_dims(component, -1), tf.range(self.num_components, dtype=tf.float32)), tf.float32
        )
        quantile = self._standard_quantile(noise[..., 1])
        return tf.reduce_sum(chosen * loc, axis=-1) + tf.reduce_sum(chosen * scale, axis=-1) * quantile

    @abc.abstractmethod
    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Log-density of the component with location 0 and scale 1."""

    @abc.abstractmethod
    def _standard_quantile(self, p: tf.Tensor) -> tf.Tensor:
        """Its inverse distribution function."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components, "min_scale": self.min_scale}


@keras.saving.register_keras_serializable("tfar")
class NormalMixture(LocationScaleMixture):
    """Mixture of normals; see `LocationScaleMixture` for the parameters.

    Example:
        >>> round(float(NormalMixture(1).log_prob([[0.0, 0.0, 0.5413]], 0.0)[0]), 3)
        -0.919

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013.
    """

    _scale_power = 0.5

    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)

    def _standard_quantile(self, p: tf.Tensor) -> tf.Tensor:
        return normal_quantile(p)


@keras.saving.register_keras_serializable("tfar")
class LaplaceMixture(LocationScaleMixture):
    """Mixture of Laplace distributions, `f(z) = exp(-|z|) / 2`; see `LocationScaleMixture` for the parameters.

    Example:
        >>> round(float(LaplaceMixture(1).log_prob([[0.0, 0.0, 0.5413]], 0.0)[0]), 3)
        -0.693

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013.
    """

    _scale_power = 1.0

    def _standard_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -tf.abs(z) - math.log(2.0)

    def _standard_quantile(self, p: tf.Tensor) -> tf.Tensor:
        return laplace_quantile(p)
