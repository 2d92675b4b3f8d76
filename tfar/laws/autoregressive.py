"""The autoregressive law, which scores, draws and completes flat batches with a network and a head."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfar import random
from tfar.laws import samplers
from tfar.laws.autoregressive_signatures import autoregressive_signatures
from tfar.laws.bad_rows import nan_unless, served_conditions
from tfar.laws.members import Members
from tfar.laws.signature import Signature
from tfar.laws.streaming import Streaming
from tfar.laws.weights import reads_weights_once


class AutoregressiveLaw(Streaming, Members):
    """Law of events whose sites are decided step by step.

        log p(x) = sum_i log p(x_i | sites of earlier steps)

    It works on flat batches, float32 `[B, *event_shape]`, and uses only plain operations, which run in a graph, in XLA,
    in a SavedModel and in TFLite. The result of a row is NaN if a value is outside the support or the condition is not
    finite; other rows are not affected.

    Its arguments are those of `Members`.
    """

    # Scores ----------------------------------------------------------------------------------------------------------

    @reads_weights_once
    def log_prob(self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log-probability of each row in nats, `[B]`; an ensemble averages its members' probabilities.

        Args:
            x: float32 `[B, *event_shape]`.
            conditional_input: the conditional input of the network.
            observed: None, or bool `[B, N]`: the result is the log-probability of the observed sites. Other values are
                ignored, NaN included. The result of a row whose pattern the order does not allow is NaN.
        """
        x, valid = self._clean(x, conditional_input, observed)
        return nan_unless(valid, self.members_given(observed).log_prob(x, conditional_input, observed))

    @reads_weights_once
    def site_log_probs(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the contribution of each site to `log_prob`, `[B, N]`, and 0 at unobserved sites.

        For one member it is the log-probability of the site given the (observed) sites before it. For several, see
        `Ensemble.site_log_probs`.

        Raises:
            ValueError: If there are observed sites, and the orders of the members differ.
        """
        members = self.members_given(observed)
        if observed is not None and self.num_members > 1 and members.shared_order is None:
            raise ValueError(
                "Expected members of one order, as different orders condition a site on different sites; received an ensemble of "
                f"{self.num_members}. Choose one order with `with_order`, or take the sum over sites by `log_prob(observed=...)`."
            )
        x, valid = self._clean(x, conditional_input, observed)
        return nan_unless(valid, members.site_log_probs(x, conditional_input, observed))

    def training_loss(
        self,
        x: tf.Tensor,
        conditional_input: Any,
        seed: tf.Tensor,
        step: Any = 0,
        observed: tf.Tensor | None = None,
        site_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the training loss of each row, `[B]`: the weighted negative log-probabilities of the sites, summed.

        Args:
            x: float32 `[B, *event_shape]`.
            conditional_input: the conditional input of the network.
            seed: int32 `[2]`. Determines all randomness of the loss.
            step: int or int32 scalar. Number of the training step; not used by an autoregressive law.
            observed: None, or bool `[B, N]`. Only observed sites count. With a network of one order, they must come
                first in the order, for example a prefix of a sequence.
            site_weight: None, or float32 `[B, N]`, which multiplies the log-probabilities of the sites.
        """
        x, valid = self._clean(x, conditional_input, observed)
        params, weights = self.network.training_pass(self.encoded(x), conditional_input, seed, observed)
        if observed is not None and weights is None:
            weights = tf.cast(observed, tf.float32)
        member = self.member(0)
        values = member.values(x)
        log_probs = member.conditional.training_log_prob(params, values, seed, member.sites(tf.shape(values)[1]))
        for factor in (weights, site_weight):
            if factor is not None:  # A weight of 0 excludes a site even if its log-probability is not finite.
                log_probs = tf.where(tf.equal(factor, 0.0), tf.zeros_like(log_probs), log_probs * factor)
        return nan_unless(valid, -tf.reduce_sum(log_probs, axis=-1))

    def evaluate(
        self,
        seeds: tf.Tensor,
        x: tf.Tensor,
        conditional_input: Any = None,
        observed: tf.Tensor | None = None,
        site_weight: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row, `{"nll": [B]}`, in nats: the exact negative log-probability without dropout.

        Args:
            seeds: not used; present for laws whose evaluation draws samples.
            x, conditional_input, observed, site_weight: as in `training_loss`.
        """
        if site_weight is None:
            return {"nll": -self.log_prob(x, conditional_input, observed)}
        shares = self.site_log_probs(x, conditional_input, observed)
        # A weight of 0 excludes a site even if its log-probability is not finite.
        weighted = tf.where(tf.equal(site_weight, 0.0), tf.zeros_like(shares), shares * site_weight)
        return {"nll": -tf.reduce_sum(weighted, axis=-1)}

    def counted_sites(self, x: tf.Tensor, observed: tf.Tensor | None = None) -> tf.Tensor | None:
        """Returns which sites count as dimensions in averages such as bits per dimension, bool `[B, N]`, or None for all."""
        return observed

    # Conditionals ----------------------------------------------------------------------------------------------------

    def conditional_params(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the parameters of every site, `[B, N, P]`, for a law of one member.

        Each site is conditioned on the earlier sites, or, given `observed`, on the observed sites alone.

        Raises:
            ValueError: If there are observed sites, and the law does not allow any pattern of them.
        """
        if observed is not None and not self.allows_any_pattern:
            raise ValueError(f"Expected a law that allows any pattern of observed sites. {self.network.any_order_hint}")
        x, valid = self._clean(x, conditional_input, observed)
        if observed is None:
            return nan_unless(valid, self.member(0).params(x, conditional_input))
        params = self.network.params_given(self.encoded(x), observed, conditional_input)
        return nan_unless(valid, tf.cast(params, tf.float32))

    @reads_weights_once
    def noise(self, x: tf.Tensor, seeds: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns noise `[B, N, noise_size]` from which `sample_from_noise` draws x.

        The noise is uniform if the events follow this law. Whatever x does not determine, such as the position within
        the interval of a discrete value and the member of an ensemble, is drawn from `seeds`, int32 `[B, 2]`.
        """
        x, valid = self._clean(x, conditional_input)
        member = self.members.drawn_given(self.member_noise(seeds), x, conditional_input)
        params, values = member.params(x, conditional_input), member.values(x)
        count = tf.shape(values)[1]
        noise = member.conditional.noise(params, values, self.uniform_noise(seeds, count), member.sites(count))
        return nan_unless(valid, noise)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(
        self, seeds: tf.Tensor, conditional_input: Any = None, length: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws a row for each seed, `[B, *event_shape]`; row i depends only on `seeds[i]` and its condition.

        Args:
            seeds: int32 `[B, 2]`.
            conditional_input: the conditional input of the network.
            length: None, or the size of the first axis of an event whose length is not fixed.
            method: one of `samplers.METHODS`.
        """
        noise = self.uniform_noise(seeds, self.num_sites_of(length))
        return self.sample_from_noise(noise, conditional_input, self.member_noise(seeds), method)

    @reads_weights_once
    def sample_from_noise(
        self, noise: tf.Tensor, conditional_input: Any = None, member_noise: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws rows `[B, *event_shape]` from noise `[B, N, noise_size]`; an ensemble also needs `member_noise [B]`."""
        member = self.members.drawn(member_noise)
        valid = self._served_rows(conditional_input, noise)
        values = getattr(samplers, method)(member, noise, conditional_input)
        values = values[0] if method == "fixed_point" else values
        return nan_unless(valid, member.event(values))

    @reads_weights_once
    def sample_fixed_point(self, seeds: tf.Tensor, conditional_input: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws a row for each seed by fixed-point iteration; returns the rows and the number of passes."""
        member = self.members.drawn(self.member_noise(seeds))
        noise = self.uniform_noise(seeds)
        valid = self._served_rows(conditional_input, noise)
        values, passes = samplers.fixed_point(member, noise, conditional_input)
        return nan_unless(valid, member.event(values)), passes

    @reads_weights_once
    def complete(self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Draws the unobserved sites given the observed ones, `[B, *event_shape]`.

        The draws follow the law with an order that puts the observed sites first. The member of an ensemble is drawn
        from its posterior given the observed sites. A row whose pattern the order does not allow is NaN.
        """
        x, valid = self._clean(x, conditional_input, observed)
        members = self.members_given(observed)
        member = members.drawn_given(self.member_noise(seeds), x, conditional_input, observed)
        values = member.values(x)
        noise = self.uniform_noise(seeds, tf.shape(values)[1])
        values = samplers.ancestral(member, noise, conditional_input, given=values, observed=observed)
        return nan_unless(valid, member.event(values))

    # Noise -----------------------------------------------------------------------------------------------------------

    def num_sites_of(self, length: Any = None) -> Any:
        """Returns the number of sites of an event whose first axis is `length`; a fixed event shape needs no `length`.

        Raises:
            ValueError: If a length is missing, or given for events of a fixed shape.
        """
        network = self.network
        if (length is None) == (network.num_sites is None):
            raise ValueError(
                f"Expected `length` for events of shape {list(network.event_shape)} exactly if their first axis is None; "
                f"received {length!r}."
            )
        if network.num_sites is not None:
            return network.num_sites
        lead = network.event_shape[1 : len(network.event_shape) - len(network.site_shape)]
        return length * int(np.prod(lead, dtype=int))

    def uniform_noise(
        self, seeds: tf.Tensor, num_sites: Any = None, stream: random.Stream = random.Stream.NOISE
    ) -> tf.Tensor:
        """Returns uniform noise `[B, N, noise_size]` for int32 seeds `[B, 2]`.

        If the length of an event is not fixed, the noise of a site does not depend on the length, so that a shorter
        draw is a prefix of a longer draw with the same seed. Otherwise `num_sites` is ignored.
        """
        size = self.head.noise_size
        if self.network.num_sites is None:
            flat = random.uniform_at(seeds, tf.range(num_sites * size), stream)
        else:
            num_sites = self.network.num_sites
            flat = random.uniform(seeds, num_sites * size, stream)
        return tf.reshape(flat, [tf.shape(seeds)[0], num_sites, size])

    def member_noise(self, seeds: tf.Tensor) -> tf.Tensor:
        """Returns uniform noise `[B]`, which selects the member of an ensemble."""
        return random.uniform(seeds, 1, random.Stream.MEMBER)[:, 0]

    # Exports ---------------------------------------------------------------------------------------------------------

    def signatures(self, dist: Any) -> dict[str, Signature]:
        """Returns the signatures of an exported model by name, the default one first.

        Args:
            dist: the distribution of this law. Its public methods compute the examples with which an export is
                compared.
        """
        return autoregressive_signatures(dist)

    # Rows ------------------------------------------------------------------------------------------------------------

    def _clean(
        self, x: tf.Tensor, conditional_input: Any, observed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Replaces unobserved values and values outside the support by 0; also returns which rows are valid, `[B]`.

        Rows are valid if their observed values are in the support, their condition is finite, and the order allows
        their pattern.
        """
        member = self.member(0)
        values = member.values(x)
        keep = supported = self.head.in_event_support(values, member.sites(tf.shape(values)[1]))
        valid = [self._served_rows(conditional_input, values)]
        if observed is not None:
            keep, supported = tf.logical_and(keep, observed), tf.logical_or(supported, tf.logical_not(observed))
            valid.append(self.allows(observed))
        rows = tf.reduce_all(supported, axis=-1)
        for part in valid:
            rows = rows if part is None else tf.logical_and(rows, part)
        keep = tf.reshape(keep, tf.concat([tf.shape(keep), [1] * len(self.head.site_shape)], 0))
        return member.event(tf.where(keep, values, tf.zeros_like(values))), rows

    def _served_rows(self, conditional_input: Any, sites: tf.Tensor) -> tf.Tensor | None:
        """Returns which rows have a valid condition for all steps of `sites [B, N, ...]`, bool `[B]`; None for all.

        Raises:
            ValueError: If the number of steps is known, and the condition is for fewer.
        """
        covered = self.network.covered_steps(conditional_input)
        finite = served_conditions(conditional_input, self.network.num_condition_values)
        if covered is None or finite is None:
            return finite
        num_steps = self.member(0).num_steps(tf.shape(sites)[1] if sites.shape[1] is None else sites.shape[1])
        if tf.is_tensor(covered) or tf.is_tensor(num_steps):
            return tf.logical_and(finite, covered >= num_steps)
        if covered < num_steps:
            raise ValueError(self.network.uncovered_message(covered, num_steps))
        return finite

    def encoded(self, x: tf.Tensor) -> tf.Tensor:
        """Returns events encoded by the head as inputs of the network."""
        return self.member(0).encoded(x)

    def bad_row_marks(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns `[B]`: NaN for rows with invalid values, condition or observed pattern, and 0 for other rows."""
        _, valid = self._clean(x, conditional_input, observed)
        return nan_unless(valid, tf.zeros(tf.shape(valid)))
