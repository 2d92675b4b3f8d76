"""Sampling-importance-resampling, one proposal at a time, so that memory does not grow with their number."""

from collections.abc import Callable

import tensorflow as tf

from tfar import random
from tfar.heads.numerics import logaddexp


def resampled(
    seeds: tf.Tensor, propose: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]], num_samples: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Chooses one of several proposals for each row with a probability proportional to its weight.

    A proposal replaces the choice among those before it with probability w_s / (w_1 + ... + w_s), which chooses proposal s
    of all with probability w_s / sum_t w_t.

    Args:
        seeds: int32 `[B, 2]`.
        propose: a function from seeds `[B, 2]` to proposals `[B, ...]` and their log weights `[B]`.
        num_samples: int. Number of proposals of each row.

    Returns:
        The chosen proposals `[B, ...]`, and the effective sample size of the weights, (sum_s w_s)^2 / sum_s w_s^2, `[B]`.

    References:
        Rubin. The calculation of posterior distributions by data augmentation: comment. JASA 82, 1987.
        Kong, Liu and Wong. Sequential imputations and Bayesian missing data problems. JASA 89, 1994: the size.
    """

    def body(
        s: tf.Tensor, chosen: tf.Tensor, total: tf.Tensor, squares: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        own = random.derived_seeds(seeds, s, random.Stream.IMPORTANCE)
        proposal, log_weight = propose(own)
        total, squares = logaddexp(total, log_weight), logaddexp(squares, 2.0 * log_weight)
        is_taken = random.uniform(own, 1, random.Stream.RESAMPLING)[:, 0] < tf.exp(log_weight - total)
        is_taken = tf.reshape(is_taken, [-1] + [1] * (chosen.shape.rank - 1))
        return s + 1, tf.where(is_taken, proposal, chosen), total, squares

    proposal, log_weight = propose(random.derived_seeds(seeds, 0, random.Stream.IMPORTANCE))
    start = (tf.constant(1), proposal, log_weight, 2.0 * log_weight)
    _, chosen, total, squares = tf.while_loop(
        lambda s, *_: s < num_samples, body, start, maximum_iterations=num_samples - 1
    )
    return chosen, tf.exp(2.0 * total - squares)
