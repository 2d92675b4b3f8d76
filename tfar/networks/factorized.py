"""Network whose sites are independent given the condition; one step decides all of them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State


@keras.saving.register_keras_serializable("tfar")
class FactorizedNetwork(AutoregressiveNetwork):
    """Computes parameters that depend only on the condition, or are constant.

        params = f(condition)        or, without a condition, a table of parameters for each site

    Args:
        event_shape: shape of one event.
        params_size: int, P. Parameters of a site.
        site_shape: shape of the value of one site.
        network: None, or a Keras layer from the condition to `[B, num_sites, P]` or flat. If it has an attribute
            `num_condition_values`, that of this network is the same.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        initial_params: None, or P numbers: without a `network`, the initial parameters of every site. Default: 0.
        trainable: bool.

    Raises:
        ValueError: If there is a network without a condition, or a condition without a network.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        params_size: int,
        site_shape: tuple[int, ...] = (),
        *,
        network: keras.layers.Layer | None = None,
        conditional_shape: Any = None,
        initial_params: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        # The network casts a condition itself, which may be words, whose numbers half precision would round.
        super().__init__(event_shape, site_shape, conditional_shape, autocast=False, **kwargs)
        if (network is None) != (conditional_shape is None):
            raise ValueError(
                "Expected a `network` exactly if there is a `conditional_shape`, as it takes the condition; received "
                f"{network!r} and {conditional_shape!r}."
            )
        self.network, self.params_size = network, int(params_size)
        self.num_condition_values = getattr(network, "num_condition_values", None)
        self.initial_params = None if initial_params is None else [float(p) for p in initial_params]
        self.step_of_site = np.zeros([1, self.num_sites], np.int32)

    def build(self, input_shape: Any = None) -> None:
        self.params = None
        if self.network is None:
            params = self.initial_params or [0.0] * self.params_size
            table = np.tile(np.asarray(params, np.float32), [self.num_sites, 1])
            self.params = self.add_weight(
                name="params",
                shape=table.shape,
                initializer=lambda shape, dtype=None: tf.constant(table, dtype),
                trainable=self.trainable,
            )
        self.built = True

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._params(tf.shape(x)[0], conditional_input, training)

    def _params(self, batch_size: int | tf.Tensor, conditional_input: Any, training: Any = None) -> tf.Tensor:
        if self.network is None:
            return tf.tile(tf.convert_to_tensor(self.params)[None], [batch_size, 1, 1])
        return self._params_of_sites(self.network(conditional_input, training=training))

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        return {"params": tf.cast(self._params(batch_size, conditional_input), tf.float32)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        return state["params"], state
