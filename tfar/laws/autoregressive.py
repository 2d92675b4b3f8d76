"""The autoregressive law, which scores, draws and completes flat batches with a network and a head."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfar import random
from tfar.heads import Head
from tfar.laws import samplers
from tfar.laws.autoregressive_signatures import autoregressive_signatures
from tfar.laws.ensemble import Ensemble
from tfar.laws.member import Member
from tfar.laws.signature import Signature
from tfar.laws.weights import reads_weights_once
from tfar.networks import AutoregressiveNetwork
from tfar.networks.permutations import inverted, observed_first


class AutoregressiveLaw:
    """Law of events whose sites are decided step by step.

        log p(x) = sum_i log p(x_i | sites of earlier steps)

    It works on flat batches, float32 `[B, *event_shape]`, and uses only plain operations, which run in a graph, in XLA,
    in a SavedModel and in TFLite. The result of a row is NaN if a value is outside the support or the condition is not
    finite; other rows are not affected.

    Args:
        network: the network.
        head: the head.
        orders: None for the orders of the network, or int32 `[K, num_sites]`: the orders of the members. Requires a
            network for any order.
        fixed_order: bool. Whether the law uses only the single order in `orders`, in which observed sites must come
            first. If False, a network for any order moves the observed sites to the front.
        temperature: None, or a float or scalar tensor: the temperature of the conditionals.
    """

    def __init__(
        self,
        network: AutoregressiveNetwork,
        head: Head,
        *,
        orders: Any = None,
        fixed_order: bool = False,
        temperature: Any = None,
    ) -> None:
        self.network, self.head = network, head
        self.orders, self.fixed_order, self.temperature = orders, fixed_order, temperature
        self._default_orders = orders

    # Options ---------------------------------------------------------------------------------------------------------

    @property
    def options(self) -> dict[str, Any]:
        """The options that are tensors. They are inputs of compiled functions, so that copies share these functions."""
        options = {}
        if self.orders is not None:
            options["orders"] = tf.convert_to_tensor(self.orders, tf.int32)
        if self.temperature is not None:
            options["temperature"] = tf.convert_to_tensor(self.temperature, tf.float32)
        return options

    @property
    def static_options(self) -> dict[str, Any]:
        """The options that are not tensors."""
        return {"fixed_order": self.fixed_order}

    @property
    def config(self) -> dict[str, Any]:
        """The options that differ from the default, as plain values."""
        config: dict[str, Any] = {}
        if self.fixed_order or self.orders is not self._default_orders:
            config["orders"] = np.asarray(self.orders).tolist()
            config["fixed_order"] = self.fixed_order
        if self.temperature is not None:
            config["temperature"] = float(self.temperature)
        return config

    def from_config(self, config: dict[str, Any]) -> "AutoregressiveLaw":
        """Returns the law with the options of a configuration."""
        config = dict(config)
        if "orders" in config:
            config["orders"] = np.asarray(config["orders"], np.int32)
        return self.with_options(**config)

    def with_options(self, **options: Any) -> "AutoregressiveLaw":
        """Returns a law with the same network and head and other options."""
        own = {"orders": self.orders, "fixed_order": self.fixed_order, "temperature": self.temperature}
        law = AutoregressiveLaw(self.network, self.head, **{**own, **options})
        law._default_orders = self._default_orders
        return law

    # Members ---------------------------------------------------------------------------------------------------------

    @property
    def num_members(self) -> int:
        """Number of members of the ensemble: orders, or masks of the network."""
        own = self.network.num_members
        return own if self.orders is None else max(int(self.orders.shape[0]), own)

    def member(self, k: Any) -> Member:
        """Returns member k for an int or int32 scalar k, or the members of the rows for int32 `[B]`."""
        order = None
        if self.orders is not None:
            orders = tf.convert_to_tensor(self.orders)
            order = orders[0] if orders.shape[0] == 1 else tf.gather(orders, k)
        own = k if self.network.num_members > 1 else None
        return Member(self.network, self.head, own, order, self.temperature)

    @property
    def members(self) -> Any:
        """The only member, or the ensemble."""
        return self.member(0) if self.num_members == 1 else self._ensemble

    @property
    def _ensemble(self) -> Ensemble:
        orders = self.network.orders if self.orders is None else self.orders
        return Ensemble(
            self.member, self.num_members, tf.convert_to_tensor(orders)[0] if orders.shape[0] == 1 else None
        )

    @property
    def allows_any_pattern(self) -> bool:
        """Whether any sites may be observed, because the network takes any order."""
        return self.network.any_order and not self.fixed_order

    # Scores ----------------------------------------------------------------------------------------------------------

    @reads_weights_once
    def log_prob(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the log-probability of each row in nats, `[B]`; an ensemble averages its members' probabilities."""
        x, valid = self._clean(x, conditional_input)
        return _nan_unless(valid, self.members.log_prob(x, conditional_input))

    @reads_weights_once
    def site_log_probs(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the contribution of each site to the log-probability, `[B, N]`; see `Ensemble.site_log_probs`."""
        x, valid = self._clean(x, conditional_input)
        return _nan_unless(valid, self.members.site_log_probs(x, conditional_input))

    @reads_weights_once
    def observed_log_prob(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the log-probability `[B]` of the observed sites.

        Args:
            x: float32 `[B, *event_shape]`. Values that are not observed are ignored, NaN included.
            observed: bool `[B, N]`. The result of a row whose pattern the order does not allow is NaN.
            conditional_input: the conditional input of the network.
        """
        x, valid = self._clean(x, conditional_input, observed)
        score = self._observed_score(x, observed, conditional_input)
        total = score(self.member(0)) if self.num_members == 1 else self._ensemble.log_mean_exp(score)
        return _nan_unless(tf.logical_and(valid, self.allows(observed)), total)

    @reads_weights_once
    def observed_site_log_probs(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the contribution of each observed site to `observed_log_prob`, `[B, N]`, and 0 at other sites.

        For one member it is the log-probability of the site given the observed sites before it. Members of an ensemble
        are weighted as in `Ensemble.site_log_probs`.
        """
        x, valid = self._clean(x, conditional_input, observed)
        valid = tf.logical_and(valid, self.allows(observed))

        def log_probs(member: Member) -> tf.Tensor:
            own = self._observed_first(member, observed).site_log_probs(x, conditional_input)
            return tf.where(observed, own, tf.zeros_like(own))

        if self.num_members == 1:
            return _nan_unless(valid, log_probs(self.member(0)))
        raise ValueError(
            "Expected a law of one member, because members with different orders condition a site on different sites; "
            f"received an ensemble of {self.num_members}. Choose one order with `with_order`, or take the sum over sites by "
            "`log_prob(observed=...)`."
        )

    def _observed_score(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any) -> Any:
        """Returns a function from a member to its log-probability of the observed sites, `[B]`."""
        return lambda member: self._observed_first(member, observed).observed_log_prob(x, observed, conditional_input)

    def _observed_first(self, member: Member, observed: tf.Tensor) -> Member:
        """Returns the member with the observed sites of each row moved to the front, if the network takes any order."""
        if not self.allows_any_pattern:
            return member
        return member.with_order(observed_first(member.order_of_rows(tf.shape(observed)[0]), observed))

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
        any_order = self.network.any_order
        inputs = self.encoded(x)
        params, weights = self.network.training_pass(inputs, conditional_input, seed, observed if any_order else None)
        if observed is not None and not any_order:
            valid, weights = tf.logical_and(valid, self._is_prefix(observed)), tf.cast(observed, tf.float32)
        member = self.member(0)
        values = member.values(x)
        log_probs = member.conditional.training_log_prob(params, values, seed, member.sites(tf.shape(values)[1]))
        for factor in (weights, site_weight):
            if factor is not None:  # A weight of 0 excludes a site even if its log-probability is not finite.
                log_probs = tf.where(tf.equal(factor, 0.0), tf.zeros_like(log_probs), log_probs * factor)
        return _nan_unless(valid, -tf.reduce_sum(log_probs, axis=-1))

    def evaluate(
        self,
        x: tf.Tensor,
        conditional_input: Any = None,
        observed: tf.Tensor | None = None,
        site_weight: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row, `{"nll": [B]}`, in nats: the exact negative log-probability without dropout.

        Args:
            x, conditional_input, observed, site_weight: as in `training_loss`.
            seed: not used; present for laws whose evaluation draws samples.
        """
        if site_weight is not None:
            if observed is None:
                shares = self.site_log_probs(x, conditional_input)
            else:
                shares = self.observed_site_log_probs(x, observed, conditional_input)
            return {"nll": -tf.reduce_sum(shares * site_weight, axis=-1)}
        if observed is not None:
            return {"nll": -self.observed_log_prob(x, observed, conditional_input)}
        return {"nll": -self.log_prob(x, conditional_input)}

    # Conditionals ----------------------------------------------------------------------------------------------------

    def conditional_params(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the parameters of every site given the earlier sites, `[B, N, P]`; requires a law of one member."""
        x, valid = self._clean(x, conditional_input)
        return _nan_unless(valid, self.member(0).params(x, conditional_input))

    def params_given(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the parameters of every site given only the observed sites, `[B, N, P]`, for a law of one member.

        Raises:
            ValueError: If the law does not allow any pattern of observed sites.
        """
        if not self.allows_any_pattern:
            raise ValueError(f"Expected a law that allows any pattern of observed sites. {self.network.any_order_hint}")
        x, valid = self._clean(x, conditional_input, observed)
        params = self.network.params_given(self.encoded(x), observed, conditional_input)
        return _nan_unless(valid, tf.cast(params, tf.float32))

    @reads_weights_once
    def noise(self, x: tf.Tensor, seeds: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns noise `[B, N, noise_size]` from which `sample_from_noise` draws x.

        The noise is uniform if the events follow this law. Whatever x does not determine, such as the position within
        the interval of a discrete value and the member of an ensemble, is drawn from `seeds`, int32 `[B, 2]`.
        """
        x, valid = self._clean(x, conditional_input)
        member = self.member(0)
        if self.num_members > 1:
            score = lambda member: member.log_prob(x, conditional_input)  # noqa: E731
            member = self.member(self._ensemble.select_posterior(score, self.member_noise(seeds)))
        params, values = member.params(x, conditional_input), member.values(x)
        count = tf.shape(values)[1]
        noise = member.conditional.noise(params, values, self.uniform_noise(seeds, count), member.sites(count))
        return _nan_unless(valid, noise)

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
        return self.sample_from_noise(noise, conditional_input, self.ensemble_noise(seeds), method)

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
        draw is a prefix of a longer draw with the same seed.
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

    def ensemble_noise(self, seeds: tf.Tensor) -> tf.Tensor | None:
        """Returns `member_noise`, or None for a law of one member."""
        return self.member_noise(seeds) if self.num_members > 1 else None

    def _uniform_member(self, member_noise: Any) -> Member:
        return self.member(0) if self.num_members == 1 else self.member(self._ensemble.select(member_noise))

    @reads_weights_once
    def sample_from_noise(
        self, noise: tf.Tensor, conditional_input: Any = None, member_noise: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws rows `[B, *event_shape]` from noise `[B, N, noise_size]`; an ensemble also needs `member_noise [B]`."""
        member = self._uniform_member(member_noise)
        if method == "fixed_point":
            values, _ = samplers.fixed_point(member, noise, conditional_input)
        else:
            values = {"ancestral": samplers.ancestral, "naive": samplers.naive}[method](
                member, noise, conditional_input
            )
        return self._finite_condition(conditional_input, member.event(values))

    @reads_weights_once
    def fixed_point(
        self, noise: tf.Tensor, conditional_input: Any = None, member_noise: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws the rows of `sample_from_noise` by fixed-point iteration; returns them and the number of passes."""
        member = self._uniform_member(member_noise)
        values, passes = samplers.fixed_point(member, noise, conditional_input)
        return self._finite_condition(conditional_input, member.event(values)), passes

    def sample_fixed_point(self, seeds: tf.Tensor, conditional_input: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws a row for each seed by fixed-point iteration; returns the rows and the number of passes."""
        return self.fixed_point(self.uniform_noise(seeds), conditional_input, self.ensemble_noise(seeds))

    @reads_weights_once
    def complete(self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Draws the unobserved sites given the observed ones, `[B, *event_shape]`.

        The draws follow the law with an order that puts the observed sites first. The member of an ensemble is drawn
        from its posterior given the observed sites. A row whose pattern the order does not allow is NaN.
        """
        x, valid = self._clean(x, conditional_input, observed)
        member = self.member(0)
        if self.num_members > 1:
            score = self._observed_score(x, observed, conditional_input)
            member = self.member(self._ensemble.select_posterior(score, self.member_noise(seeds)))
        member = self._observed_first(member, observed)
        values = member.values(x)
        noise = self.uniform_noise(seeds, tf.shape(values)[1] if self.network.num_sites is None else None)
        values = samplers.ancestral(member, noise, conditional_input, given=values, observed=observed)
        return _nan_unless(tf.logical_and(valid, self.allows(observed)), member.event(values))

    # Exports ---------------------------------------------------------------------------------------------------------

    def signatures(self, dist: Any) -> dict[str, Signature]:
        """Returns the signatures of an exported model by name, the default one first.

        Args:
            dist: the distribution of this law. Its public methods compute the examples with which an export is
                compared.
        """
        return autoregressive_signatures(dist)

    # Patterns and supports -------------------------------------------------------------------------------------------

    def allows(self, observed: tf.Tensor) -> tf.Tensor:
        """Returns whether each pattern of observed sites `[B, N]` can be scored and completed, bool `[B]`."""
        if self.allows_any_pattern:
            return tf.ones([tf.shape(observed)[0]], tf.bool)
        return self._is_prefix(observed)

    def _is_prefix(self, observed: tf.Tensor) -> tf.Tensor:
        """Returns whether the observed sites `[B, N]` come first in the order of every member, bool `[B]`.

        Any sites within a group, which is decided together, may be observed.
        """
        if self.orders is None and self.network.step_of_site is not None:
            steps = tf.constant(self.network.step_of_site)[None]
        elif self.orders is not None:
            steps = inverted(self.orders)[None]
        else:
            steps = tf.range(tf.shape(observed)[1])[None, None] // self.network.sites_per_step
        unobserved = tf.logical_not(observed)[:, None]
        most = tf.shape(observed)[1]
        first_missing = tf.reduce_min(tf.where(unobserved, steps, most), axis=-1)
        last_observed = tf.reduce_max(tf.where(unobserved, -1, steps), axis=-1)
        return tf.reduce_all(last_observed <= first_missing, axis=-1)

    def _clean(
        self, x: tf.Tensor, conditional_input: Any, observed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Replaces unobserved values and values outside the support by 0; also returns which rows are valid, `[B]`."""
        member = self.member(0)
        values = member.values(x)
        supported = self.head.in_support(values, member.sites(tf.shape(values)[1]))
        keep = supported if observed is None else tf.logical_and(supported, observed)
        valid = supported if observed is None else tf.logical_or(supported, tf.logical_not(observed))
        keep = tf.reshape(keep, tf.concat([tf.shape(keep), [1] * len(self.head.site_shape)], 0))
        valid = tf.reduce_all(valid, axis=-1)
        for row_is_finite in self._finite_rows(conditional_input):
            valid = tf.logical_and(valid, row_is_finite)
        return member.event(tf.where(keep, values, tf.zeros_like(values))), valid

    def encoded(self, x: tf.Tensor) -> tf.Tensor:
        """Returns events encoded by the head as inputs of the network."""
        return self.member(0).encoded(x)

    def bad_row_marks(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns `[B]`: NaN for rows with invalid values, condition or observed pattern, and 0 for other rows."""
        _, valid = self._clean(x, conditional_input, observed)
        if observed is not None:
            valid = tf.logical_and(valid, self.allows(observed))
        return _nan_unless(valid, tf.zeros(tf.shape(valid)))

    def _finite_rows(self, conditional_input: Any) -> list[tf.Tensor]:
        """Returns whether each row of the condition is finite, bool `[B]`; an empty list without a condition."""
        if conditional_input is None:
            return []
        parts = [tf.reshape(part, [tf.shape(part)[0], -1]) for part in tf.nest.flatten(conditional_input)]
        return [tf.reduce_all(tf.abs(part) <= tf.float32.max, axis=-1) for part in parts]

    def _finite_condition(self, conditional_input: Any, values: tf.Tensor) -> tf.Tensor:
        for row_is_finite in self._finite_rows(conditional_input):
            values = _nan_unless(row_is_finite, values)
        return values


def _nan_unless(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Replaces invalid rows of `values [B, ...]` by NaN, given bool `valid [B]`."""
    valid = tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(valid, values, tf.constant(float("nan"), tf.float32))
