"""The distribution of a network and a head, with scores, draws, completions and copies."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfar import orders as site_orders
from tfar import private, random
from tfar.distributions import rows
from tfar.distributions.arguments import check_head, check_network, check_sites
from tfar.distributions.base import without_autograph
from tfar.distributions.sharpened import Sharpened
from tfar.heads import Head
from tfar.heads.base import check_positive_int
from tfar.laws import AutoregressiveLaw
from tfar.layers.standardization import masked
from tfar.networks import AutoregressiveNetwork, FactorizedNetwork, WholePassNetwork


@keras.saving.register_keras_serializable("tfar")
class Autoregressive(Sharpened):
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

    law_type: type[AutoregressiveLaw] = AutoregressiveLaw

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
        check_sites(network, head)
        if orders is not None:
            if not network.any_order or network.num_members > 1:
                raise ValueError(
                    f"Expected no `orders`, as {type(network).__name__} has masks or weights for its own; received {orders!r}."
                )
            orders = site_orders.members(orders, network.num_sites, getattr(network, "seed", 0))
        law = self.law_type(network, head, orders=orders)
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
    def num_members(self) -> int:
        """Number of members (orders or masks) over which `log_prob` averages probabilities."""
        return self._law.num_members

    @without_autograph
    def initialize(self, value: Any, conditional_input: Any = None, *, observed: Any = None) -> None:
        """Sets data-dependent initial weights.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has a condition.
            observed: None, or bools that broadcast to the shape of `value`. The units of the data, location and scale, follow
                from the observed values alone.

        Raises:
            ValueError: If the initial weights do not depend on data, or the data contain values outside the support.
        """
        if self.head.awaits_data:
            self.head.adapt(value if observed is None else masked(value, observed))
        has_units = type(self.head).adapt is not Head.adapt
        if has_units and type(self.network).initialize is AutoregressiveNetwork.initialize:
            return
        self.check_rows(value, conditional_input)
        given = self._flat_rows(value, conditional_input)
        self.network.initialize(self._law.encoded(given.x), given.condition)

    # Scores ----------------------------------------------------------------------------------------------------------

    @without_autograph
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
        given = self._flat_rows(value, conditional_input, observed)
        return self._call("log_prob", list(given[:3]), given)

    def _log_prob(self, value: Any, **kwargs: Any) -> tf.Tensor:
        return self.log_prob(value, **kwargs)

    @without_autograph
    def site_log_probs(self, value: Any, *, conditional_input: Any = None, observed: Any = None) -> tf.Tensor:
        """Returns the contribution of each site to the log-probability, in raster order; a row sums to its `log_prob`.

        The contribution is the log-probability of the site given the sites before it. Members of an ensemble with
        different orders condition a site on different sites. The contribution is then the mean of the members'
        log-probabilities of the site, weighted by the posterior probabilities of the members given the row, plus an
        equal share of the remainder of the log-probability.

        Args:
            value, conditional_input: as in `log_prob`.
            observed: as in `log_prob`; the contribution of an unobserved site is 0. Requires members of one order.

        Returns:
            float32 `[*lead, num_sites]`.

        Raises:
            ValueError: As `log_prob` does.
        """
        given = self._flat_rows(value, conditional_input, observed)
        return self._call("site_log_probs", list(given[:3]), given)

    @without_autograph
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
        given = self._flat_rows(value, conditional_input)
        return self._call("noise", [given.x, random.row_seeds(seed, given.count), given.condition], given)

    @without_autograph
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
        given = self._flat_rows(value, conditional_input, observed)
        params, member = self._call("conditional_params", list(given[:3]), given), self._law.member(0)
        return member.conditional.distribution(params, member.sites(tf.shape(params)[-2]))

    # Draws -----------------------------------------------------------------------------------------------------------

    @without_autograph
    def sample_fixed_point(
        self, num_samples: int, seed: Any = None, *, conditional_input: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws as `sample(num_samples, seed, method="fixed_point")` does, and counts the passes.

        Args:
            num_samples, seed, conditional_input: as in `sample`.

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

    @without_autograph
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
        given = self._flat_rows(value, conditional_input, observed).repeated(num_samples)
        inputs = [given.x, given.observed, given.condition]
        with private.without_recording():
            return self._call("complete", inputs, given, seed=seed, count=given.count)

    # Copies ----------------------------------------------------------------------------------------------------------

    def with_order(self, order: site_orders.Order) -> Self:
        """Returns a copy that shares the weights and decides the sites in `order`.

        Raises:
            ValueError: If the network was made for one order, and `order` is another.
        """
        resolved = site_orders.resolve(order, self._fixed_num_sites())
        if not self.network.any_order:
            own = site_orders.natural(len(resolved))[None] if self.network.orders is None else self.network.orders
            if len(own) == 1 and np.array_equal(own[0], resolved):
                return self._clone()
            raise ValueError(
                "Expected the order that the network was made for, because its weights serve no other; for any order train "
                f"OrderlessNADE or AnyOrderTransformer, or MADE with order='random' and num_masks=None. Received {order!r}."
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
                "Expected a model of all orders whose members differ in their orders alone, as OrderlessNADE and "
                f"AnyOrderTransformer; {type(self).__name__} has masks or weights for its own orders."
            )
        resolved = site_orders.members(orders, self._fixed_num_sites(), getattr(network, "seed", 0))
        return self._clone(_law=self._law.with_options(orders=resolved, fixed_order=False))

    def _fixed_num_sites(self) -> int:
        if self.num_sites is None:
            raise ValueError("Expected a distribution over events of a fixed length; fix it with `with_length`.")
        return self.num_sites


def _first_pass(network: WholePassNetwork | FactorizedNetwork) -> None:
    """Creates the variables of a Keras network and checks its output, so that errors are raised early."""
    shape = network.conditional_shape
    zeros = lambda s: tf.zeros([1, *[1 if n is None else n for n in s]])  # noqa: E731
    condition = {k: zeros(s) for k, s in shape.items()} if isinstance(shape, dict) else shape and zeros(shape)
    with tf.init_scope():
        network(zeros(network.event_shape), condition)
