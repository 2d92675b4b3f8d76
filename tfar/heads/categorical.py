"""Head of a site with K classes."""

from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import Head, check_positive_int
from tfar.heads.numerics import select_class


@keras.saving.register_keras_serializable("tfar")
class Categorical(Head):
    """Site with the values `0 .. num_classes - 1` (as floats) and a softmax over them.

        p(x = k) = exp(logits[k]) / sum_j exp(logits[j])

    Args:
        num_classes: int, at least 2.

    Raises:
        ValueError: If `num_classes` is less than 2.

    Example:
        >>> round(float(Categorical(4).log_prob(tf.zeros([1, 4]), [3.0])[0]), 4)
        -1.3863
    """

    discrete = True
    num_classes: int

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_positive_int("num_classes", num_classes, lowest=2)

    @property
    def params_size(self) -> int:
        return self.num_classes

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        return params / temperature

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        within = tf.logical_and(x >= 0.0, x <= self.num_classes - 1.0)
        return tf.logical_and(within, tf.equal(x, tf.floor(x)))

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        classes = tf.range(self.num_classes, dtype=tf.float32)
        chosen = tf.cast(tf.equal(tf.expand_dims(x, -1), classes), tf.float32)
        return tf.reduce_sum(tf.nn.log_softmax(params) * chosen, axis=-1)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return select_class(params, noise[..., 0])

    def _probs(self, params: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(params)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
