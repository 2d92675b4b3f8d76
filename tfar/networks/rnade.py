"""The network of RNADE: that of NADE over standardised real values, with a scale for the activations of each site."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers import Standardization
from tfar.networks.base import Weights
from tfar.networks.conditions import State
from tfar.networks.nade import NADENetwork


@keras.saving.register_keras_serializable("tfar")
class RNADENetwork(NADENetwork):
    """Shared hidden units over standardised values, whose parameters end with the units of their site.

        a_0 = c + U y,    params_t = [b_t + V_t h(rho_t a_t), loc_t, scale_t],    a_{t+1} = a_t + W_t (x_t - loc_t) / scale_t

    Args:
        event_shape: shape of one event; a site is a number.
        hidden_units: int, H.
        params_size: int. Parameters of a site, the two of its units included.
        loc, scale: of the values; see `tfar.layers.Standardization`.
        initial_params: None, or `params_size - 2` numbers: the biases of every site before training.
        **kwargs: those of `NADENetwork`.

    Attributes:
        standardization: the layer that holds the units.

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013, section 3.
        https://arxiv.org/abs/1306.0186
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden_units: int,
        params_size: int,
        *,
        loc: Any = None,
        scale: Any = None,
        initial_params: Sequence[float] | None = None,
        activation: str = "relu",
        scaled_activations: bool = True,
        compensated: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_shape,
            hidden_units,
            int(params_size) - 2,
            activation=activation,
            scaled_activations=scaled_activations,
            compensated=compensated,
            **kwargs,
        )
        self.initial_params = None if initial_params is None else [float(p) for p in initial_params]
        self.standardization = Standardization(self.event_shape, loc, scale, dtype="float32", name="standardization")

    @property
    def params_size(self) -> int:
        return self._params_size + 2

    @property
    def input_dtype(self) -> str:
        """Inputs stay float32 under mixed precision until they are standardised."""
        return "float32"

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        self.standardization.build()
        super().build(input_shape)

    def _initial_output_bias(self) -> Any:
        if self.initial_params is None:
            return "zeros"
        return lambda *_, **__: tf.constant(np.tile(self.initial_params, self.num_sites), tf.float32)

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        params = super().call(self.standardization(x), conditional_input, member, order, training)
        units = tf.reshape(self.standardization.units(), [1, self.num_sites, 2])
        return tf.concat([params, tf.tile(units, [tf.shape(params)[0], 1, 1])], axis=-1)

    def step_weights(self) -> Weights:
        units = tf.reshape(self.standardization.units(), [self.num_sites, 2])
        return {**super().step_weights(), "units": tf.gather(units, tf.constant(self.orders[0]))}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        before, now = tf.gather(weights["units"], tf.maximum(index - 1, 0)), tf.gather(weights["units"], index)
        standardized = (tf.cast(x_previous, tf.float32) - before[0]) / before[1]
        params, state = super().step(state, index, standardized, weights)
        return tf.concat([params, tf.tile(now[None, None], [tf.shape(params)[0], 1, 1])], axis=-1), state

    def get_config(self) -> dict[str, Any]:
        units = self.standardization.get_config()
        return {
            **super().get_config(),
            "loc": units["loc"],
            "scale": units["scale"],
            "initial_params": self.initial_params,
        }
