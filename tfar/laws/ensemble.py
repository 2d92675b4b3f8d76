"""Ensemble of members, which averages their probabilities of whole events.

p(x) = (1 / K) sum_k p_k(x)
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar.heads.numerics import logaddexp
from tfar.laws.member import Member
from tfar.networks.permutations import inverted


class Ensemble:
    """Averages the probabilities of members, one member at a time.

    Args:
        member: a function that maps an int or int32 scalar k to the k-th member, and int32 `[B]` to the members of rows.
        num_members: int, K. A single member keeps its own law.
        shared_order: the order that all members share, int32 `[N]`, or None if they have different orders.
    """

    def __init__(self, member: Callable[[Any], Member], num_members: int, shared_order: Any = None) -> None:
        self.member, self.num_members, self.shared_order = member, num_members, shared_order

    # Scores take the arguments of `Member.site_log_probs`.

    def log_prob(self, *given: Any) -> tf.Tensor:
        """Returns the log-probability of each row, `[B]`."""
        return self.log_mean_exp(lambda member: member.log_prob(*given))

    def log_mean_exp(self, score: Callable[[Member], tf.Tensor]) -> tf.Tensor:
        """Returns `log(mean_k exp(score(member_k)))`."""
        if self.num_members == 1:
            return score(self.member(0))
        _, total = tf.while_loop(
            lambda k, _: k < self.num_members,
            lambda k, total: (k + 1, logaddexp(total, score(self.member(k)))),
            (tf.constant(1), score(self.member(0))),
            maximum_iterations=self.num_members - 1,
        )
        return total - math.log(self.num_members)

    def site_log_probs(self, *given: Any) -> tf.Tensor:
        """Returns the contribution of each site to the log-probability, `[B, N]`; a row sums to its `log_prob`.

        With a shared order, the contribution is the log-probability of the site given the sites before it. Members with
        different orders condition a site on different sites. The contribution is then the mean of the members'
        log-probabilities of the site, weighted by the posterior probabilities of the members given the row, plus an
        equal share of the remainder of the log-probability.

        Of a row that no member can draw, the contributions of sites after an impossible one, in a shared order, are 0.
        """
        if self.num_members == 1:
            return self.member(0).site_log_probs(*given)
        if self.shared_order is None:
            return self._weighted_shares(*given)
        order = self.shared_order
        prefixes = self.log_mean_exp(
            lambda member: tf.cumsum(tf.gather(member.site_log_probs(*given), order, axis=1), axis=1)
        )
        before = tf.concat([tf.zeros_like(prefixes[:, :1]), prefixes[:, :-1]], axis=1)
        shares = tf.where(tf.equal(before, -float("inf")), tf.zeros_like(prefixes), prefixes - before)
        return tf.gather(shares, inverted(order), axis=1)

    def _weighted_shares(self, *given: Any) -> tf.Tensor:
        def body(k: tf.Tensor, total: tf.Tensor, average: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            log_probs = self.member(k).site_log_probs(*given)
            log_prob = tf.reduce_sum(log_probs, axis=-1)
            new_total = logaddexp(total, log_prob)
            weight = _share(log_prob, new_total, k)[:, None]
            return k + 1, new_total, _times(average, 1.0 - weight) + _times(log_probs, weight)

        first, count = self.member(0).site_log_probs(*given), self.num_members
        start = (tf.constant(1), tf.reduce_sum(first, axis=-1), first)
        _, total, average = tf.while_loop(lambda k, *_: k < count, body, start, maximum_iterations=count - 1)
        possible = total > -float("inf")
        rest = tf.where(possible, total - math.log(count) - tf.reduce_sum(average, axis=-1), tf.zeros_like(total))
        return average + rest[:, None] / tf.cast(tf.shape(average)[1], tf.float32)

    def drawn(self, noise: tf.Tensor | None) -> Member:
        """Returns a member for each row, drawn uniformly by noise `[B]` in (0, 1)."""
        return self.member(0 if self.num_members == 1 else self.select(noise))

    def drawn_given(self, noise: tf.Tensor, *given: Any) -> Member:
        """Returns a member for each row, drawn from the posterior given the row by noise `[B]` in (0, 1)."""
        if self.num_members == 1:
            return self.member(0)
        return self.member(self.select_posterior(lambda member: member.log_prob(*given), noise))

    def select(self, noise: tf.Tensor) -> tf.Tensor:
        """Selects a member uniformly for each row: int32 `[B]` from noise in (0, 1)."""
        return tf.minimum(tf.cast(tf.floor(noise * self.num_members), tf.int32), self.num_members - 1)

    def select_posterior(self, score: Callable[[Member], tf.Tensor], noise: tf.Tensor) -> tf.Tensor:
        """Selects a member for each row with a probability proportional to `exp(score(member))`: int32 `[B]`."""

        def body(k: tf.Tensor, total: tf.Tensor, chosen: tf.Tensor, rest: tf.Tensor) -> tuple:
            log_prob = score(self.member(k))
            total = logaddexp(total, log_prob)
            share = _share(log_prob, total, k)
            is_taken = rest < share
            # The rescaled noise is again uniform and decides between this member and the next ones.
            rest = tf.where(is_taken, rest / share, (rest - share) / tf.maximum(1.0 - share, 1e-30))
            return k + 1, total, tf.where(is_taken, tf.fill(tf.shape(chosen), k), chosen), rest

        count = self.num_members
        start = (tf.constant(1), score(self.member(tf.constant(0))), tf.zeros(tf.shape(noise), tf.int32), noise)
        return tf.while_loop(lambda k, *_: k < count, body, start, maximum_iterations=count - 1)[2]


def _share(log_prob: tf.Tensor, total: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
    """Returns the share `[B]` of member k in the probability of the members up to k; an equal one if it is 0."""
    possible = total > -float("inf")
    return tf.where(possible, tf.exp(log_prob - total), 1.0 / tf.cast(k + 1, tf.float32))


def _times(log_probs: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Returns the product, 0 where the weight is 0 and the log-probability -inf."""
    return tf.where(weight > 0.0, log_probs * weight, tf.zeros_like(log_probs))
