"""Base class of networks for all orders, with their training objective and their passes and steps along one order."""

import abc
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfar import random
from tfar.networks.base import AutoregressiveNetwork, TrainingPass, Weights
from tfar.networks.conditions import State, condition_of_state, condition_state
from tfar.networks.inputs import row_seeds
from tfar.networks.permutations import inverted, unpermuted

# Number of steps in one matrix product if the batch size is unknown.
CHUNK = 16

Carry = tuple[tf.Tensor, ...]
ChunkFunction = Callable[[tf.Tensor, Carry], tuple[tf.Tensor, Carry]]


class OrderlessNetwork(AutoregressiveNetwork, abc.ABC):
    """Computes the parameters of the unknown sites from the known sites and their mask.

    A subclass implements `params_of`, one pass with a mask for each row. This class derives from it

    - `training_pass`: a random order and a random step d of it for each row, with the weight D / (D - d + 1) on the
      sites that are not yet known. The expectation of the loss is the mean negative log-probability over all orders;
    - `call`: the D steps of an order, with several steps in one product (a subclass may override `chunk_pass` with a
      cheaper method);
    - `start` and `step`: one pass per step (a subclass may override them).

    Args:
        event_shape, site_shape, conditional_shape: see `AutoregressiveNetwork`.
        seed: int. Seed of the initial weights.

    Attributes:
        chunk_rows: int. Number of rows of a matrix product in `call`: a chunk holds about `chunk_rows / B` steps.

    References:
        Uria, Murray and Larochelle. A deep and tractable density estimator. ICML 2014, sections 2 and 3.
        https://proceedings.mlr.press/v32/uria14.html
    """

    any_order = True
    chunk_rows: int = 2048

    def __init__(
        self,
        event_shape: tuple[int, ...],
        site_shape: tuple[int, ...] = (),
        conditional_shape: Any = None,
        *,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.seed = int(seed)

    @abc.abstractmethod
    def params_of(
        self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Computes one pass with a mask for each row.

        Args:
            x: float tensor `[B, *event_shape]`; unknown values are 0.
            known: float32 `[B, num_sites]`: 1 where a site is known, else 0.
            conditional_input: as in `call`.
            seed: None, or in training int32 `[2]`, which determines randomness such as dropout.

        Returns:
            float tensor `[B, num_sites, params_size]`. The parameters of known sites are not used.
        """

    # Training --------------------------------------------------------------------------------------------------------

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. Draws an order and a step for each row, among its observed sites."""
        sites = self._sites(x)
        known, weights = self._draw_known(row_seeds(seed, tf.shape(sites)[0]), sites, observed)
        x = self._event(sites * self._over_sites(tf.cast(known, sites.dtype)))
        params = self.params_of(x, tf.cast(known, tf.float32), conditional_input, seed)
        return TrainingPass(tf.cast(params, tf.float32), weights)

    def _draw_known(
        self, seeds: tf.Tensor, sites: tf.Tensor, observed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws the known sites of each row, bool `[B, num_sites]`, and the weights of the others, as `draw_known` does."""
        return draw_known(seeds, self.num_sites, observed)

    def params_given(self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        return self.params_of(x, tf.cast(known, tf.float32), conditional_input)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """See the base class. Steps of a shared order are computed in chunks, steps of an order per row one by one."""
        sites = self._sites(x)
        order = tf.constant(self.orders[0]) if order is None else tf.cast(order, tf.int32)
        if order.shape.rank == 2:
            return self._pass_of_row_orders(sites, conditional_input, order)
        size = self._chunk_size(sites.shape[0])
        count = -(-self.num_sites // size)
        carry, params_of_steps = self.chunk_pass(sites, conditional_input, order)

        def body(chunk: tf.Tensor, result: tf.Tensor, *carry: tf.Tensor) -> tuple:
            steps = chunk * size + tf.range(size)
            params, carry = params_of_steps(steps, carry)
            return chunk + 1, tf.tensor_scatter_nd_update(result, steps[:, None], tf.cast(params, tf.float32)), *carry

        result = tf.zeros([count * size, tf.shape(sites)[0], self.params_size])
        loop = (tf.constant(0), result, *carry)
        _, result, *_ = tf.while_loop(lambda chunk, *_: chunk < count, body, loop, maximum_iterations=count)
        return tf.transpose(tf.gather(result, inverted(order)), [1, 0, 2])

    def _pass_of_row_orders(self, sites: tf.Tensor, conditional_input: Any, order: tf.Tensor) -> tf.Tensor:
        """Computes the steps of an order for each row, `order [B, num_sites]`, one after the other."""
        weights, batch_size = self.step_weights(), tf.shape(sites)[0]
        state = self.start(batch_size, conditional_input, order=order)
        by_step = tf.transpose(tf.gather(sites, order, axis=1, batch_dims=1), [1, 0, *range(2, sites.shape.rank)])
        by_step = tf.cast(by_step, tf.float32)

        def body(index: tf.Tensor, result: tf.Tensor, state: State) -> tuple[tf.Tensor, tf.Tensor, State]:
            x_previous = by_step[tf.maximum(index - 1, 0)][:, None]
            params, state = self.step(state, index, x_previous, weights)
            return index + 1, tf.tensor_scatter_nd_update(result, [[index]], tf.transpose(params, [1, 0, 2])), state

        result = tf.zeros([self.num_sites, batch_size, self.params_size])
        loop = (tf.constant(0), result, state)
        _, result, _ = tf.while_loop(
            lambda index, *_: index < self.num_sites, body, loop, maximum_iterations=self.num_sites
        )
        return unpermuted(tf.transpose(result, [1, 0, 2]), order)

    def _chunk_size(self, batch_size: int | None) -> int:
        """Returns the number of steps of a chunk, chosen such that the last chunk contains few unused steps."""
        size = CHUNK if batch_size is None else max(1, self.chunk_rows // max(1, batch_size))
        return math.ceil(self.num_sites / math.ceil(self.num_sites / min(size, self.num_sites)))

    def chunk_pass(self, sites: tf.Tensor, conditional_input: Any, order: tf.Tensor) -> tuple[Carry, ChunkFunction]:
        """Prepares `call` for one order that all rows share. The default masks the event for each row and step.

        Args:
            sites: float tensor `[B, num_sites, *site_shape]`.
            conditional_input: as in `call`.
            order: int32 `[num_sites]`.

        Returns:
            A tuple of tensors, the carry of the first chunk, and a function `(steps, carry) -> (params, carry)` of
            consecutive steps, int32 `[S]`: the parameters `[S, B, params_size]` of the sites that they decide, and the carry
            of the next chunk. Step numbers at the end may be `num_sites` or more; their parameters are dropped.
        """
        positions = inverted(order)

        def params_of_steps(steps: tf.Tensor, carry: Carry) -> tuple[tf.Tensor, Carry]:
            size, batch_size = steps.shape[0], tf.shape(sites)[0]
            known = tf.tile(tf.cast(positions < steps[:, None], tf.float32)[:, None], [1, batch_size, 1])
            masked = sites[None] * self._over_sites(tf.cast(known, sites.dtype))
            known, condition = tf.reshape(known, [-1, self.num_sites]), tiled_condition(conditional_input, size)
            params = self.params_of(self._event(masked), known, condition)
            decided = tf.gather(order, tf.minimum(steps, self.num_sites - 1))
            decided = tf.reshape(tf.tile(decided[:, None], [1, batch_size]), [-1])
            own = tf.gather(params, decided, batch_dims=1)
            return tf.reshape(own, [size, batch_size, self.params_size]), carry

        return (), params_of_steps

    # In steps --------------------------------------------------------------------------------------------------------

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        """Returns a state that holds values, mask and the orders of the rows."""
        values = {
            "values": tf.zeros([batch_size, self.num_sites, *self.site_shape]),
            "known": tf.zeros([batch_size, self.num_sites]),
        }
        return {**values, **self._order_state(order), **condition_state(conditional_input)}

    def _order_state(self, order: Any) -> State:
        """Returns the orders of the rows as an entry of the state; an empty dict for the natural order."""
        return {} if order is None else {"order": tf.cast(order, tf.int32)}

    def _site_of_step(self, state: State, index: tf.Tensor) -> tf.Tensor:
        """Returns the site that a step decides: an int32 scalar, or `[B]` if each row has a different order."""
        return state["order"][:, index] if "order" in state else index

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        previous = self._site_of_step(state, tf.maximum(index - 1, 0))
        is_previous = tf.equal(tf.range(self.num_sites)[None], tf.reshape(previous, [-1, 1]))
        is_previous = tf.cast(tf.logical_and(is_previous, index > 0), tf.float32)
        values = state["values"] + self._over_sites(is_previous) * tf.cast(x_previous, tf.float32)
        state = {**state, "values": values, "known": state["known"] + is_previous}
        condition = condition_of_state(state, self.conditional_shape)
        params = tf.cast(self.params_of(self._event(values), state["known"], condition), tf.float32)
        site = self._site_of_step(state, index)
        return tf.gather(params, site[..., None], axis=1, batch_dims=site.shape.rank), state

    # Shapes ----------------------------------------------------------------------------------------------------------

    def _event(self, sites: tf.Tensor) -> tf.Tensor:
        return tf.reshape(sites, [-1, *self.event_shape])

    def _over_sites(self, mask: tf.Tensor) -> tf.Tensor:
        """Gives a mask `[..., num_sites]` axes of length 1 for the axes of a site."""
        return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * len(self.site_shape)], 0)) if self.site_shape else mask


def draw_known(seeds: tf.Tensor, num_sites: int, observed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws an order and a step d for each row; returns the sites known before step d and the weights of the others.

    Uniform keys order the sites. The site that step d decides is drawn uniformly, which makes d uniform, and the sites
    with smaller keys are known, so that no sort is needed. With `observed`, only the observed sites are ordered.

    Returns:
        known: bool `[B, num_sites]`.
        weights: float32 `[B, num_sites]`: n / (n - d + 1) on the sites that are not known among the n sites of a row,
        else 0.
    """
    keys = random.uniform(seeds, num_sites, random.Stream.ORDER)
    counted = tf.ones_like(keys) if observed is None else tf.cast(observed, tf.float32)
    number = tf.reduce_sum(counted, axis=1, keepdims=True)
    choice = tf.floor(random.uniform(seeds, 1, random.Stream.STEP) * number)
    choice = tf.minimum(choice, number - 1.0)
    ranks = tf.cumsum(counted, axis=1, exclusive=True)
    chosen = counted * tf.cast(tf.equal(ranks, choice), tf.float32)
    limit = tf.reduce_sum(chosen * keys, axis=1, keepdims=True)
    known = tf.logical_and(counted > 0.0, keys < limit)
    unknown = counted - tf.cast(known, tf.float32)
    return known, unknown * number / tf.maximum(tf.reduce_sum(unknown, axis=1, keepdims=True), 1.0)


def tiled_condition(conditional_input: Any, times: int) -> Any:
    """Repeats the whole batch of a conditional input `times` times."""
    if conditional_input is None:
        return None
    return keras.tree.map_structure(lambda t: tf.tile(t, [times] + [1] * (t.shape.rank - 1)), conditional_input)
