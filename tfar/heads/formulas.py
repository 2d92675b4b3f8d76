"""The formulas of a conditional, which the classes of heads write, with defaults that follow from the others."""

import abc
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from tfar.heads.numerics import smallest_float
from tfar.heads.support import Support

# Largest number of joint values of a site that is enumerated.
MAX_JOINT_VALUES = 2**16
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


class Formulas(abc.ABC):
    """The part of a head that its subclasses write, on float32 tensors of checked shapes; see `tfar.heads.Head`.

    A head defines `_cdf`, or `_interval_prob` if its values have a lowest one. The defaults of the mean, the variance, the
    entropy and the mode are sums over a finite support, and that of the quantile is a bisection of `_cdf`.
    """

    site_shape: tuple[int, ...] = ()
    discrete: bool = False

    @abc.abstractmethod
    def support(self, site: int | None = None) -> Support:
        """Returns the support of a site or of each of its channels; None selects the union over all sites."""

    @abc.abstractmethod
    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns the log-probability of values in the support."""

    @abc.abstractmethod
    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        """Inverts the distribution function."""

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        return self._log_prob(params, x, site)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`noise`")

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        self._lacks("`tempered`")

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns elementwise whether a value is in the support."""
        support = self.support()
        within = tf.logical_and(tf.abs(x) <= tf.float32.max, tf.logical_and(x >= support.low, x <= support.high))
        return tf.logical_and(within, tf.equal(x, tf.floor(x))) if support.discrete else within

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        if type(self)._interval_prob is Formulas._interval_prob:
            self._lacks("`cdf`")
        return self._interval_prob(params, tf.fill(tf.shape(x), self.support().low), x, site)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        below = tf.math.ceil(lower) - 1.0 if self.discrete else lower
        return tf.maximum(self._cdf(params, upper, site) - self._cdf(params, below, site), 0.0)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`probs`")

    def _class_logits(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`class_logits`")

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and variance, both `[..., *site_shape]`."""
        values, probs, rank = self._all_values(), self._probs(params, site), len(self.site_shape)
        probs = tf.reshape(probs, tf.concat([tf.shape(probs), [1] * rank], 0))
        mean = tf.reduce_sum(probs * values, axis=-1 - rank, keepdims=True)
        return tf.squeeze(mean, -1 - rank), tf.reduce_sum(probs * tf.square(values - mean), axis=-1 - rank)

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        self._all_values()  # refuses a support that is not finite
        probs = self._probs(params, site)
        return -tf.reduce_sum(tf.math.xlogy(probs, probs), axis=-1)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.gather(self._all_values(), tf.argmax(self._probs(params, site), axis=-1))

    def _quantile(self, params: tf.Tensor, p: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns the smallest float32 x with cdf(x) >= p; all sites must have the same support."""
        shape, support = tf.broadcast_dynamic_shape(tf.shape(params)[:-1], tf.shape(p)), self.support()
        value_shape = tf.concat([shape, [1] * len(self.site_shape)], 0)
        p = tf.broadcast_to(p, shape)

        def cdf(x: tf.Tensor) -> tf.Tensor:
            return self._cdf(params, tf.reshape(x, value_shape), site)

        # Rounding may keep the cdf below a p near 1 everywhere.
        highest = cdf(tf.fill(shape, min(support.high, tf.float32.max)))
        x = smallest_float(lambda x: cdf(x) >= tf.minimum(p, highest), shape)
        # TensorFlow compares denormal numbers as 0, so that the search ends at one of them instead of 0.
        inside = tf.round(x) if self.discrete else x
        inside = tf.where(tf.abs(x) < (0.5 if self.discrete else _SMALLEST_NORMAL), 0.0, inside)
        # Of finitely many values, the highest may have probability 0.
        last = inside if support.num_values is not None else support.high
        x = tf.where(p > 0.0, tf.where(p < 1.0, inside, last), support.low)
        return tf.reshape(tf.where(tf.math.is_nan(p), p, x), value_shape)

    def _all_values(self) -> tf.Tensor:
        """Returns all values of a site with a finite support, `[num, *site_shape]`, in lexicographic order.

        Raises:
            ValueError: If the support is not finite, or there are more than `MAX_JOINT_VALUES` joint values of channels.
        """
        support, channels = self.support(), int(np.prod(self.site_shape, dtype=int))
        if support.num_values is None:
            raise ValueError(
                f"Expected a head with finitely many values; those of {type(self).__name__} are {support}."
            )
        if channels > 1 and support.num_values**channels > MAX_JOINT_VALUES:
            raise ValueError(
                f"Expected at most {MAX_JOINT_VALUES} joint values of the channels, as all are listed; received "
                f"{support.num_values}**{channels}. `log_prob` gives the probability of one of them."
            )
        grid = np.indices([support.num_values] * channels).reshape(channels, -1).T + support.low
        return tf.constant(grid.reshape(-1, *self.site_shape), tf.float32)

    def _lacks(self, what: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} does not define {what}.")
