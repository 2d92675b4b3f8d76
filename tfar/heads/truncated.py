"""A head restricted to its most probable classes."""

from typing import Any

import tensorflow as tf

from tfar.heads.base import Head, check_positive_int, is_number
from tfar.heads.categorical import Categorical
from tfar.heads.formulas import Formulas
from tfar.heads.numerics import is_class, sum_where
from tfar.heads.wrapper import Wrapper


class Truncated(Wrapper):
    """The conditionals of a head restricted to their most probable classes, and normalised.

        p(x = k) = q(k) / sum_{j in S} q(j) for k in S,    else 0

    q are the probabilities of the head, sorted from the largest; of equal ones the lower class comes first. S consists of
    the first `top_k` classes, and of these the smallest number of first ones whose share of their sum is at least `top_p`.
    Rounding decides which classes are in S if their probabilities differ by less than it.

    A method holds the probabilities of all classes of all sites. A draw uses the first of the numbers in `noise`.

    Args:
        head: head of a scalar site with a finite number of values.
        top_k: None, or int of at least 1. A number above that of the classes keeps all.
        top_p: None, or float or scalar tensor in (0, 1].
    """

    def __init__(self, head: Head, top_k: int | None = None, top_p: Any = None, **kwargs: Any) -> None:
        super().__init__(head, **kwargs)
        self.top_k, self.top_p = top_k, top_p
        self._softmax = Categorical(head.support().num_values or 0)

    def _kept(self, probs: tf.Tensor) -> tf.Tensor:
        """Returns which classes are in S, bool `[..., K]`."""
        size = self._softmax.num_classes
        probs = tf.stop_gradient(probs)
        values, order = tf.math.top_k(probs, k=size if self.top_k is None else min(self.top_k, size))
        if self.top_p is None:
            least, last = values[..., -1:], order[..., -1:]
        else:
            below = tf.cumsum(values, axis=-1, exclusive=True)
            first = below < self.top_p * tf.reduce_sum(values, axis=-1, keepdims=True)
            least = tf.reduce_min(tf.where(first, values, tf.ones_like(values)), axis=-1, keepdims=True)
            is_least = tf.logical_and(first, tf.equal(values, least))
            last = tf.reduce_max(tf.where(is_least, order, tf.zeros_like(order)), axis=-1, keepdims=True)
        classes = tf.range(size, dtype=tf.int32)
        return tf.logical_or(probs > least, tf.logical_and(tf.equal(probs, least), classes <= last))

    def _truncated(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns the probabilities of the classes, 0 outside S and not normalised, `[..., K]`."""
        probs = self.head._probs(params, site)
        return tf.where(self._kept(probs), probs, tf.zeros_like(probs))

    def _logits(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.math.log(self._truncated(params, site))

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        probs = self.head._probs(params, site)
        kept = self._kept(probs)
        total = sum_where(kept, probs)
        chosen = tf.logical_and(kept, is_class(x - self.support().low, self._softmax.num_classes))
        # Its logarithm is 0 or -inf; TFLite would make a constant -inf a finite number.
        inside = tf.cast(tf.reduce_any(chosen, axis=-1), tf.float32)
        return self.head._log_prob(params, x, site) - tf.math.log(total) + tf.math.log(inside)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        probs = self._truncated(params, site)
        return probs / tf.reduce_sum(probs, axis=-1, keepdims=True)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return self.support().low + self._softmax._sample(self._logits(params, site), noise, None)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        first = self._softmax._noise(self._logits(params, site), x - self.support().low, uniform, None)
        return tf.concat([first, uniform[..., 1:]], axis=-1)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        low = self.support().low
        return self._softmax._interval_prob(self._logits(params, site), lower - low, upper - low, None)


def check_truncates(head: Head) -> None:
    """Raises ValueError if the conditionals of a head have no list of classes."""
    name, support = type(head).__name__, head.support()
    if support.num_values is None or head.site_shape:
        raise ValueError(
            "Expected a head of scalar sites with finitely many values, such as Categorical or DenseSoftmax; "
            f"{name} has {support} of shape {head.site_shape}."
        )
    if type(head)._probs is Formulas._probs:
        raise ValueError(f"Expected a head that defines `probs`; {name} does not.")
    head.probs(tf.zeros([head.num_sites or 1, head.params_size]), tf.range(head.num_sites or 1))


def check_top_k(top_k: Any) -> int:
    """Returns `top_k` if it is an int of at least 1, else raises ValueError."""
    return check_positive_int("top_k", top_k)


def check_top_p(top_p: Any) -> float:
    """Returns `top_p` as a float if it is a number in (0, 1], else raises ValueError."""
    if not is_number(top_p) or not 0.0 < top_p <= 1.0:
        raise ValueError(f"Expected `top_p` to be a number above 0 and at most 1; received {top_p!r}.")
    return float(top_p)
