"""The distribution of a network and a head: initial weights, scores, draws and completions."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import orders, random
from tfar.distributions import rows
from tfar.distributions.base import NetworkDistribution
from tfar.distributions.density import METHODS
from tfar.distributions.refusals import refuse_bad_rows
from tfar.heads import Head, check_head
from tfar.networks import AutoregressiveNetwork, WholePassNetwork

# Eager calls do without AutoGraph, so a user's graph does too: a network branches by tf.cond or keras.ops in both.
_without_autograph = tf.autograph.experimental.do_not_convert


@keras.saving.register_keras_serializable("tfar")
class Autoregressive(NetworkDistribution):
    """Distribution of events whose sites are decided one after the other by a network.

        log p(x) = sum_t log p(x[order[t]] | x[order[0]], ..., x[order[t - 1]])

    Args:
        network: an `AutoregressiveNetwork`, or any Keras layer or model `f(x)` or `f(x, conditional_input)` that gives each
            site its parameters from earlier sites alone, `[B, *sites, params_size]` or flat. One without `start` and `step`
            samples by whole passes.
        head: the head that turns a parameter vector into the conditional of one site.
        event_shape: shape of one event. May be left out if the network is an `AutoregressiveNetwork`.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        order: the order that a Keras network respects: "natural", "reverse" or a permutation of the sites.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Call shapes: `log_prob` takes `[*lead, *event_shape]` and returns `[*lead]`; `sample(n)` returns `[n, *event_shape]`, with a
    condition `[*batch, *conditional_shape]` it returns `[n, *batch, *event_shape]`.

    Raises:
        ValueError: If the shapes of the event, the network and the head do not fit.

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
        order: orders.Order = "natural",
        jit_compile: bool = True,
        name: str = "Autoregressive",
    ) -> None:
        parameters = dict(locals())
        check_head(head)
        if not isinstance(network, AutoregressiveNetwork):
            if event_shape is None:
                raise ValueError("Expected `event_shape` beside a Keras network; received None.")
            network = WholePassNetwork(
                network, tuple(event_shape), head.params_size, order, head.site_shape, conditional_shape
            )
        self._setup(network, head, jit_compile, parameters, name)
        if isinstance(network, WholePassNetwork):
            self._first_pass()

    def _first_pass(self) -> None:
        """Makes the variables of a Keras network and checks its output, so that errors come early."""
        shape = self.conditional_shape
        zeros = lambda s: tf.zeros([1, *s])  # noqa: E731
        condition = {k: zeros(s) for k, s in shape.items()} if isinstance(shape, dict) else shape and zeros(shape)
        with tf.init_scope():
            self.network(zeros(self.network.event_shape), condition)

    # Initial weights -------------------------------------------------------------------------------------------------

    @_without_autograph
    def initialize(self, value: Any, conditional_input: Any = None) -> None:
        """Chooses initial weights by a batch, where a model does so; `DensityModel.fit` does it with its first batch.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has one.

        Raises:
            ValueError: If the initial weights do not depend on data, or the batch holds values outside the support.
        """
        if self.head.awaits_data:
            self.head.adapt(value)
        if not self.network.awaits_data and type(self.head).adapt is not Head.adapt:
            return
        value = rows.check_trailing(rows.as_float(value, "value"), self.network.event_shape, "value")
        condition = self._bound_condition(conditional_input)
        items = [(value, self.network.event_shape), *rows.condition_items(condition, self.conditional_shape)]
        x, *flat = rows.flatten(items, rows.lead_shape(items))
        condition = rows.pack_condition(flat, self.conditional_shape)
        marks = self._density.bad_row_marks(x, condition)
        refuse_bad_rows(self._density, marks, x, conditional_input=condition)
        self.network.initialize(self._density._encoded(x), condition)

    @property
    def awaits_data(self) -> bool:
        """Whether `initialize` is to see data before training, and has seen none."""
        return self.head.awaits_data or self.network.awaits_data

    # Scores ----------------------------------------------------------------------------------------------------------

    @_without_autograph
    def _call_log_prob(self, value: Any, name: str, **kwargs: Any) -> tf.Tensor:
        """As TFP's; an eager call does without its scopes of names, which take a good part of the time of a small one."""
        value = rows.as_float(value, "value")
        return (
            self._log_prob(value, **kwargs) if tf.executing_eagerly() else super()._call_log_prob(value, name, **kwargs)
        )

    def _log_prob(self, value: tf.Tensor, conditional_input: Any = None, observed: Any = None) -> tf.Tensor:
        if observed is None:
            return self._score(self._density.log_prob, value, conditional_input)
        return self._score(self._density.observed_log_prob, value, conditional_input, observed)

    @_without_autograph
    def site_log_probs(self, value: Any, conditional_input: Any = None) -> tf.Tensor:
        """What surprises, and where: each site's share of the log-probability.

        Args:
            value: `[*lead, *event_shape]`.
            conditional_input: `[*batch, *conditional_shape]` that broadcasts against lead, if the model has one.

        Returns:
            float32 `[*lead, num_sites]`, which sums to `log_prob`.
        """
        return self._score(self._density.site_log_probs, rows.as_float(value, "value"), conditional_input)

    @_without_autograph
    def training_loss(
        self, value: Any, conditional_input: Any = None, observed: Any = None, seed: Any = None
    ) -> tf.Tensor:
        """What training minimises: `-log_prob` under the masks that the seed draws.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has one.
            observed: None for whole events, or bool `[B, *event_shape]` where the model serves any order: training uses
                nothing but what is observed.
            seed: what `tfar.random.as_seed` takes; decides all that is random.

        Returns:
            float32 `[B]`, NaN for a row outside the support.

        Raises:
            ValueError: If a shape does not fit, or if `observed` is given and the model does not serve any order.
        """
        if observed is not None:
            if not self._density.allows_any_order:
                raise ValueError(
                    "Expected no `observed` in training: with missing values a model must serve any order, as "
                    "OrderlessNADE does, and MADE with order='random' and num_masks=None. Received it for one order."
                )
            observed = rows.observed_sites(observed, self.network.event_shape, self.num_sites)
        value = rows.check_trailing(rows.as_float(value, "value"), self.network.event_shape, "value")
        if observed is not None:
            observed = tf.broadcast_to(observed, [tf.shape(value)[0], self.num_sites])
        condition = self._bound_condition(conditional_input)
        return self._density.training_loss(value, condition, random.as_seed(seed), observed)

    def _score(self, function: Any, value: tf.Tensor, conditional_input: Any, observed: Any = None) -> tf.Tensor:
        condition = self._bound_condition(conditional_input)
        if observed is None and condition is None and rows.is_flat(value, self.network.event_shape):
            result = self._rows(function, value, None)
            if tf.executing_eagerly():
                refuse_bad_rows(self._density, result, value)
            return result
        value = rows.check_trailing(value, self.network.event_shape, "value")
        items = [(value, self.network.event_shape), *rows.condition_items(condition, self.conditional_shape)]
        if observed is not None:
            items.append((rows.observed_sites(observed, self.network.event_shape, self.num_sites), (self.num_sites,)))
        lead = rows.lead_shape(items)
        flat = rows.flatten(items, lead)
        x, pattern = flat[0], [] if observed is None else [flat.pop()]
        condition = rows.pack_condition(flat[1:], self.conditional_shape)
        result = self._rows(function, x, *pattern, condition)
        if tf.executing_eagerly():
            refuse_bad_rows(self._density, result, x, pattern[0] if pattern else None, condition)
        return rows.unflatten(result, lead)

    def _bound_condition(self, conditional_input: Any) -> Any:
        if conditional_input is None:
            conditional_input = self._condition
        return rows.condition(conditional_input, self.conditional_shape)

    # Draws -----------------------------------------------------------------------------------------------------------

    @_without_autograph
    def _call_sample_n(self, sample_shape: Any, seed: Any, **kwargs: Any) -> tf.Tensor:
        """As TFP's, whose ops on shapes take longer than drawing many an event does: eager calls do without them."""
        shape = _static_shape(sample_shape) if tf.executing_eagerly() else None
        if shape is None:
            return super()._call_sample_n(sample_shape, seed, **kwargs)
        if min(shape, default=0) < 0:
            raise ValueError(f"Expected a `sample_shape` without negative sizes; received {list(shape)}.")
        samples = self._sample_n(math.prod(shape), seed=seed() if callable(seed) else seed, **kwargs)
        return samples if len(shape) == 1 else tf.reshape(samples, [*shape, *samples.shape[1:]])

    def _sample_n(
        self, n: Any, seed: Any = None, conditional_input: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        if method not in METHODS:
            raise ValueError(f"Expected `method` to be one of {METHODS}; received {method!r}.")
        count, condition, lead = self._sample_rows(n, conditional_input)
        result = self._rows.seeded(self._density.sample, seed, count, condition, method=method)
        if condition is not None and tf.executing_eagerly():
            refuse_bad_rows(self._density, result, conditional_input=condition)
        return rows.unflatten(result, lead)

    @_without_autograph
    def sample_fixed_point(
        self, num_samples: int, seed: Any = None, conditional_input: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `sample(num_samples, seed, method="fixed_point")`, with the number of passes that it took.

        Returns:
            Samples `[num_samples, *batch, *event_shape]` and the number of passes, int32.
        """
        count, condition, lead = self._sample_rows(num_samples, conditional_input)
        values, passes = self._rows.seeded(self._sample_fixed_point, seed, count, condition)
        return rows.unflatten(values, lead), passes

    def _sample_fixed_point(self, seeds: tf.Tensor, condition: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return self._density.fixed_point(self._density.noise(seeds), condition, self._density.ensemble_noise(seeds))

    def _sample_rows(self, n: Any, conditional_input: Any) -> tuple[int | tf.Tensor, Any, Any]:
        """How many rows `n` draws a batch member are, the condition of each, and the leading shape of the result."""
        static = tf.get_static_value(n)
        n = n if static is None else int(static)
        condition = self._bound_condition(conditional_input)
        items = rows.condition_items(condition, self.conditional_shape)
        batch = rows.lead_shape(items) if items else ()
        if isinstance(n, int) and isinstance(batch, tuple):
            lead: Any = (n, *batch)
            count = math.prod(lead)
        else:
            lead = tf.concat([[n], tf.convert_to_tensor(batch, tf.int32)], 0)
            count = tf.reduce_prod(lead)
        condition = rows.pack_condition(rows.flatten(items, lead), self.conditional_shape)
        return count, condition, lead

    def _set_sample_static_shape(self, x: tf.Tensor, sample_shape: Any, **kwargs: Any) -> tf.Tensor:
        if kwargs.get("conditional_input") is not None:
            return x
        return super()._set_sample_static_shape(x, sample_shape)

    @_without_autograph
    def complete(
        self,
        value: Any,
        observed: Any,
        num_samples: int | None = None,
        seed: Any = None,
        conditional_input: Any = None,
    ) -> tf.Tensor:
        """Draws what `observed` marks False given what it marks True.

        The draws follow exactly the law of an order that puts what is observed first. For a model that averages over orders
        that is not the conditional of its order-averaged `log_prob`; it is that of `log_prob(x, observed=...)`.

        Args:
            value: `[*lead, *event_shape]`. What is not observed is ignored.
            observed: bool that broadcasts to the shape of `value`.
            num_samples: None for one completion, or the number of completions of each row.
            seed: what `tfar.random.as_seed` takes.
            conditional_input: `[*batch, *conditional_shape]`, if the model has one.

        Returns:
            float32 `[*lead, *event_shape]`, or `[num_samples, *lead, *event_shape]`.

        Raises:
            ValueError: If the order of the model does not allow the pattern, with the way out.
        """
        value = rows.check_trailing(rows.as_float(value, "value"), self.network.event_shape, "value")
        condition = self._bound_condition(conditional_input)
        items = [
            (value, self.network.event_shape),
            *rows.condition_items(condition, self.conditional_shape),
            (rows.observed_sites(observed, self.network.event_shape, self.num_sites), (self.num_sites,)),
        ]
        lead = rows.lead_shape(items)
        if num_samples is not None:
            lead = (num_samples, *lead) if isinstance(lead, tuple) else tf.concat([[num_samples], lead], 0)
        x, *flat = rows.flatten(items, lead)
        pattern, condition = flat.pop(), rows.pack_condition(flat, self.conditional_shape)
        result = self._rows.seeded(self._complete, seed, tf.shape(x)[0], x, pattern, condition)
        if tf.executing_eagerly():
            refuse_bad_rows(self._density, result, x, pattern, condition)
        return rows.unflatten(result, lead)

    def _complete(self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor, condition: Any) -> tf.Tensor:
        return self._density.complete(x, observed, seeds, condition)


def _static_shape(sample_shape: Any) -> tuple[int, ...] | None:
    """A sample shape of ints as a tuple, or None if it is anything else."""
    if isinstance(sample_shape, int | np.integer):
        return (int(sample_shape),)
    if isinstance(sample_shape, list | tuple) and all(isinstance(size, int | np.integer) for size in sample_shape):
        return tuple(map(int, sample_shape))
    return None
