"""Wrapper of any Keras network as an autoregressive network, in which each step is a pass of the whole network."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from tfar import orders
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State, condition_of_state, condition_state


@keras.saving.register_keras_serializable("tfar")
class WholePassNetwork(AutoregressiveNetwork):
    """Wraps a Keras layer or model `f(x)` or `f(x, conditional_input)` that has no `start` and `step`.

    Each step runs the whole network once. The output of `f` is reshaped to `[B, num_sites, params_size]`, so it may be
    `[B, *sites, params_size]` or flat, with the parameters of a site contiguous.

    Args:
        network: keras.layers.Layer. Its output parameters of each site must depend only on earlier sites.
        event_shape: shape of one event.
        params_size: int. Length of a parameter vector.
        order: the order that the network respects; see `tfar.orders.resolve`.
        site_shape: shape of the value of one site.
        conditional_shape: shape of the conditional input, a dict of shapes, or None.

    Raises:
        ValueError: If the output of the network does not have `num_sites * params_size` entries per row, or if there is a
            condition and the network has no second input.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        event_shape: tuple[int, ...],
        params_size: int,
        order: orders.Order = "natural",
        site_shape: tuple[int, ...] = (),
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        if conditional_shape is not None:
            _check_takes_condition(network)
        self.network = network
        self.params_size = int(params_size)
        if self.num_sites is not None:
            self.step_of_site = orders.positions(orders.resolve(order, self.num_sites))[None]

    def build(self, input_shape: Any = None) -> None:
        self.built = True

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        inputs = (x,) if self.conditional_shape is None else (x, conditional_input)
        return self._params_of_sites(self.network(*inputs, training=training))

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        if order is not None:
            raise ValueError(
                f"Expected no `order`, because {self.network.name!r} respects one order alone; received {order!r}."
            )
        state = {"values": tf.zeros([batch_size, self.num_sites, *self.site_shape])}
        return {**state, **condition_state(conditional_input)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        order = tf.constant(self.orders[0])
        is_previous = tf.equal(tf.range(self.num_sites), order[tf.maximum(index - 1, 0)])
        write = tf.reshape(tf.logical_and(is_previous, index > 0), [1, -1] + [1] * len(self.site_shape))
        values = tf.where(write, x_previous, state["values"])
        condition = condition_of_state(state, self.conditional_shape)
        params = self(tf.reshape(values, [-1, *self.event_shape]), condition)
        return tf.cast(tf.gather(params, [order[index]], axis=1), tf.float32), {**state, "values": values}


def _check_takes_condition(network: keras.layers.Layer) -> None:
    names = list(inspect.signature(network.call).parameters)
    if names[1:2] in (["training"], ["mask"]):
        raise ValueError(
            f"Expected a network `f(x, conditional_input)`, as there is a `conditional_shape`; {type(network).__name__} takes "
            f"({', '.join(names)}). Write a layer whose `call(x, conditional_input)` joins the two."
        )
