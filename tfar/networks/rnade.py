"""The network of RNADE: that of NADE with a scale for the activations of each site."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.networks.nade import NADENetwork


@keras.saving.register_keras_serializable("tfar")
class RNADENetwork(NADENetwork):
    """Hidden units shared by all sites, over real values that the head has standardised.

        a_0 = c + U y,    params_t = b_t + V_t h(rho_t a_t),    a_{t+1} = a_t + W_t z_t

    y is the conditional input and z the standardised values.

    Args:
        event_shape: shape of one event; a site is a number.
        hidden_units: int, H.
        params_size: int. Parameters of a site.
        initial_params: None, or `params_size` numbers: the biases of every site before training.
        **kwargs: those of `NADENetwork`.

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
        initial_params: Sequence[float] | None = None,
        activation: str = "relu",
        scaled_activations: bool = True,
        compensated: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_shape,
            hidden_units,
            params_size,
            activation=activation,
            scaled_activations=scaled_activations,
            compensated=compensated,
            **kwargs,
        )
        self.initial_params = None if initial_params is None else [float(p) for p in initial_params]

    def _initial_output_bias(self) -> Any:
        initial, sites = self.initial_params, self.num_sites or 0
        return "zeros" if initial is None else lambda *_, **__: tf.constant(initial * sites, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial_params": self.initial_params}
