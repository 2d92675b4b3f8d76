"""Head of a site with K classes."""

from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import MAX_LEVELS, MAX_WHOLE, Head, check_positive_int
from tfar.heads.numerics import class_interval, is_class, open_unit, point_in, select_class, sum_where
from tfar.heads.support import Support


@keras.saving.register_keras_serializable("tfar")
class Categorical(Head):
    """Site with the values `0 .. num_classes - 1` (as floats) and a softmax over them.

        p(x = k) = exp(logits[k]) / sum_j exp(logits[j])

    A class with the logit -inf has probability 0; at least one logit must be finite.

    Args:
        num_classes: int from 2 to 2**24, up to which float32 represents all whole numbers.

    Raises:
        ValueError: If `num_classes` is out of range.

    Example:
        >>> round(float(Categorical(4).log_prob(tf.zeros([1, 4]), [3.0])[0]), 4)
        -1.3863
    """

    discrete = True

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_positive_int("num_classes", num_classes, lowest=2)
        if self.num_classes > MAX_WHOLE:
            raise ValueError(f"Expected `num_classes` to be at most 2**24; received {num_classes}.")

    @property
    def params_size(self) -> int:
        return self.num_classes

    def support(self, site: int | None = None) -> Support:
        return Support(0.0, self.num_classes - 1.0, discrete=True)

    def input_levels(self, site: int) -> tuple[float, ...]:
        return tuple(map(float, range(self.num_classes))) if self.num_classes <= MAX_LEVELS else ()

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return params / temperature

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return sum_where(is_class(x, self.num_classes), tf.nn.log_softmax(params))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return select_class(params, noise[..., 0])

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        return open_unit(point_in(*class_interval(params, x), uniform[..., 0]))[..., None]

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        classes = tf.range(self.num_classes, dtype=tf.float32)
        inside = tf.logical_and(tf.expand_dims(lower, -1) <= classes, classes <= tf.expand_dims(upper, -1))
        return tf.minimum(sum_where(inside, self._probs(params, site)), 1.0)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.nn.softmax(params)

    def _class_logits(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return params

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
