"""The network of orderless NADE: a multilayer perceptron on masked values and the mask of the known sites."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.networks.base import Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import (
    dropped,
    float32_value,
    initial_bias,
    outputs_of,
    push,
    site_encoding,
)
from tfar.networks.orderless import Carry, ChunkFunction, OrderlessNetwork


@keras.saving.register_keras_serializable("tfar")
class OrderlessNADENetwork(OrderlessNetwork):
    """Multilayer perceptron on masked values and their mask.

        a_1 = c + W (x * m) + A m + U y,   h_1 = g(a_1),   h_l = g(b_l + W_l h_{l-1}),   params = b + V h_L

    m is 1 on the known sites, and y is the conditional input. Each step along an order adds a column of W and of A to a_1.

    Args:
        event_shape: shape of one event.
        hidden_units: units of each hidden layer.
        params_size: int. Parameters of a site.
        site_shape: shape of the value of one site.
        num_classes: None, or the number of classes of a site, whose values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        site_levels: None, or the values of each site that have an input of their own; see `LevelEncoding`.
        initial_params: None, or `params_size` numbers: the parameters of every site before training; or such a list for each
            site.
        activation, dropout_rate, conditional_shape, kernel_initializer, seed: see `tfar.OrderlessNADE`.

    References:
        Uria, Murray and Larochelle. A deep and tractable density estimator. ICML 2014, section 2.
        https://proceedings.mlr.press/v32/uria14.html
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden_units: tuple[int, ...],
        params_size: int = 1,
        site_shape: tuple[int, ...] = (),
        *,
        activation: Any = "relu",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        site_levels: Sequence[Sequence[float]] | None = None,
        initial_params: Sequence[Any] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, seed=seed, **kwargs)
        self.hidden_units, self.params_size = tuple(hidden_units), int(params_size)
        self._encode = site_encoding(site_shape, num_classes, one_hot, site_levels)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.activation, self.dropout_rate = keras.activations.get(activation), float(dropout_rate)
        self.initial_params = initial_params
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    # Layers ----------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Creates all layers, whose shapes depend only on the configuration."""
        first, features = self.hidden_units[0], condition_size(self.conditional_shape)
        self.input_layer = self._built("inputs", self.num_sites * self._encode.inputs_per_site, first, salt=0)
        self.mask_layer = self._built("mask", self.num_sites, first, salt=1, use_bias=False)
        self.condition_layer = None
        if self.conditional_shape is not None:
            self.condition_layer = self._built("condition", features, first, salt=2, use_bias=False)
        pairs = zip(self.hidden_units, self.hidden_units[1:], strict=False)
        self.hidden_layers = [self._built(f"hidden_{i}", *pair, salt=i + 2) for i, pair in enumerate(pairs, start=2)]
        outputs, bias = self.num_sites * self.params_size, initial_bias(self.initial_params, self.num_sites)
        self.output_layer = self._built("output", self.hidden_units[-1], outputs, salt=3, bias_initializer=bias)
        self.built = True

    def _built(self, name: str, inputs: int, units: int, salt: int, **kwargs: Any) -> keras.layers.Dense:
        layer = self._dense(name, units, salt, **kwargs)
        layer.build((None, inputs))
        return layer

    def _deep(self, activations: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the last hidden layer `[B, H_L]` from the activations of the first one."""
        hidden = dropped(self.activation(activations), self.dropout_rate, seed, layer=0)
        for i, layer in enumerate(self.hidden_layers, start=1):
            hidden = dropped(self.activation(layer(hidden)), self.dropout_rate, seed, layer=i)
        return hidden

    def params_of(
        self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        inputs = self._encode(self._sites(x)) * tf.cast(known, x.dtype)[..., None]
        activations = self.input_layer(tf.reshape(inputs, [-1, self.num_sites * self._encode.inputs_per_site]))
        activations += self.mask_layer(known)
        if self.condition_layer is not None:
            activations += self.condition_layer(flatten_condition(conditional_input, self.conditional_shape))
        params = self.output_layer(self._deep(activations, seed))
        return tf.reshape(params, [-1, self.num_sites, self.params_size])

    # One order -------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns W `[N, I, H]`, A `[N, H]`, V `[N, P, H]` and b `[N, P]`, by site."""
        shape = [self.num_sites, self.params_size, self.hidden_units[-1]]
        return {
            "inputs": tf.reshape(float32_value(self.input_layer.kernel), [self.num_sites, -1, self.hidden_units[0]]),
            "mask": float32_value(self.mask_layer.kernel),
            "outputs": tf.reshape(tf.transpose(float32_value(self.output_layer.kernel)), shape),
            "output_bias": tf.reshape(float32_value(self.output_layer.bias), shape[:2]),
        }

    def _first_activations(self, batch_size: int | tf.Tensor, conditional_input: Any) -> tf.Tensor:
        """Returns the activations of the first layer before any site is known, `[B, H]`."""
        activations = tf.tile(float32_value(self.input_layer.bias)[None], [batch_size, 1])
        if self.condition_layer is None:
            return activations
        features = flatten_condition(conditional_input, self.conditional_shape)
        return activations + tf.matmul(features, float32_value(self.condition_layer.kernel))

    def chunk_pass(self, sites: tf.Tensor, conditional_input: Any, order: tf.Tensor) -> tuple[Carry, ChunkFunction]:
        """See the base class. One masked product adds the sites of the chunk to the earlier activations.

        A chunk holds `[steps * B, H]` activations, and computes only the outputs of the sites that the steps decide.
        """
        batch_size, width = tf.shape(sites)[0], self._encode.inputs_per_site
        weights, values = self.step_weights(), tf.cast(self._encode(sites), tf.float32)

        def params_of_steps(steps: tf.Tensor, carry: Carry) -> tuple[tf.Tensor, Carry]:
            size, own = steps.shape[0], tf.gather(order, tf.minimum(steps, self.num_sites - 1))
            inputs = tf.reshape(tf.gather(values, own, axis=1), [batch_size, size * width])
            kernel = tf.reshape(tf.gather(weights["inputs"], own), [size * width, self.hidden_units[0]])
            mask_kernel = tf.gather(weights["mask"], own)
            within = tf.range(size)
            before = tf.cast(within < within[:, None], tf.float32)  # [step, site]
            seen = tf.reshape(tf.tile(before[..., None], [1, 1, width]), [size, 1, size * width])
            seen = tf.reshape(inputs[None] * seen, [-1, size * width])
            added = tf.reshape(tf.matmul(seen, kernel), [size, batch_size, self.hidden_units[0]])
            added += tf.matmul(before, mask_kernel)[:, None]
            hidden = self._deep(tf.reshape(carry[0] + added, [-1, self.hidden_units[0]]))
            hidden = tf.reshape(tf.cast(hidden, tf.float32), [size, batch_size, self.hidden_units[-1]])
            params = tf.matmul(hidden, tf.gather(weights["outputs"], own), transpose_b=True)
            params += tf.gather(weights["output_bias"], own)[:, None]
            return params, (carry[0] + tf.matmul(inputs, kernel) + tf.reduce_sum(mask_kernel, axis=0),)

        return (self._first_activations(batch_size, conditional_input),), params_of_steps

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        """Returns a state that holds the activations of the first layer and the orders of the rows."""
        return {"activations": self._first_activations(batch_size, conditional_input), **self._order_state(order)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        site, previous = self._site_of_step(state, index), self._site_of_step(state, tf.maximum(index - 1, 0))
        added = push(
            self._encode(tf.cast(x_previous[:, 0], tf.float32), previous), tf.gather(weights["inputs"], previous)
        )
        added += tf.gather(weights["mask"], previous)
        state = {**state, "activations": state["activations"] + added * tf.cast(index > 0, tf.float32)}
        hidden = tf.cast(self._deep(state["activations"]), tf.float32)
        params = outputs_of(hidden, tf.gather(weights["outputs"], site))
        return (params + tf.gather(weights["output_bias"], site))[:, None], state
