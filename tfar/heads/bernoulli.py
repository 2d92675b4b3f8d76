"""Head of a binary site."""

from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import Head
from tfar.heads.numerics import point_in, softplus
from tfar.heads.support import Support


@keras.saving.register_keras_serializable("tfar")
class Bernoulli(Head):
    """Binary site with one logit, which may be infinite.

        p(x = 1) = 1 / (1 + exp(-logit)),    log p(x) = -softplus((1 - 2 x) logit)

    A draw is 1 if the noise is at least p(x = 0), which inverts the distribution function.

    Example:
        >>> round(float(Bernoulli().log_prob([[0.0]], [1.0])[0]), 4)
        -0.6931
    """

    discrete = True

    @property
    def params_size(self) -> int:
        return 1

    def support(self, site: int | None = None) -> Support:
        return Support(0.0, 1.0, discrete=True)

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return params / temperature

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return -softplus((1.0 - 2.0 * x) * params[..., 0])

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        # No cast from bool: the TFLite converter cannot convert a comparison of such a value with 0, as in `in_support`.
        return tf.where(noise[..., 0] >= tf.sigmoid(-params[..., 0]), 1.0, 0.0)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        zero = tf.sigmoid(-params[..., 0])
        low, high = tf.where(x > 0.0, zero, tf.zeros_like(zero)), tf.where(x > 0.0, tf.ones_like(zero), zero)
        return point_in(low, high, uniform[..., 0])[..., None]

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        probs = self._probs(params, site)
        holds = [tf.logical_and(lower <= value, value <= upper) for value in (0.0, 1.0)]
        zero, one = (tf.where(holds[k], probs[..., k], tf.zeros_like(probs[..., k])) for k in (0, 1))
        return tf.where(tf.logical_and(*holds), tf.ones_like(zero), zero + one)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.sigmoid(tf.concat([-params, params], axis=-1))

    def _class_logits(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.concat([tf.zeros_like(params), params], axis=-1)
