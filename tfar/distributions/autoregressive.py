"""The distribution of a network and a head, with scores, draws, completions and copies."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfar import orders as site_orders
from tfar import private, random
from tfar.distributions import rows
from tfar.distributions.arguments import check_head, check_network
from tfar.distributions.base import Shell
from tfar.distributions.refusals import refuse_bad_rows
from tfar.heads import Head
from tfar.heads.base import check_positive_int
from tfar.heads.tempered import check_temperature
from tfar.laws import AutoregressiveLaw
from tfar.laws.samplers import METHODS
from tfar.networks import AutoregressiveNetwork, FactorizedNetwork, WholePassNetwork

# Eager calls run without AutoGraph, and so do calls in a user's graph, so that networks use tf.cond or keras.ops in
# both cases.
_without_autograph = tf.autograph.experimental.do_not_convert


@keras.saving.register_keras_serializable("tfar")
class Autoregressive(Shell):
    """Distribution of events whose sites are decided step by step by a network.

        log p(x) = sum_i log p(x_i | sites of earlier steps)

    Args:
        network: an `AutoregressiveNetwork`, or any Keras 3 layer or model `f(x)` or `f(x, conditional_input)` that
            computes the parameters of each site from earlier sites only, `[B, *sites, params_size]` or flat. A network
            without `start` and `step` samples by whole passes.
        head: the head, which turns a parameter vector into the conditional distribution of a site.
        event_shape: shape of one event. It may be omitted if the network is an `AutoregressiveNetwork`.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        order: the order that a Keras network respects: "natural", "reverse" or a permutation of the sites.
        orders: None, or for a network for any order the orders over which `log_prob` averages probabilities: int K for
            K random orders, or ints `[K, num_sites]`.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Eager calls are compiled for a number of rows. The first few numbers of rows are compiled exactly, and later ones
    are padded to a power of two, so that calls of many sizes share few compilations.

    Raises:
        ValueError: If the shapes of the event, the network and the head are incompatible.

    Example:
        >>> degrees = range(1, 5)
        >>> network = tfar.layers.MaskedDense(4, in_degrees=degrees, out_degrees=degrees, strict=True)
        >>> dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4])
        >>> dist.log_prob(dist.sample(3, seed=1)).shape
        TensorShape([3])
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        head: Head,
        event_shape: Any = None,
        conditional_shape: Any = None,
        *,
        order: site_orders.Order = "natural",
        orders: Any = None,
        jit_compile: bool = True,
        name: str = "Autoregressive",
    ) -> None:
        head, network = check_head(head), check_network(network)
        if not isinstance(network, AutoregressiveNetwork):
            if event_shape is None:
                raise ValueError("Expected `event_shape`, which a Keras network does not define; received None.")
            network = WholePassNetwork(
                network, tuple(event_shape), head.params_size, order, head.site_shape, conditional_shape
            )
        if network.params_size != head.params_size or network.site_shape != head.site_shape:
            raise ValueError(
                f"Expected a network with {head.params_size} parameters for a site of shape {head.site_shape}, as "
                f"{type(head).__name__} has; received {network.params_size} for {network.site_shape}."
            )
        if orders is not None:
            if not network.any_order or network.num_members > 1:
                raise ValueError(
                    f"Expected no `orders`, as {type(network).__name__} has masks or weights for its own; received {orders!r}."
                )
            orders = site_orders.members(orders, network.num_sites, getattr(network, "seed", 0))
        law = AutoregressiveLaw(network, head, orders=orders)
        layers = {"network": network, "head": head}
        if isinstance(network, WholePassNetwork | FactorizedNetwork):  # They may wrap a user-defined Keras network.
            _first_pass(network)
        super().__init__(law, layers, network.event_shape, network.conditional_shape, jit_compile, name)

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def network(self) -> AutoregressiveNetwork:
        """The network. Copies share it."""
        return self._law.network

    @property
    def head(self) -> Head:
        """The head. Copies share it."""
        return self._law.head

    @property
    def num_sites(self) -> Any:
        """Number of sites of an event, an int; None if its length is not fixed."""
        if self.network.num_sites is None and self._length is not None:
            return self._law.num_sites_of(self._length)
        return self.network.num_sites

    @property
    def num_members(self) -> int:
        """Number of members (orders or masks) over which `log_prob` averages probabilities."""
        return self._law.num_members

    @property
    def temperature(self) -> float:
        """The temperature of the conditionals: 1 unless `with_temperature` changed it."""
        return 1.0 if self._law.temperature is None else float(self._law.temperature)

    # Initial weights -------------------------------------------------------------------------------------------------

    @property
    def awaits_data(self) -> bool:
        """Whether `initialize` should be called before training and has not been; `DensityModel.fit` calls it."""
        return self.head.awaits_data or self.network.awaits_data

    @property
    def initializes_with_all_rows(self) -> bool:
        """Whether `initialize` needs all training rows, as for the units of data, rather than only the first batch."""
        return self.head.awaits_data

    @_without_autograph
    def initialize(self, value: Any, conditional_input: Any = None) -> None:
        """Sets data-dependent initial weights.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has a condition.

        Raises:
            ValueError: If the initial weights do not depend on data, or the data contain values outside the support.
        """
        if self.head.awaits_data:
            self.head.adapt(value)
        has_units = type(self.head).adapt is not Head.adapt
        if has_units and type(self.network).initialize is AutoregressiveNetwork.initialize:
            return
        self.check_rows(value, conditional_input)
        x, _, condition, _ = self._flat_rows(value, conditional_input)
        self.network.initialize(self._law.encoded(x), condition)

    # Training data ---------------------------------------------------------------------------------------------------

    @_without_autograph
    def valid_rows(self, value: Any, conditional_input: Any = None, *, observed: Any = None) -> tf.Tensor:
        """Returns whether each row is valid: values in the support, a finite condition and an allowed observed pattern.

        Args:
            value, conditional_input, observed: as in `training_loss`.

        Returns:
            bool `[B]`.
        """
        x, observed, condition, _ = self._flat_rows(value, conditional_input, observed)
        return tf.logical_not(tf.math.is_nan(self._law.bad_row_marks(x, condition, observed)))

    @_without_autograph
    def check_rows(
        self, value: Any, conditional_input: Any = None, *, observed: Any = None, first_row: int = 0
    ) -> None:
        """Raises ValueError if a row is invalid (see `valid_rows`); the message names the row and the site.

        Args:
            value, conditional_input, observed: as in `training_loss`.
            first_row: int. Number of the first row in the message.
        """
        x, observed, condition, _ = self._flat_rows(value, conditional_input, observed)
        marks = self._law.bad_row_marks(x, condition, observed)
        refuse_bad_rows(self._law, marks, x, observed, condition, first_row)

    # Scores ----------------------------------------------------------------------------------------------------------

    @_without_autograph
    def log_prob(
        self, value: Any, name: str = "log_prob", *, conditional_input: Any = None, observed: Any = None
    ) -> tf.Tensor:
        """Returns the exact log-probability of events in nats; an ensemble averages the probabilities of its members.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used; present for compatibility with TFP.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound. Leading
                axes broadcast against those of `value`.
            observed: None, or bools that broadcast to the shape of `value`: the result is then the log-probability of
                the observed part. A model with one order requires that the observed sites come first in it.

        Returns:
            float32 `[*lead]`. In a graph, a row outside the support is NaN.

        Raises:
            ValueError: If a shape does not fit; in eager mode also if a value is outside the support, a condition is not finite,
                or the order does not allow what is observed.
        """
        return self._score("log_prob" if observed is None else "observed_log_prob", value, conditional_input, observed)

    def _log_prob(self, value: Any, **kwargs: Any) -> tf.Tensor:
        return self.log_prob(value, **kwargs)

    @_without_autograph
    def site_log_probs(self, value: Any, *, conditional_input: Any = None, observed: Any = None) -> tf.Tensor:
        """Returns the contribution of each site to the log-probability, in raster order; a row sums to its `log_prob`.

        The contribution is the log-probability of the site given the sites before it. Members of an ensemble with
        different orders condition a site on different sites. The contribution is then the mean of the members'
        log-probabilities of the site, weighted by the posterior probabilities of the members given the row, plus an
        equal share of the remainder of the log-probability.

        Args:
            value, conditional_input: as in `log_prob`.
            observed: as in `log_prob`; the contribution of an unobserved site is 0. Requires a model with one member.

        Returns:
            float32 `[*lead, num_sites]`.

        Raises:
            ValueError: As `log_prob` does.
        """
        name = "site_log_probs" if observed is None else "observed_site_log_probs"
        return self._score(name, value, conditional_input, observed)

    @_without_autograph
    def training_loss(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = None,
        step: Any = 0,
    ) -> tf.Tensor:
        """Returns the training loss in nats: `-log_prob`, or an estimate of it with random masks, orders and dropout.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has a condition.
            observed: None, or bools that broadcast to the shape of `value`: training uses only the observed sites. With
                a model of one order, they must come first in it; for example, `tf.sequence_mask(lengths)` marks
                sequences of different lengths.
            site_weight: None, or numbers that broadcast to the shape of `value` and multiply the log-probabilities of
                the sites.
            seed: seed as accepted by `tfar.random.as_seed`; determines all randomness of the loss.
            step: int or int32 scalar. Number of the training step.

        Returns:
            float32 `[B]`, NaN for a row outside the support or whose pattern the order does not allow.

        Raises:
            ValueError: If a shape does not fit.
        """
        x, observed, condition, lead = self._flat_rows(value, conditional_input, observed)
        weight = None if site_weight is None else self._site_weight(site_weight, value)
        loss = self._law.training_loss(x, condition, random.as_seed(seed), step, observed, weight)
        return rows.unflatten(loss, lead)

    @_without_autograph
    def evaluate(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row, `{"nll": [B]}` in nats: the exact negative log-probability without dropout.

        Args:
            value, conditional_input, observed, site_weight: as in `training_loss`.
            seed: not used; present for models whose evaluation draws samples.
        """
        x, observed, condition, lead = self._flat_rows(value, conditional_input, observed)
        weight = None if site_weight is None else self._site_weight(site_weight, value)
        result = self._run("evaluate", [x, condition, observed, weight])
        if tf.executing_eagerly():
            refuse_bad_rows(self._law, result["nll"], x, observed, condition)
        return {name: rows.unflatten(part, lead) for name, part in result.items()}

    @_without_autograph
    def noise(self, value: Any, *, conditional_input: Any = None, seed: Any = None) -> tf.Tensor:
        """Returns the noise from which events are drawn; it is uniform if the events follow this distribution.

        The noise serves for p-values and calibration plots (the probability integral transform). Events do not
        determine the position within the interval of a discrete value and the member of an ensemble; these are drawn
        from the seed.

        Args:
            value, conditional_input: as in `log_prob`.
            seed: seed as accepted by `tfar.random.as_seed`.

        Returns:
            float32 `[*lead, num_sites, noise_size]`, in raster order.

        Raises:
            ValueError: As `log_prob` does.
        """
        x, _, condition, lead = self._flat_rows(value, conditional_input)
        seeds = random.row_seeds(seed, tf.shape(x)[0])
        result = self._run("noise", [x, seeds, condition])
        if tf.executing_eagerly():
            refuse_bad_rows(self._law, result, x, None, condition)
        return rows.unflatten(result, lead)

    @_without_autograph
    def conditionals(self, value: Any, *, conditional_input: Any = None, observed: Any = None) -> Any:
        """Returns the conditional distribution of every site given the sites before it.

        Args:
            value, conditional_input: as in `log_prob`.
            observed: None, or bools that broadcast to the shape of `value`: every site is then conditioned only on the
                observed sites. Requires a model for any order.

        Returns:
            A `tfd.Distribution` with batch shape `[*lead, num_sites]`, which has means, quantiles, entropies and more.

        Raises:
            ValueError: If the model is an ensemble, whose conditionals are not a single distribution, and as `log_prob`
                does.
        """
        if self.num_members > 1:
            raise ValueError(
                f"Expected a model of one member; received an ensemble of {self.num_members}. Choose one with "
                "`with_order(...)` or `with_orders(1)`, or make the model with `num_masks=1`."
            )
        x, observed, condition, lead = self._flat_rows(value, conditional_input, observed)
        if observed is None:
            params = self._run("conditional_params", [x, condition])
        else:
            params = self._run("params_given", [x, observed, condition])
        if tf.executing_eagerly():
            refuse_bad_rows(self._law, params, x, observed, condition)
        member = self._law.member(0)
        params = rows.unflatten(params, lead)
        return member.conditional.distribution(params, member.sites(tf.shape(params)[-2]))

    def _score(self, name: str, value: Any, conditional_input: Any, observed: Any = None) -> tf.Tensor:
        x, observed, condition, lead = self._flat_rows(value, conditional_input, observed)
        result = self._run(name, [x, condition] if observed is None else [x, observed, condition])
        if tf.executing_eagerly():
            refuse_bad_rows(self._law, result, x, observed, condition)
        return rows.unflatten(result, lead)

    def _flat_rows(self, value: Any, conditional_input: Any, observed: Any = None) -> tuple[Any, Any, Any, Any]:
        """Returns value, observed sites and condition as rows of one batch, and the leading shape."""
        value, rank = self._checked_value(value), len(self._shape)
        condition = self._checked_condition(conditional_input)
        if observed is None and condition is None and rows.is_flat(value, rank):
            return value, None, None, (None,)
        items = [(value, rank), *rows.condition_items(condition, self._conditional_shape)]
        if observed is not None:
            marks = rows.site_marks(observed, value, rank, len(self.head.site_shape), "observed")
            items.append((tf.reduce_all(marks > 0.0, axis=-1), 1))
        lead = rows.lead_shape(items)
        flat = rows.flatten(items, lead)
        pattern = None if observed is None else flat.pop()
        return flat[0], pattern, rows.pack_condition(flat[1:], self._conditional_shape), lead

    def _site_weight(self, site_weight: Any, value: Any) -> tf.Tensor:
        """Returns the weights of sites, `[B, num_sites]`: the mean over the entries of each site."""
        value = self._checked_value(value)
        marks = rows.site_marks(site_weight, value, len(self._shape), len(self.head.site_shape), "site_weight")
        weight = tf.reduce_mean(marks, axis=-1)
        return tf.broadcast_to(weight, tf.concat([tf.shape(value)[:1], tf.shape(weight)[-1:]], 0))

    # Draws -----------------------------------------------------------------------------------------------------------

    @_without_autograph
    def sample(
        self,
        sample_shape: Any = (),
        seed: Any = None,
        name: str = "sample",
        *,
        conditional_input: Any = None,
        length: Any = None,
        method: str = "ancestral",
    ) -> tf.Tensor:
        """Draws events.

        Args:
            sample_shape: int or ints.
            seed: seed as accepted by `tfar.random.as_seed`: an int, an integer tensor `[]` or `[2]`, or None for new
                draws.
            name: not used; present for compatibility with TFP.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound.
            length: int. Size of the first axis of an event, if it is not fixed.
            method: "ancestral" takes a step for each site, "fixed_point" iterates whole passes, and "naive" runs a
                whole pass for each site. All methods give the same draws.

        Returns:
            float32 `[*sample_shape, *batch, *event_shape]`. Row i of `sample(n, seed)` depends only on `seed` and i.
            TensorFlow cannot vectorise the loop over sites twice: map over one axis with `tf.vectorized_map`, not two.

        Raises:
            ValueError: If an argument is out of range.
        """
        return self._draw(sample_shape, seed, conditional_input=conditional_input, length=length, method=method)

    def _sample_n(
        self,
        n: Any,
        seed: Any = None,
        conditional_input: Any = None,
        length: Any = None,
        method: str = "ancestral",
    ) -> tf.Tensor:
        if method not in METHODS:
            raise ValueError(f"Expected `method` to be one of {METHODS}; received {method!r}.")
        length = self._length if length is None else length
        count, condition, lead = self._rows_of_samples(n, conditional_input)
        with private.without_recording():
            result = self._run("sample", [condition], seed=seed, count=count, length=length, method=method)
        if condition is not None and tf.executing_eagerly():
            refuse_bad_rows(self._law, result, conditional_input=condition)
        return rows.unflatten(result, lead)

    @_without_autograph
    def sample_fixed_point(
        self, num_samples: int, seed: Any = None, *, conditional_input: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws as `sample(num_samples, seed, method="fixed_point")` does, and counts the passes.

        Returns:
            Samples `[num_samples, *batch, *event_shape]` and the number of passes, int32.

        Raises:
            ValueError: If `num_samples` is not an int of at least 1.
        """
        num_samples = check_positive_int("num_samples", num_samples)
        count, condition, lead = self._rows_of_samples(num_samples, conditional_input)
        with private.without_recording():
            values, passes = self._run("sample_fixed_point", [condition], seed=seed, count=count)
        return rows.unflatten(values, lead), passes

    @_without_autograph
    def complete(
        self,
        value: Any,
        observed: Any,
        num_samples: int | None = None,
        seed: Any = None,
        *,
        conditional_input: Any = None,
    ) -> tf.Tensor:
        """Draws the unobserved sites given the observed ones.

        The draws follow the law with an order that puts the observed sites first. For a model that averages over
        orders, this is not the conditional of the order-averaged `log_prob`; it is the conditional that corresponds to
        `log_prob(x, observed=...)`.

        Args:
            value: `[*lead, *event_shape]`. Values that are not observed are ignored.
            observed: bools that broadcast to the shape of `value`.
            num_samples: None for one completion, or the number of completions of each row.
            seed: seed as accepted by `tfar.random.as_seed`.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound.

        Returns:
            float32 `[*lead, *event_shape]`, or `[num_samples, *lead, *event_shape]`.

        Raises:
            ValueError: If `num_samples` is not an int of at least 1, or the order of the model does not allow the
                pattern; the message explains what to do.
        """
        if num_samples is not None:
            num_samples = check_positive_int("num_samples", num_samples)
            value = tf.repeat(self._checked_value(value)[None], num_samples, axis=0)
        x, pattern, condition, lead = self._flat_rows(value, conditional_input, observed)
        count = len(x) if tf.executing_eagerly() else tf.shape(x)[0]
        with private.without_recording():
            result = self._run("complete", [x, pattern, condition], seed=seed, count=count)
        if tf.executing_eagerly():
            refuse_bad_rows(self._law, result, x, pattern, condition)
        return rows.unflatten(result, lead)

    # Copies ----------------------------------------------------------------------------------------------------------

    def with_order(self, order: site_orders.Order) -> Self:
        """Returns a copy that shares the weights and decides the sites in `order`.

        Raises:
            ValueError: If the network was made for one order, and `order` is another.
        """
        resolved = site_orders.resolve(order, self._fixed_num_sites())
        if not self.network.any_order:
            own = self.network.orders
            if len(own) == 1 and np.array_equal(own[0], resolved):
                return self._clone()
            raise ValueError(
                "Expected the order that the network was made for, because its weights serve no other; for any order train "
                f"OrderlessNADE, or MADE with order='random' and num_masks=None. Received {order!r}."
            )
        return self._clone(_law=self._law.with_options(orders=resolved[None], fixed_order=True))

    def with_orders(self, orders: Any) -> Self:
        """Returns a copy that shares the weights and averages the probabilities of other orders.

        Args:
            orders: int K for K random orders, which are determined by the seed such that a larger K only appends
                orders; or ints `[K, num_sites]`.

        Raises:
            ValueError: If the network does not take any order, if it is itself an ensemble, or if the orders are not
                permutations.
        """
        network = self.network
        if not network.any_order or network.num_members > 1:
            raise ValueError(
                "Expected a model of all orders whose members differ in their orders alone, as OrderlessNADE and ConvNADE; "
                f"{type(self).__name__} has masks or weights for its own orders."
            )
        resolved = site_orders.members(orders, self._fixed_num_sites(), getattr(network, "seed", 0))
        return self._clone(_law=self._law.with_options(orders=resolved, fixed_order=False))

    def _fixed_num_sites(self) -> int:
        if self.num_sites is None:
            raise ValueError("Expected a distribution over events of a fixed length; fix it with `with_length`.")
        return self.num_sites

    def with_temperature(self, temperature: float) -> Self:
        """Returns a copy that shares the weights and has tempered conditionals.

        The copy is a different distribution: sharper for temperatures below 1, flatter above. Its `sample`, `log_prob`
        and `complete` all refer to that distribution. The product of tempered conditionals is not a power of the
        model's density.

        Args:
            temperature: float, T > 0; 1 leaves the conditionals unchanged.

        Raises:
            ValueError: If the temperature is not a positive number, or the head does not define it.

        Example:
            >>> hot = tfar.MADE([2], [4]).with_temperature(1e6)  # hot sites are uniform
            >>> round(float(hot.log_prob([1.0, 0.0])), 4)
            -1.3863
        """
        temperature = check_temperature(temperature, self.head)
        return self._clone(_law=self._law.with_options(temperature=None if temperature == 1.0 else temperature))


def _first_pass(network: WholePassNetwork | FactorizedNetwork) -> None:
    """Creates the variables of a Keras network and checks its output, so that errors are raised early."""
    shape = network.conditional_shape
    zeros = lambda s: tf.zeros([1, *[1 if n is None else n for n in s]])  # noqa: E731
    condition = {k: zeros(s) for k, s in shape.items()} if isinstance(shape, dict) else shape and zeros(shape)
    with tf.init_scope():
        network(zeros(network.event_shape), condition)
