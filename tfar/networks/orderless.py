"""The base of networks for all orders: the objective that trains them, and their ways through any one order."""

import abc
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import orders, random
from tfar.networks.base import (
    AutoregressiveNetwork,
    State,
    TrainingPass,
    Weights,
    condition_of_state,
    condition_state,
)
from tfar.networks.inputs import row_seeds
from tfar.networks.permutations import inverted

# Steps that share a product where the size of the batch is not known.
CHUNK = 16

Carry = tuple[tf.Tensor, ...]
ChunkFunction = Callable[[tf.Tensor, Carry], tuple[tf.Tensor, Carry]]


class OrderlessNetwork(AutoregressiveNetwork, abc.ABC):
    """A network that is told which sites are known and gives the parameters of the others.

    A subclass writes `params_of`, one pass under a mask a row. Here follow from it

    - `training_pass`: one random order and one step d of it for each row, and the weight D / (D - d + 1) on the sites not
      yet known, whose expectation is the mean of the negative log-probability over all orders;
    - `call`: the D steps of an order, a chunk of them in a pass (`chunk_pass` may be overridden by something cheaper);
    - `start` and `step`: a whole pass a step (may be overridden, too);
    - members: an order each, with the same weights.

    Args:
        event_shape, site_shape, conditional_shape: see the base.
        num_orders: int, K. Random orders, from the seed; the first ones are the same for any K.
        orders: None, or the orders themselves, int `[K, num_sites]`.
        seed: int.

    Attributes:
        chunk_rows: int. Rows of a product in `call`: a chunk holds about `chunk_rows / B` steps.
        weight_attributes: names of the attributes, made by `build`, that hold layers and variables; `with_orders` shares them.

    References:
        Uria, Murray and Larochelle. A deep and tractable density estimator. ICML 2014, sections 2 and 3.
        https://proceedings.mlr.press/v32/uria14.html
    """

    any_order = True
    members_are_orders = True
    chunk_rows: int = 2048
    weight_attributes: tuple[str, ...] = ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        site_shape: tuple[int, ...] = (),
        conditional_shape: Any = None,
        *,
        num_orders: int = 1,
        orders: Any = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.seed = int(seed)
        self._given_orders = orders is not None
        self.orders = member_orders(num_orders if orders is None else orders, self.num_sites, self.seed)
        self.num_members = len(self.orders)

    @abc.abstractmethod
    def params_of(
        self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """One pass under a mask for each row.

        Args:
            x: float tensor `[B, *event_shape]`; what is not known is 0.
            known: float32 `[B, num_sites]`: 1 where a site is known, else 0.
            conditional_input: as in `call`.
            seed: None, or int32 `[2]` in training; decides dropout and the like.

        Returns:
            float tensor `[B, num_sites, params_size]`. Parameters of known sites are not looked at.
        """

    # Training --------------------------------------------------------------------------------------------------------

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base: a random order and step for each row, within its observed sites."""
        sites = self._sites(x)
        known, weights = draw_known(row_seeds(seed, tf.shape(sites)[0]), self.num_sites, observed)
        x = self._event(sites * self._over_sites(tf.cast(known, sites.dtype)))
        params = self.params_of(x, tf.cast(known, tf.float32), conditional_input, seed)
        return TrainingPass(tf.cast(params, tf.float32), weights)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """See the base: the steps of the order, a chunk of them at a time."""
        sites = self._sites(x)
        order = tf.gather(tf.constant(self.orders), member) if order is None else tf.cast(order, tf.int32)
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

    def _chunk_size(self, batch_size: int | None) -> int:
        """Steps of a chunk, so that the last chunk has few steps too many."""
        size = CHUNK if batch_size is None else max(1, self.chunk_rows // max(1, batch_size))
        return math.ceil(self.num_sites / math.ceil(self.num_sites / min(size, self.num_sites)))

    def chunk_pass(self, sites: tf.Tensor, conditional_input: Any, order: tf.Tensor) -> tuple[Carry, ChunkFunction]:
        """What `call` asks chunk by chunk; here a pass over a masked event for each row and step.

        Args:
            sites: float tensor `[B, num_sites, *site_shape]`.
            conditional_input: as in `call`.
            order: int32 `[num_sites]`.

        Returns:
            What the first chunk is given, a tuple of tensors, and a function `(steps, carry) -> (params, carry)` of
            consecutive steps, int32 `[S]`: parameters `[S, B, params_size]` of the sites that they decide, and what the next
            chunk is given. The last steps may be `num_sites` and beyond: what they give is dropped.
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
        self,
        batch_size: int | tf.Tensor,
        conditional_input: Any = None,
        length: int | None = None,
        order: Any = None,
        member: Any = None,
    ) -> State:
        """See the base: the state holds the values and the mask."""
        values = {
            "values": tf.zeros([batch_size, self.num_sites, *self.site_shape]),
            "known": tf.zeros([batch_size, self.num_sites]),
        }
        return {**values, **self._order_state(batch_size, order, member), **condition_state(conditional_input)}

    def _order_state(self, batch_size: int | tf.Tensor, order: Any, member: Any) -> State:
        """The orders of the rows, where they may differ."""
        if order is not None:
            return {"order": tf.cast(order, tf.int32)}
        if len(self.orders) == 1:
            return {}
        return {"order": self.row_orders(tf.zeros([batch_size], tf.int32) if member is None else member)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        previous = self.sites_at(state, tf.maximum(index - 1, 0))
        is_previous = tf.equal(tf.range(self.num_sites)[None], tf.reshape(previous, [-1, 1]))
        is_previous = tf.cast(tf.logical_and(is_previous, index > 0), tf.float32)
        values = state["values"] + self._over_sites(is_previous) * tf.expand_dims(tf.cast(x_previous, tf.float32), 1)
        state = {**state, "values": values, "known": state["known"] + is_previous}
        condition = condition_of_state(state, self.conditional_shape)
        params = tf.cast(self.params_of(self._event(values), state["known"], condition), tf.float32)
        site = self.sites_at(state, index)
        return tf.gather(params, site, axis=1, batch_dims=site.shape.rank), state

    # Orders ----------------------------------------------------------------------------------------------------------

    def with_orders(self, orders: Any) -> "OrderlessNetwork":
        """See the base."""
        given = member_orders(orders, self.num_sites, self.seed)
        drawn = {"num_orders": len(given), "orders": None if np.ndim(orders) == 0 else given.tolist()}
        clone = type(self).from_config({**self.get_config(), **drawn})
        for name in self.weight_attributes:
            setattr(clone, name, getattr(self, name))
        clone.built = True
        return clone

    # Shapes ----------------------------------------------------------------------------------------------------------

    def _sites(self, x: Any) -> tf.Tensor:
        return tf.reshape(x, [-1, self.num_sites, *self.site_shape])

    def _event(self, sites: tf.Tensor) -> tf.Tensor:
        return tf.reshape(sites, [-1, *self.event_shape])

    def _over_sites(self, mask: tf.Tensor) -> tf.Tensor:
        """A mask `[..., num_sites]` that broadcasts over the values of sites."""
        return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * len(self.site_shape)], 0)) if self.site_shape else mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_orders": self.num_members,
            "orders": self.orders.tolist() if self._given_orders else None,
            "seed": self.seed,
        }


def member_orders(given: Any, num_sites: int, seed: int) -> NDArray[np.int32]:
    """Orders `[K, num_sites]` of an int K (random ones, from the seed) or of the orders themselves.

    Raises:
        ValueError: If they are neither.
    """
    if np.ndim(given) == 0:
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
            raise ValueError(f"Expected orders as an int of at least 1 or ints [K, {num_sites}]; received {given!r}.")
        return orders.several(int(given), num_sites, seed)
    return orders.check_several(given, num_sites)


def draw_known(seeds: tf.Tensor, num_sites: int, observed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws an order and a step d of it for each row: what is known before the step, and what the others count.

    Sites are ordered by uniform keys. The site that step d decides is drawn uniformly, which makes d uniform, and the sites of
    lower keys are known: nothing needs sorting. Where sites are observed, all of it happens within them.

    Args:
        seeds: int32 `[B, 2]`.
        num_sites: int, D.
        observed: None, or bool `[B, num_sites]`.

    Returns:
        known: bool `[B, num_sites]`.
        weights: float32 `[B, num_sites]`: n / (n - d + 1) on the sites of a row's n that are not known, else 0.
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
    """The rows of a conditional input `times` times, one batch after the other."""
    if conditional_input is None:
        return None
    return keras.tree.map_structure(lambda t: tf.tile(t, [times] + [1] * (t.shape.rank - 1)), conditional_input)
