"""The mathematics of an autoregressive density on a flat batch: no shapes of TFP, no eager or compiled modes.

Values are float32 `[B, *event_shape]` and every method is a pure function in plain ops, fit for a graph, for XLA and for an
exported signature. A row whose value is outside the support is NaN, and only that row.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfar import random, samplers
from tfar.heads import Head
from tfar.heads.numerics import logaddexp
from tfar.heads.tempered import Tempered, check_temperature
from tfar.networks import AutoregressiveNetwork
from tfar.networks.base import flatten_condition
from tfar.networks.permutations import inverted, observed_first

METHODS = ("ancestral", "fixed_point", "naive")


class Density:
    """Scores, draws and completes flat batches with a network and a head.

    Args:
        network: the network.
        head: the head.
        order: None for the orders of the network's members, or int32 `[num_sites]` for all of them.
        temperature: float. At another than 1 the sites follow `conditional`, the head at that temperature.
    """

    def __init__(self, network: AutoregressiveNetwork, head: Head, order: Any = None, temperature: float = 1.0) -> None:
        self.network = network
        self.head = head
        self.order = order
        self.temperature = check_temperature(temperature)
        self.conditional = head if self.temperature == 1.0 else Tempered(head, temperature)

    # Scores ----------------------------------------------------------------------------------------------------------

    def log_prob(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Log-probability `[B]`: of an ensemble, the mean of the members' probabilities of the whole event."""
        if self.network.num_members == 1:
            return self.member_log_prob(x, conditional_input, 0)
        x, valid = self._supported(x, conditional_input)
        total = self._log_mean_exp(lambda k: tf.reduce_sum(self._member_log_probs(x, conditional_input, k), axis=-1))
        return _nan_unless(valid, total)

    def member_log_prob(self, x: tf.Tensor, conditional_input: Any, member: Any) -> tf.Tensor:
        """Log-probability `[B]` under one member of an ensemble, an int or an int32 scalar.

        A site outside the support makes the sum of its row NaN, which spares a pass over the values that looks for such rows.
        In an ensemble the mean over the members would carry that NaN into the gradients.
        """
        supported, _ = self._supported(x, conditional_input)
        total = tf.reduce_sum(self._member_log_probs(x, conditional_input, member, seen=supported), axis=-1)
        return self._nan_unless_finite(conditional_input, total)

    def site_log_probs(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Each site's share of the log-probability, `[B, num_sites]`; the shares of a row sum to its `log_prob`.

        It is the log-probability of the site given the sites before it. Members of an ensemble with different orders have no
        common past: there it is their average, weighted with the members' probabilities given the row, and what the sum lacks
        is spread evenly.
        """
        x, valid = self._supported(x, conditional_input)
        if self.network.num_members == 1:
            shares = self._member_log_probs(x, conditional_input, 0)
        elif self._shared_order() is not None:
            shares = self._shares_of_shared_order(x, conditional_input)
        else:
            shares = self._shares_of_orders(x, conditional_input)
        return _nan_unless(valid[:, None], shares)

    def observed_log_prob(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Log-probability `[B]` of the observed sites; NaN for a row whose pattern the order does not allow.

        Args:
            x: float32 `[B, *event_shape]`. What is not observed is ignored, NaN included.
            observed: bool `[B, num_sites]`.
            conditional_input: as the network takes it.
        """
        x, valid = self._supported(x, conditional_input, observed)
        if self.allows_any_order:
            return _nan_unless(
                valid, self._log_mean_exp(lambda k: self._walk_log_prob(x, observed, conditional_input, k))
            )
        total = self._log_mean_exp(lambda k: self._prefix_log_prob(x, observed, conditional_input, k))
        return _nan_unless(tf.logical_and(valid, self.is_prefix(observed)), total)

    def training_loss(
        self, x: tf.Tensor, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What training minimises, `[B]`: the network's weighted sum of negative log-probabilities of the sites.

        All that is random in it, such as masks, follows from `seed`, int32 `[2]`. Of a row that is `observed` in part, bool
        `[B, num_sites]`, the rest is ignored, NaN included.
        """
        x, valid = self._supported(x, conditional_input, observed)
        params, weights = self.network.training_pass(self._encoded(x), conditional_input, seed, observed)
        log_probs = self.conditional.training_log_prob(params, self._sites(x), seed, self._site_numbers)
        if weights is not None:
            log_probs *= weights
        return _nan_unless(valid, -tf.reduce_sum(log_probs, axis=-1))

    def _member_log_probs(
        self, x: tf.Tensor, conditional_input: Any, member: Any, seen: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Log-probabilities of the sites, `[B, num_sites]`, of rows which the network sees as `seen`, if that is given."""
        inputs = x if seen is None else seen
        encoded = self._encoded(inputs)
        params = self.network(encoded, conditional_input, member=member, order=self.order, training=False)
        return self.conditional.log_prob(params, self._sites(x), self._site_numbers)

    def _prefix_log_prob(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any, member: Any) -> tf.Tensor:
        log_probs = self._member_log_probs(x, conditional_input, member)
        return tf.reduce_sum(tf.where(observed, log_probs, tf.zeros_like(log_probs)), axis=-1)

    def _walk_log_prob(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any, member: Any) -> tf.Tensor:
        members = tf.fill([tf.shape(x)[0]], member)
        noise = tf.fill([tf.shape(x)[0], self.network.num_sites, self.head.noise_size], 0.5)
        return self._walk(noise, conditional_input, members, self._sites(x), observed).log_prob

    def _log_mean_exp(self, member_log_prob: Any) -> tf.Tensor:
        """log(mean_k exp(member_log_prob(k))), one member at a time."""
        count = self.network.num_members
        total = member_log_prob(0)
        if count == 1:
            return total
        _, total = tf.while_loop(
            lambda k, _: k < count,
            lambda k, total: (k + 1, logaddexp(total, member_log_prob(k))),
            (tf.constant(1), total),
            maximum_iterations=count - 1,
        )
        return total - math.log(count)

    def _shares_of_shared_order(self, x: tf.Tensor, conditional_input: Any) -> tf.Tensor:
        """Differences of the log-probability of longer and longer prefixes."""
        order = self._shared_order()

        def prefixes(k: Any) -> tf.Tensor:
            return tf.cumsum(tf.gather(self._member_log_probs(x, conditional_input, k), order, axis=1), axis=1)

        total = self._log_mean_exp(prefixes)
        shares = total - tf.concat([tf.zeros_like(total[:, :1]), total[:, :-1]], axis=1)
        return tf.gather(shares, inverted(order), axis=1)

    def _shares_of_orders(self, x: tf.Tensor, conditional_input: Any) -> tf.Tensor:
        def body(k: tf.Tensor, total: tf.Tensor, average: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            log_probs = self._member_log_probs(x, conditional_input, k)
            log_prob = tf.reduce_sum(log_probs, axis=-1)
            new_total = logaddexp(total, log_prob)
            weight = tf.exp(log_prob - new_total)[:, None]
            return k + 1, new_total, average * (1.0 - weight) + log_probs * weight

        first, count = self._member_log_probs(x, conditional_input, 0), self.network.num_members
        start = (tf.constant(1), tf.reduce_sum(first, axis=-1), first)
        _, total, average = tf.while_loop(lambda k, *_: k < count, body, start, maximum_iterations=count - 1)
        rest = total - math.log(count) - tf.reduce_sum(average, axis=-1)
        return average + rest[:, None] / self.network.num_sites

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(self, seeds: tf.Tensor, conditional_input: Any = None, method: str = "ancestral") -> tf.Tensor:
        """Draws a row for each seed, `[B, *event_shape]`; row i is a function of `seeds[i]` and its condition."""
        return self.sample_from_noise(self.noise(seeds), conditional_input, self.ensemble_noise(seeds), method)

    def noise(self, seeds: tf.Tensor) -> tf.Tensor:
        """Uniform noise `[B, num_sites, noise_size]` of int32 seeds `[B, 2]`."""
        flat = random.uniform(seeds, self.network.num_sites * self.head.noise_size)
        return tf.reshape(flat, [-1, self.network.num_sites, self.head.noise_size])

    def member_noise(self, seeds: tf.Tensor) -> tf.Tensor:
        """Uniform noise `[B]` that selects the member of an ensemble."""
        return random.uniform(seeds, 1, stream=random.MEMBER)[:, 0]

    def ensemble_noise(self, seeds: tf.Tensor) -> tf.Tensor | None:
        """`member_noise`, or None where there is one member and nothing to select."""
        return self.member_noise(seeds) if self.network.num_members > 1 else None

    def sample_from_noise(
        self, noise: tf.Tensor, conditional_input: Any = None, member_noise: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws rows from uniform noise; `member_noise [B]` is needed of an ensemble alone."""
        if method == "fixed_point":
            return self.fixed_point(noise, conditional_input, member_noise)[0]
        member = self._uniform_member(member_noise)
        if method == "naive":
            sites = samplers.naive(
                self.network, self.conditional, noise, conditional_input, member=member, order=self.order
            )
        else:
            sites = self._walk(noise, conditional_input, member).sites
        return self._event(self._nan_unless_finite(conditional_input, sites))

    def fixed_point(
        self, noise: tf.Tensor, conditional_input: Any = None, member_noise: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `sample_from_noise` by fixed-point iteration: values and the number of passes."""
        member = self._uniform_member(member_noise)
        sites, passes = samplers.fixed_point(
            self.network, self.conditional, noise, conditional_input, member=member, order=self.order
        )
        return self._event(self._nan_unless_finite(conditional_input, sites)), passes

    def complete(self, x: tf.Tensor, observed: tf.Tensor, seeds: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Draws the sites that are not observed given those that are, `[B, *event_shape]`.

        The law is that of an order which puts the observed sites first. A member of an ensemble is drawn with its probability
        given the observed sites. A row whose pattern the order does not allow is NaN.
        """
        x, valid = self._supported(x, conditional_input, observed)
        member = self._posterior_member(x, observed, conditional_input, self.ensemble_noise(seeds))
        sites = self._walk(self.noise(seeds), conditional_input, member, self._sites(x), observed).sites
        if not self.allows_any_order:
            valid = tf.logical_and(valid, self.is_prefix(observed))
        return self._event(_nan_unless(tf.reshape(valid, [-1] + [1] * (sites.shape.rank - 1)), sites))

    def _walk(
        self, noise: tf.Tensor, conditional_input: Any, member: Any, given: Any = None, observed: Any = None
    ) -> samplers.Walk:
        order = None
        if observed is not None and self.allows_any_order:
            order = self._observed_first(observed, member)
        elif self.order is not None:
            order = tf.tile(tf.constant(self.order)[None], [tf.shape(noise)[0], 1])
        return samplers.walk(
            self.network,
            self.conditional,
            noise,
            conditional_input,
            member=member,
            order=order,
            given=given,
            observed=observed,
        )

    def _uniform_member(self, member_noise: Any) -> tf.Tensor | None:
        count = self.network.num_members
        if count == 1:
            return None
        return tf.minimum(tf.cast(tf.floor(member_noise * count), tf.int32), count - 1)

    def _posterior_member(
        self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any, noise: tf.Tensor | None
    ) -> tf.Tensor | None:
        """Draws a member with weight proportional to its probability of the observed sites."""
        count = self.network.num_members
        if count == 1:
            return None

        def score(k: Any) -> tf.Tensor:
            if self.allows_any_order:
                return self._walk_log_prob(x, observed, conditional_input, k)
            return self._prefix_log_prob(x, observed, conditional_input, k)

        def body(k: tf.Tensor, total: tf.Tensor, member: tf.Tensor, rest: tf.Tensor) -> tuple:
            log_prob = score(k)
            total = logaddexp(total, log_prob)
            share = tf.exp(log_prob - total)
            taken = rest < share
            rest = tf.where(taken, rest / share, (rest - share) / tf.maximum(1.0 - share, 1e-30))
            return k + 1, total, tf.where(taken, tf.fill(tf.shape(member), k), member), rest

        start = (tf.constant(1), score(tf.constant(0)), tf.zeros([tf.shape(x)[0]], tf.int32), noise)
        return tf.while_loop(lambda k, *_: k < count, body, start, maximum_iterations=count - 1)[2]

    # Orders and patterns ---------------------------------------------------------------------------------------------

    @property
    def allows_any_order(self) -> bool:
        """Whether any pattern can be observed, because any order can be asked for."""
        return self.network.any_order and self.order is None

    def _shared_order(self) -> Any:
        if self.order is not None:
            return tf.constant(self.order)
        return tf.constant(self.network.orders[0]) if len(self.network.orders) == 1 else None

    def is_prefix(self, observed: tf.Tensor) -> tf.Tensor:
        """Whether the observed sites `[B, num_sites]` come first in the order of every member, bool `[B]`."""
        orders = tf.constant(self.network.orders if self.order is None else self.order[None])
        by_step = tf.gather(tf.cast(observed, tf.int32), orders, axis=1)
        return tf.reduce_all(by_step[..., :-1] >= by_step[..., 1:], axis=[1, 2])

    def _observed_first(self, observed: tf.Tensor, member: Any) -> tf.Tensor:
        """The order of each row's member with the observed sites moved to the front, int32 `[B, num_sites]`."""
        member = tf.zeros([tf.shape(observed)[0]], tf.int32) if member is None else member
        return observed_first(self.network.row_orders(member), observed)

    # Shapes and supports ---------------------------------------------------------------------------------------------

    def _sites(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, self.network.num_sites, *self.head.site_shape])

    @property
    def _site_numbers(self) -> Any:
        return np.arange(self.network.num_sites)

    def _encoded(self, x: tf.Tensor) -> tf.Tensor:
        """Values as the network sees them."""
        return self._event(self.head.encode_inputs(self._sites(x), self._site_numbers))

    def _event(self, sites: tf.Tensor) -> tf.Tensor:
        return tf.reshape(sites, [-1, *self.network.event_shape])

    def _supported(
        self, x: tf.Tensor, conditional_input: Any, observed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Values with 0 in place of what is not observed or not in the support, and whether each row is in it, `[B]`."""
        sites = self._sites(x)
        supported = self.head.in_support(sites, self._site_numbers)
        keep = supported if observed is None else tf.logical_and(supported, observed)
        valid = supported if observed is None else tf.logical_or(supported, tf.logical_not(observed))
        keep = tf.reshape(keep, [-1, self.network.num_sites] + [1] * len(self.head.site_shape))
        valid = tf.reduce_all(valid, axis=-1)
        for row_is_finite in self._finite_rows(conditional_input):
            valid = tf.logical_and(valid, row_is_finite)
        return self._event(tf.where(keep, sites, tf.zeros_like(sites))), valid

    def bad_row_marks(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Zeros `[B]`, and NaN for a row whose value is outside the support or whose condition is not finite."""
        _, valid = self._supported(x, conditional_input)
        return _nan_unless(valid, tf.zeros(tf.shape(valid)))

    def _finite_rows(self, conditional_input: Any) -> list[tf.Tensor]:
        """Whether each row of the condition is made of finite numbers, bool `[B]`; nothing without a condition."""
        if conditional_input is None:
            return []
        features = flatten_condition(conditional_input, self.network.conditional_shape)
        return [tf.reduce_all(tf.abs(features) <= tf.float32.max, axis=-1)]

    def _nan_unless_finite(self, conditional_input: Any, sites: tf.Tensor) -> tf.Tensor:
        for row_is_finite in self._finite_rows(conditional_input):
            sites = _nan_unless(tf.reshape(row_is_finite, [-1] + [1] * (sites.shape.rank - 1)), sites)
        return sites


def _nan_unless(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    return tf.where(valid, values, tf.constant(float("nan"), tf.float32))
