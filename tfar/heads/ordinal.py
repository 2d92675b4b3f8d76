"""Head of a site with ordered classes, such as a rating."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.heads.base import MAX_WHOLE, Head, check_positive_int
from tfar.heads.categorical import Categorical
from tfar.heads.numerics import logsumexp, sum_where
from tfar.heads.support import Support

# Largest number of classes whose scores are a product of matrices, which is several times faster than `tf.cumsum` without XLA.
MOST_SUMMED = 32


@keras.saving.register_keras_serializable("tfar")
class Ordinal(Head):
    """Site with the ordered values `lowest .. lowest + num_classes - 1` (as floats).

    A softmax over cumulative sums of the parameters:

        s_k = params_1 + ... + params_k,    p(x = lowest + k - 1) = exp(s_k) / sum_j exp(s_j)

    The parameters of a class are also part of the scores of all higher classes, so that rare classes learn from frequent
    neighbours.

    Training can also minimise the ordinal cost of the k-th class: the negative log-probability of the rankings
    k, k - 1, .., 1 and k, k + 1, .., K under Plackett-Luce models with the scores s. It is not a likelihood; `log_prob` is
    always that of the softmax.

        ordinal_cost(k) = - sum_{j <= k} log(exp(s_j) / sum_{t <= j} exp(s_t))
                          - sum_{j >= k} log(exp(s_j) / sum_{t >= j} exp(s_t))
        training_log_prob = (1 - ordinal_weight) log_prob - ordinal_weight * ordinal_cost

    Args:
        num_classes: int of at least 2, K.
        lowest: int. The lowest value. Default: 1, as for ratings.
        cumulative: bool. Whether the scores are cumulative sums; otherwise they are the parameters. Default: True.
        ordinal_weight: float in [0, 1]. Weight of the ordinal cost in training. Default: 0.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> stars = Ordinal(5)
        >>> stars.distribution([[0.0, 0.0, 0.0, 0.0, 50.0]]).mean().numpy()
        array([5.], dtype=float32)

    References:
        Zheng, Tang, Ding and Zhou. A neural autoregressive approach to collaborative filtering. ICML 2016, sections 3.2 and
        4.2. https://arxiv.org/abs/1605.09477
    """

    discrete = True

    def __init__(
        self,
        num_classes: int,
        *,
        lowest: int = 1,
        cumulative: bool = True,
        ordinal_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_positive_int("num_classes", num_classes, lowest=2)
        self.lowest = check_positive_int("lowest", lowest, lowest=-MAX_WHOLE)
        if self.lowest + self.num_classes - 1 > MAX_WHOLE:
            raise ValueError(f"Expected values of at most 2**24; received {num_classes} values from {lowest}.")
        if isinstance(ordinal_weight, bool) or not 0.0 <= float(ordinal_weight) <= 1.0:
            raise ValueError(f"Expected `ordinal_weight` to be a number in [0, 1]; received {ordinal_weight!r}.")
        self.cumulative, self.ordinal_weight = bool(cumulative), float(ordinal_weight)
        self._softmax = Categorical(self.num_classes)

    @property
    def params_size(self) -> int:
        return self.num_classes

    def support(self, site: int | None = None) -> Support:
        return Support(float(self.lowest), self.lowest + self.num_classes - 1.0, discrete=True)

    def _scores(self, params: tf.Tensor) -> tf.Tensor:
        if not self.cumulative:
            return params
        if self.num_classes > MOST_SUMMED:
            return tf.cumsum(params, axis=-1)
        up_to = np.triu(np.ones([self.num_classes, self.num_classes], np.float32))
        return tf.tensordot(params, up_to, 1)

    def input_levels(self, site: int) -> tuple[float, ...]:
        return tuple(self.lowest + level for level in self._softmax.input_levels(site))

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return params / temperature

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._log_prob(self._scores(params), x - self.lowest, site)

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        log_prob = self._log_prob(params, x, site)
        if self.ordinal_weight == 0.0:
            return log_prob
        cost = _ordinal_cost(self._scores(params), x - self.lowest)
        return (1.0 - self.ordinal_weight) * log_prob - self.ordinal_weight * cost

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._sample(self._scores(params), noise, site) + self.lowest

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._noise(self._scores(params), x - self.lowest, uniform, site)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        return self._softmax._interval_prob(self._scores(params), lower - self.lowest, upper - self.lowest, site)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.nn.softmax(self._scores(params))

    def get_config(self) -> dict[str, Any]:
        own = ("num_classes", "lowest", "cumulative", "ordinal_weight")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _ordinal_cost(scores: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
    """Returns the ordinal cost of classes `[...]`, numbered from 0, for scores `[..., K]`."""
    num_classes = scores.shape[-1]
    up_to = np.tril(np.ones([num_classes, num_classes], bool))  # [j, t]: t <= j
    classes, own, cost = tf.range(num_classes, dtype=tf.float32), tf.expand_dims(k, -1), tf.zeros_like(k)
    for among, ranked in ((up_to, classes <= own), (up_to.T, classes >= own)):
        candidates = tf.where(among, scores[..., None, :], -float("inf"))
        cost += sum_where(ranked, logsumexp(candidates) - scores)
    return cost
