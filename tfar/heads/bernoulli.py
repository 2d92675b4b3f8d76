"""Head of a binary site."""

import keras
import tensorflow as tf

from tfar.heads.base import Head
from tfar.heads.numerics import softplus


@keras.saving.register_keras_serializable("tfar")
class Bernoulli(Head):
    """Binary site with one logit.

        p(x = 1) = 1 / (1 + exp(-logit)),    log p(x) = -softplus((1 - 2 x) logit)

    A draw is 1 if the noise is at least p(x = 0), which inverts the distribution function.

    Example:
        >>> round(float(Bernoulli().log_prob([[0.0]], [1.0])[0]), 4)
        -0.6931
    """

    discrete = True
    num_classes = 2

    @property
    def params_size(self) -> int:
        return 1

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        return params / temperature

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        return tf.logical_or(tf.equal(x, 0.0), tf.equal(x, 1.0))

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return -softplus((1.0 - 2.0 * x) * params[..., 0])

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return tf.cast(noise[..., 0] >= tf.sigmoid(-params[..., 0]), tf.float32)

    def _probs(self, params: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(tf.concat([-params, params], axis=-1))
