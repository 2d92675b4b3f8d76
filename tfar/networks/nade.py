"""The network of NADE: a hidden layer that all sites share."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import orders as site_orders
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import float32_value, initial_bias, outputs_of, push, site_encoding
from tfar.networks.nade_scan import ACTIVATIONS, nade_scan
from tfar.networks.permutations import permuted, unpermuted


@keras.saving.register_keras_serializable("tfar")
class NADENetwork(AutoregressiveNetwork):
    """Single hidden layer shared by all sites, whose activations are a running sum over the sites.

        a_0 = c + U y,    params_t = b_t + V_t h(a_t),    a_{t+1} = a_t + W_t x_t

    y is the conditional input. The kernels store the sites in the order of the steps.

    Args:
        event_shape: shape of one event.
        hidden_units: int, H.
        params_size: int, P. Parameters of a site.
        site_shape: shape of the value of one site.
        num_classes: None, or the number of classes of a site. Its values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        scaled_activations: bool. Learn a scale rho_t of the activations for each site, as in RNADE: `h(rho_t a_t)`.
        compensated: bool. Use compensated summation, which real values need; see `tfar.networks.nade_scan.nade_scan`.
        site_levels: None, or the values of each site that have an input of their own; see `LevelEncoding`.
        initial_params: None, or `params_size` numbers: the parameters of every site before training; or such a list for each
            site.
        order, activation, learned_first_state, conditional_shape, kernel_initializer, seed: see `tfar.NADE`.

    Raises:
        ValueError: If the order or the activation is unknown.

    References:
        Larochelle and Murray. The neural autoregressive distribution estimator. AISTATS 2011, section 3.
        https://proceedings.mlr.press/v15/larochelle11a.html
    """

    num_sites: int
    orders: NDArray[np.int32]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden_units: int,
        params_size: int = 1,
        site_shape: tuple[int, ...] = (),
        *,
        order: site_orders.Order = "natural",
        activation: str = "sigmoid",
        learned_first_state: bool = False,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        scaled_activations: bool = False,
        compensated: bool = False,
        site_levels: Sequence[Sequence[float]] | None = None,
        initial_params: Sequence[Any] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(f"Expected `activation` to be one of {tuple(ACTIVATIONS)}; received {activation!r}.")
        self.hidden_units, self.params_size = int(hidden_units), int(params_size)
        self.order, self.activation = order, activation
        self.learned_first_state, self.seed = bool(learned_first_state), seed
        self.scaled_activations, self.compensated = bool(scaled_activations), bool(compensated)
        self.initial_params = initial_params
        self._encode = site_encoding(site_shape, num_classes, one_hot, site_levels)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.step_of_site = site_orders.positions(site_orders.resolve(order, self.num_sites, seed))[None]
        self.condition_layer = None
        if conditional_shape is not None:
            self.condition_layer = self._dense("condition", self.hidden_units, 2, use_bias=False)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        inputs, outputs = self.num_sites * self._encode.inputs_per_site, self.num_sites * self.params_size
        self.kernel = self._weight("kernel", (inputs, self.hidden_units), self._seeded(0))
        self.bias = self._weight("bias", (self.hidden_units,))
        self.output_kernel = self._weight("output_kernel", (outputs, self.hidden_units), self._seeded(1))
        self.output_bias = self._weight(
            "output_bias", (outputs,), initial_bias(self.initial_params, self.num_sites, self.orders[0])
        )
        self.first_state = self._weight("first_state", (self.hidden_units,)) if self.learned_first_state else None
        scales = (self.num_sites,) if self.scaled_activations else None
        self.activation_scale = None if scales is None else self._weight("activation_scale", scales, "ones")
        if self.condition_layer is not None:
            self.condition_layer.build((None, condition_size(self.conditional_shape)))
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros") -> keras.Variable:
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """See the base class. The result is float32 also under mixed precision, because it sums over many sites."""
        inputs = permuted(self._encode(self._sites(x)), self.orders[0])
        kernel, output_kernel = self._kernels()
        first = self._condition(conditional_input, tf.shape(inputs)[0])
        scale = None if self.activation_scale is None else float32_value(self.activation_scale)
        start = first + float32_value(self.bias)
        params = nade_scan(inputs, kernel, start, output_kernel, self.activation, scale, self.compensated)
        if self.first_state is not None:
            hidden = self._hidden(first + float32_value(self.first_state), None if scale is None else scale[0])
            of_first = tf.matmul(hidden, output_kernel[0], transpose_b=True)
            params = tf.concat([of_first[:, None], params[:, 1:]], axis=1)
        params += tf.reshape(float32_value(self.output_bias), [self.num_sites, self.params_size])
        return unpermuted(params, self.orders[0])

    def _kernels(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns W `[N, I, H]` and V `[N, P, H]`."""
        shape = [self.num_sites, -1, self.hidden_units]
        return tf.reshape(float32_value(self.kernel), shape), tf.reshape(float32_value(self.output_kernel), shape)

    def _hidden(self, activations: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
        """Returns the hidden units of one site, `[B, H]`, from its activations and its scalar scale."""
        return ACTIVATIONS[self.activation].function(activations if scale is None else scale * activations)

    def _condition(self, conditional_input: Any, batch_size: int | tf.Tensor) -> tf.Tensor:
        """Returns the contribution of the conditional input to the activations, float32 `[B, H]`; zeros without one."""
        if self.condition_layer is None:
            return tf.zeros(tf.stack([batch_size, self.hidden_units]))
        features = flatten_condition(conditional_input, self.conditional_shape)
        return tf.matmul(features, float32_value(self.condition_layer.kernel))

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        kernel, output_kernel = self._kernels()
        biases = tf.reshape(float32_value(self.output_bias), [self.num_sites, self.params_size])
        weights = {"kernel": kernel, "output_kernel": output_kernel, "output_bias": biases}
        if self.activation_scale is not None:
            weights["activation_scale"] = float32_value(self.activation_scale)
        return weights

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = {"activations": self._condition(conditional_input, batch_size) + float32_value(self.bias)}
        if self.first_state is not None:
            state["first"] = state["activations"] - float32_value(self.bias) + float32_value(self.first_state)
        return state

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        kernel = tf.gather(weights["kernel"], tf.maximum(index - 1, 0))
        previous = tf.gather(tf.constant(self.orders[0]), tf.maximum(index - 1, 0))
        inputs = self._encode(tf.cast(x_previous[:, 0], tf.float32), previous) * tf.cast(index > 0, tf.float32)
        state = {**state, "activations": state["activations"] + push(inputs, kernel)}
        seen = tf.where(index > 0, state["activations"], state.get("first", state["activations"]))
        scale = weights.get("activation_scale")
        hidden = self._hidden(seen, None if scale is None else scale[index])
        params = outputs_of(hidden, tf.gather(weights["output_kernel"], index))
        return (params + tf.gather(weights["output_bias"], index))[:, None], state
