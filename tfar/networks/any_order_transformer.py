"""The network of the any-order transformer: causal attention over the sites in the order in which they are decided."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import orders as site_orders
from tfar.layers import TransformerBlock
from tfar.layers.causal_attention import Cache
from tfar.networks.base import AutoregressiveNetwork, TrainingPass, Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import dropped, float32_value, initial_bias, outputs_of, push, row_seeds, site_encoding
from tfar.networks.permutations import inverted, observed_first, permuted
from tfar.networks.training_orders import draw_orders

# Maps the number of a block, the block and its input to its output.
Visit = Callable[[int, TransformerBlock, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable("tfar")
class AnyOrderTransformerNetwork(AutoregressiveNetwork):
    """Causal transformer over the sites in the order o of the steps.

        e_t = E_i x_i + r_i + s_j + U y,    i = o_{t-1}, j = o_t;    e_0 = f + s_j + U y
        a_l = h_{l-1} + O_l attention(A_l norm(h_{l-1})),    h_l = a_l + C_l g(B_l norm(a_l)),    h_0 = e
        params_j = b_j + V_j norm(h_L,t)

    The token of step t holds the value of the previous site, that site, and the site to predict. y is the conditional input.
    Each site has weights of its own: E_i for its value, r_i as the previous site, s_j as the site to predict, and V_j and b_j.

    The state holds the keys and values of each block, `[B, num_heads, num_sites, key_dim]`, the projected condition, and the
    orders of the rows if they differ from that of the network.

    Args:
        event_shape: shape of one event.
        units: int. Width of a token.
        params_size: int. Parameters of a site.
        site_shape: shape of the value of one site.
        num_classes: None, or the number of classes of a site. Its values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        site_levels: None, or the values of each site that have an input of their own; see `LevelEncoding`.
        initial_params: None, or `params_size` numbers: the parameters of every site before training; or such a list for each
            site.
        num_layers, num_heads, key_dim, mlp_units, order, training_orders, activation, dropout_rate, conditional_shape,
        kernel_initializer, seed: see `tfar.AnyOrderTransformer`.

    References:
        Pannatier, Courdier and Fleuret. sigma-GPTs: a new approach to autoregressive models. 2024.
        https://arxiv.org/abs/2404.09562
    """

    any_order = True
    num_sites: int

    def __init__(
        self,
        event_shape: tuple[int, ...],
        units: int,
        params_size: int = 1,
        site_shape: tuple[int, ...] = (),
        *,
        num_layers: int,
        num_heads: int,
        key_dim: int,
        mlp_units: int,
        order: site_orders.Order = "natural",
        training_orders: str = "completion",
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
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.units, self.params_size, self.num_layers = int(units), int(params_size), int(num_layers)
        self.num_heads, self.key_dim, self.mlp_units = int(num_heads), int(key_dim), int(mlp_units)
        self.training_orders, self.seed = training_orders, int(seed)
        self.step_of_site = [site_orders.positions(site_orders.resolve(order, self.num_sites, self.seed))]
        self._encode = site_encoding(site_shape, num_classes, one_hot, site_levels)
        self.activation, self.dropout_rate = keras.activations.get(activation), float(dropout_rate)
        self.initial_params = initial_params
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    # Layers ----------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights, whose shapes depend only on the configuration."""
        tables = {"value_kernel": self.num_sites * self._encode.inputs_per_site, "first_token": 1}
        tables |= {"previous_embedding": self.num_sites, "site_embedding": self.num_sites}
        for salt, (name, rows) in enumerate(tables.items()):
            shape = (rows, self.units)
            setattr(self, name, self.add_weight(shape=shape, initializer=self._seeded(salt), name=name))
        self.condition_layer = None
        if self.conditional_shape is not None:
            features = condition_size(self.conditional_shape)
            self.condition_layer = self._built("condition", features, self.units, salt=4, use_bias=False)
        outputs, bias = self.num_sites * self.params_size, initial_bias(self.initial_params, self.num_sites)
        self.output_layer = self._built("output", self.units, outputs, salt=5, bias_initializer=bias)
        self.blocks = [self._block(number) for number in range(self.num_layers)]
        self.last_norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name="last_norm")
        self.last_norm.build((None, self.units))
        self.built = True

    def _block(self, number: int) -> TransformerBlock:
        block = TransformerBlock(
            self.units,
            self.num_heads,
            self.key_dim,
            self.mlp_units,
            activation=self.activation,
            kernel_initializers=[self._seeded(4 * number + part + 6) for part in range(4)],
            dtype=self.dtype_policy,
            name=f"block_{number + 1}",
        )
        block.build((None, None, self.units))
        return block

    def _built(self, name: str, inputs: int, units: int, salt: int, **kwargs: Any) -> keras.layers.Dense:
        layer = self._dense(name, units, salt, **kwargs)
        layer.build((None, inputs))
        return layer

    # Description -----------------------------------------------------------------------------------------------------

    def _hidden(self, tokens: tf.Tensor, visit: Visit) -> tf.Tensor:
        """Returns the features from which parameters are computed, for tokens `[..., units]`."""
        hidden = tf.cast(tokens, self.compute_dtype)
        for number, block in enumerate(self.blocks):
            hidden = visit(number, block, hidden)
        return tf.cast(self.last_norm(hidden), tf.float32)

    def step_weights(self) -> Weights:
        """Returns the weights of the sites: E `[N, I, units]`, r and s `[N, units]`, V `[N, P, units]` and b `[N, P]`."""
        shape = [self.num_sites, self.params_size]
        return {
            "values": tf.reshape(float32_value(self.value_kernel), [self.num_sites, -1, self.units]),
            "previous": float32_value(self.previous_embedding),
            "sites": float32_value(self.site_embedding),
            "first": float32_value(self.first_token),
            "outputs": tf.reshape(tf.transpose(float32_value(self.output_layer.kernel)), [*shape, self.units]),
            "output_bias": tf.reshape(float32_value(self.output_layer.bias), shape),
        }

    def _condition(self, conditional_input: Any) -> tf.Tensor | None:
        """Returns the contribution of the condition to each token, `[B, units]`."""
        if self.condition_layer is None:
            return None
        features = flatten_condition(conditional_input, self.conditional_shape)
        return tf.cast(self.condition_layer(features), tf.float32)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        order = self.orders[0] if order is None else tf.cast(order, tf.int32)
        return self._pass(x, order, conditional_input, lambda _, block, x: block(x))

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. Draws an order for each row, in which the sites that are not observed come last."""
        order = draw_orders(self.training_orders, row_seeds(seed, tf.shape(x)[0]), self.orders[0], observed)

        def visit(number: int, block: TransformerBlock, x: tf.Tensor) -> tf.Tensor:
            drop = lambda part, x: dropped(x, self.dropout_rate, seed, 2 * number + part)  # noqa: E731
            return block.flow(x, block.attention, drop)

        return TrainingPass(self._pass(x, order, conditional_input, visit))

    def params_given(self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The token of each unknown site follows that of the last known one and sees no other."""
        order = observed_first(self.orders[0], known)
        count = tf.reduce_sum(tf.cast(known, tf.int32), axis=1, keepdims=True)
        steps = np.arange(self.num_sites, dtype=np.int32)
        sees_known = tf.logical_and(steps <= steps[:, None], tf.expand_dims(steps < count, 1))
        mask = tf.logical_or(sees_known, np.eye(self.num_sites, dtype=bool))
        follows = tf.minimum(steps, count)
        return self._pass(x, order, conditional_input, lambda _, block, x: block(x, mask), follows)

    def _pass(
        self, x: Any, order: Any, conditional_input: Any, visit: Visit, follows: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the parameters of all sites, `[B, N, P]`; for the arguments see `_tokens` and `_hidden`."""
        weights = self.step_weights()
        tokens = self._tokens(x, order, self._condition(conditional_input), weights, follows)
        hidden = tf.transpose(permuted(self._hidden(tokens, visit), _inverse(order)), [1, 0, 2])
        params = tf.matmul(hidden, weights["outputs"], transpose_b=True) + tf.expand_dims(weights["output_bias"], 1)
        return tf.transpose(params, [1, 0, 2])

    def _tokens(
        self, x: Any, order: Any, condition: tf.Tensor | None, weights: Weights, follows: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the tokens of all steps, `[B, N, units]`.

        Args:
            x: float tensor `[B, *event_shape]`.
            order: an int32 array `[N]`, or a tensor `[N]` or `[B, N]`.
            condition: the result of `_condition`.
            weights: the result of `step_weights`.
            follows: None, or int32 `[B, N]`: the token of step t holds the site of step `follows[t] - 1`, in place of t - 1.
        """
        inputs = self._encode(self._sites(tf.cast(x, tf.float32)))
        known = tf.transpose(tf.matmul(tf.transpose(inputs, [1, 0, 2]), weights["values"]), [1, 0, 2])
        known = permuted(known + weights["previous"], order)
        first = tf.broadcast_to(weights["first"], tf.shape(known[:, :1]))
        known = tf.concat([first, known[:, :-1]], axis=1)
        if follows is not None:
            known = tf.gather(known, follows, axis=1, batch_dims=1)
        tokens = known + tf.gather(weights["sites"], order)
        return tokens if condition is None else tokens + tf.expand_dims(condition, 1)

    # In steps --------------------------------------------------------------------------------------------------------

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        """Returns a state of empty caches, the projected condition and the orders of the rows."""
        state: State = {}
        for number, block in enumerate(self.blocks):
            state |= _cache_state(number, block.start(batch_size, self.num_sites))
        if self.condition_layer is not None:
            state["condition"] = self._condition(conditional_input)
        return state if order is None else {**state, "order": tf.cast(order, tf.int32)}

    def _site_of_step(self, state: State, index: tf.Tensor) -> tf.Tensor:
        """Returns the site that a step decides: an int32 scalar, or `[B]` if each row has a different order."""
        return tf.gather(state["order"], index, axis=1) if "order" in state else tf.gather(self.orders[0], index)

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights, new = self.step_weights() if weights is None else weights, dict(state)
        site, previous = self._site_of_step(state, index), self._site_of_step(state, tf.maximum(index - 1, 0))
        inputs = self._encode(tf.cast(x_previous[:, 0], tf.float32), previous)
        known = push(inputs, tf.gather(weights["values"], previous)) + tf.gather(weights["previous"], previous)
        tokens = tf.where(index > 0, known, weights["first"]) + tf.gather(weights["sites"], site)
        if "condition" in state:
            tokens += state["condition"]

        def visit(number: int, block: TransformerBlock, x: tf.Tensor) -> tf.Tensor:
            found, cache = block.step((state[f"keys_{number}"], state[f"values_{number}"]), x, index)
            new.update(_cache_state(number, cache))
            return found

        params = outputs_of(self._hidden(tokens, visit), tf.gather(weights["outputs"], site))
        params += tf.gather(weights["output_bias"], site)
        return tf.expand_dims(params, 1), new

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """See the base class. Fills all caches by one pass; the steps replace the entries from `length` on."""
        order, new = state.get("order", self.orders[0]), dict(state)

        def visit(number: int, block: TransformerBlock, x: tf.Tensor) -> tf.Tensor:
            found, cache = block.fill(x)
            new.update(_cache_state(number, cache))
            return found

        x = permuted(x_prefix[:, :, 0], _inverse(order))
        self._hidden(self._tokens(x, order, state.get("condition"), self.step_weights()), visit)
        return new


def _cache_state(number: int, cache: Cache) -> State:
    """Returns the cache of a block as entries of a state."""
    return dict(zip((f"keys_{number}", f"values_{number}"), cache, strict=True))


def _inverse(order: Any) -> Any:
    """Returns the inverse of an order, of the same kind."""
    return site_orders.positions(order) if isinstance(order, np.ndarray) else inverted(order)
