"""Head of many classes with a softmax over a linear function of hidden units."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.heads.categorical import Categorical
from tfar.heads.hidden import SMOOTHING, HiddenHead, logits_of


@keras.saving.register_keras_serializable("tfar")
class DenseSoftmax(HiddenHead):
    """Site with the values `0 .. num_classes - 1` and a softmax, whose output layer belongs to the head.

        p(x = k | h) = exp(b_k + U_k h) / sum_j exp(b_j + U_j h)

    It is `Categorical` for large vocabularies: the network gives the hidden units h, and `log_prob` and its gradient never
    hold the logits of all words of all sites.

    The parameters are h and a last number that multiplies the bias, which networks set to 1. A temperature T divides all of
    them by T.

    Args:
        num_classes: int from 2 to 2**24, K.
        units: int. Number of hidden units h.
        counts: None, or the number of times that each class occurs in training data, `[num_classes]`: the initial bias
            then gives the classes these frequencies.
        seed: int. Determines the initial kernel.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> head = DenseSoftmax(4, units=2, counts=[1, 1, 1, 97])
        >>> round(float(tf.exp(head.log_prob([[0.0, 0.0, 1.0]], [3.0]))[0]), 2)
        0.97
    """

    @property
    def num_logits(self) -> int:
        return self.num_classes

    def initial_bias(self) -> Any:
        logs = np.log(np.asarray(self.counts) + SMOOTHING)
        return (logs - logs.mean()).astype(np.float32)

    def build(self, input_shape: Any = None) -> None:
        self._softmax = Categorical(self.num_classes)
        super().build(input_shape)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self._of_rows(_log_prob_of_rows, params, [x], self.num_classes)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._interval_prob(self._logits(params), lower, upper, site)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._sample(self._logits(params), noise, site)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        def of_rows(params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, *layer: tf.Tensor) -> tf.Tensor:
            return self._softmax._noise(logits_of(params, *layer), x, uniform[:, None], None)[:, 0]

        noise = self._of_rows(of_rows, params, [x, uniform[..., 0]], self.num_classes)
        return tf.expand_dims(noise, -1)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.nn.softmax(self._logits(params))


def _log_prob_of_rows(params: tf.Tensor, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    log_probs = tf.nn.log_softmax(logits_of(params, kernel, bias))
    return tf.gather(log_probs, tf.cast(x, tf.int32), axis=1, batch_dims=1)
