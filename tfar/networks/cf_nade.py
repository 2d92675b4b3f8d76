"""The networks of CF-NADE: a perceptron on the sum of a weight row for each rating."""

from typing import Any

import keras
import tensorflow as tf

from tfar import random
from tfar.networks.base import Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import dropped, float32_value, outputs_of, push
from tfar.networks.orderless import OrderlessNetwork
from tfar.networks.permutations import inverted, permuted, unpermuted

# Number of items that one iteration of a pass visits.
CHUNK = 16


@keras.saving.register_keras_serializable("tfar")
class CFNADENetwork(OrderlessNetwork):
    """Computes the parameters of every item from the ratings that are known.

        a_1 = c + sum_j sum_{k <= r_j} W^k[m_j] + U y,   h_1 = g(a_1),   h_l = g(b_l + W_l h_{l-1}),   params_m = b_m + V_m h_L

    The sum is over the known ratings r_j of items m_j, and y is the conditional input. A value of 0 means that the rating is not
    known and adds nothing, so that a pass along an order ends with the last rating.

    Args:
        event_shape: `(num_items,)`.
        hidden_units: units of each hidden layer.
        params_size: int. Parameters of an item.
        num_ratings: int, K. Ratings are 1 .. K.
        share_ratings, rank, implicit_term, activation, dropout_rate, conditional_shape, kernel_initializer, seed: see
            `tfar.CFNADE`.

    References:
        Zheng, Tang, Ding and Zhou. A neural autoregressive approach to collaborative filtering. ICML 2016, sections 3 and 4.
        https://arxiv.org/abs/1605.09477
    """

    compiles_training = False  # XLA pads the ratings of a batch to all items.

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden_units: tuple[int, ...],
        params_size: int,
        num_ratings: int,
        *,
        share_ratings: bool = True,
        rank: int | None = None,
        implicit_term: bool = False,
        activation: Any = "tanh",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, (), conditional_shape, seed=seed, **kwargs)
        self.hidden_units, self.params_size, self.num_ratings = tuple(hidden_units), int(params_size), int(num_ratings)
        self.share_ratings, self.rank, self.implicit_term = bool(share_ratings), rank, bool(implicit_term)
        self.activation, self.dropout_rate = keras.activations.get(activation), float(dropout_rate)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.marks_per_item = self.num_ratings + self.implicit_term

    # Layers ----------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        first, last, outputs = self.hidden_units[0], self.hidden_units[-1], self.num_sites * self.params_size
        rows, zeros = self.num_sites * self.marks_per_item, "zeros"
        self.kernel = self.add_weight(name="kernel", shape=(rows, self.rank or first), initializer=self._seeded(0))
        self.bias = self.add_weight(name="bias", shape=(first,), initializer=zeros)
        shape = (outputs, self.rank or last)
        self.output_kernel = self.add_weight(name="output_kernel", shape=shape, initializer=self._seeded(1))
        self.output_bias = self.add_weight(name="output_bias", shape=(outputs,), initializer=zeros)
        self.factor = self.output_factor = self.condition_layer = None
        if self.rank is not None:
            self.factor = self._built("factor", self.rank, first, salt=2, use_bias=False)
            self.output_factor = self._built("output_factor", last, self.rank, salt=3, use_bias=False)
        if self.conditional_shape is not None:
            size = condition_size(self.conditional_shape)
            self.condition_layer = self._built("condition", size, first, salt=4, use_bias=False)
        pairs = zip(self.hidden_units, self.hidden_units[1:], strict=False)
        self.hidden_layers = [self._built(f"hidden_{i}", *pair, salt=i + 3) for i, pair in enumerate(pairs, start=2)]
        self.built = True

    def _built(self, name: str, inputs: int, units: int, salt: int, **kwargs: Any) -> keras.layers.Dense:
        layer = self._dense(name, units, salt, **kwargs)
        layer.build((None, inputs))
        return layer

    def step_weights(self) -> Weights:
        """Returns W `[N, R, J]`, V `[N, P, J]` and b `[N, P]`, by item."""
        return {
            "kernel": tf.reshape(float32_value(self.kernel), [self.num_sites, self.marks_per_item, -1]),
            "output_kernel": tf.reshape(float32_value(self.output_kernel), [self.num_sites, self.params_size, -1]),
            "output_bias": tf.reshape(float32_value(self.output_bias), [self.num_sites, self.params_size]),
        }

    def _marks(self, ratings: tf.Tensor) -> tf.Tensor:
        """Returns which of the weight rows of an item a rating adds, float32 `[..., R]`; none if it is 0."""
        ratings, levels = tf.cast(ratings, tf.float32)[..., None], tf.range(1, self.num_ratings + 1, dtype=tf.float32)
        marks = ratings >= levels if self.share_ratings else tf.equal(ratings, levels)
        return tf.cast(tf.concat([marks, ratings > 0.0], -1) if self.implicit_term else marks, tf.float32)

    def _sums(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the sums of the weight rows of all ratings, `[B, J]`, in one product."""
        rows = self.num_sites * self.marks_per_item
        return tf.matmul(tf.reshape(self._marks(x), [-1, rows]), float32_value(self.kernel))

    def _gathered_sums(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the same as `_sums` and reads only the rows of the ratings; XLA does not compile it well."""
        rated, kernel = tf.where(x > 0.0), self.step_weights()["kernel"]
        of_rating = tf.einsum("kr,nrj->nkj", self._marks(tf.range(1, self.num_ratings + 1)), kernel)
        numbers = rated[:, 1] * self.num_ratings + tf.cast(tf.gather_nd(x, rated), tf.int64) - 1
        added = tf.gather(tf.reshape(of_rating, [self.num_sites * self.num_ratings, -1]), numbers)
        return tf.math.unsorted_segment_sum(added, rated[:, 0], tf.shape(x)[0])

    def _condition(self, conditional_input: Any) -> tf.Tensor | float:
        """Returns the activations that a conditional input adds, `[B, H]`."""
        if self.condition_layer is None:
            return 0.0
        features = flatten_condition(conditional_input, self.conditional_shape)
        return tf.cast(self.condition_layer(features), tf.float32)

    def _hidden(self, sums: tf.Tensor, condition: Any, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the last hidden layer, `[..., H]`, from sums `[..., J]` and the activations of the condition."""
        activations = sums if self.factor is None else tf.cast(self.factor(sums), tf.float32)
        hidden = self.activation(activations + float32_value(self.bias) + condition)
        hidden = dropped(hidden, self.dropout_rate, seed, layer=0)
        for i, layer in enumerate(self.hidden_layers, start=1):
            hidden = dropped(self.activation(layer(hidden)), self.dropout_rate, seed, layer=i)
        return tf.cast(hidden, tf.float32)

    def _features(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns what the output kernel multiplies, `[..., J]`."""
        return hidden if self.output_factor is None else tf.cast(self.output_factor(hidden), tf.float32)

    def _outputs(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of all items, `[B, N, P]`, for hidden units `[B, H]`."""
        params = tf.matmul(self._features(hidden), float32_value(self.output_kernel), transpose_b=True)
        return tf.reshape(params + float32_value(self.output_bias), [-1, self.num_sites, self.params_size])

    # In one pass -----------------------------------------------------------------------------------------------------

    def user_vectors(self, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the last hidden layer given all known ratings, `[B, hidden_units[-1]]`."""
        return self._hidden(self._sums(x), self._condition(conditional_input))

    def params_of(
        self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        sums = self._sums(x) if seed is None else self._gathered_sums(tf.cast(x, tf.float32))
        return self._outputs(self._hidden(sums, self._condition(conditional_input), seed))

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """See the base class. It visits the items up to the last rating of the batch, and computes the others in one product."""
        x = tf.cast(x, tf.float32)
        order = tf.constant(self.orders[0]) if order is None else tf.cast(order, tf.int32)
        by_row = order if order.shape.rank == 2 else tf.tile(order[None], [tf.shape(x)[0], 1])
        condition = self._condition(conditional_input)
        params, visited, sums = self._visited(tf.transpose(permuted(x, by_row)), tf.transpose(order), condition)
        params = unpermuted(tf.transpose(params, [1, 0, 2]), by_row)
        others = self._outputs(self._hidden(sums, condition))
        return tf.where((inverted(by_row) < visited)[..., None], params, others)

    def _visited(self, ratings: tf.Tensor, order: tf.Tensor, condition: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Visits items in an order until no rating is left.

        Args:
            ratings: float32 `[N, B]`, in the order of the steps.
            order: int32 `[N]` or `[N, B]`. The items in the order of the steps.
            condition: the activations of the condition.

        Returns:
            Parameters `[N, B, P]` in the order of the steps, the number of steps that were visited, and the sums of all
            ratings, `[B, J]`.
        """
        weights, batch_size, numbers = self.step_weights(), tf.shape(ratings)[1], tf.range(1, self.num_sites + 1)
        count = tf.reduce_max(tf.where(tf.reduce_any(ratings > 0.0, axis=1), numbers, 0))
        size = min(CHUNK, self.num_sites)
        most = -(-self.num_sites // size)
        padding = [[0, most * size - self.num_sites]]
        ratings, order = tf.pad(ratings, [*padding, [0, 0]]), tf.pad(order, padding + [[0, 0]] * (order.shape.rank - 1))

        def body(first: tf.Tensor, result: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            steps = first + tf.range(size)
            items, marks = tf.gather(order, steps), self._marks(tf.gather(ratings, steps))
            added = _products(marks, tf.gather(weights["kernel"], items))
            hidden = self._hidden(sums + tf.cumsum(added, axis=0, exclusive=True), condition)
            params = _products(self._features(hidden), tf.gather(weights["output_kernel"], items), transposed=True)
            bias = tf.gather(weights["output_bias"], items)
            params += bias if items.shape.rank == 2 else bias[:, None]
            result = tf.tensor_scatter_nd_update(result, steps[:, None], params)
            return first + size, result, sums + tf.reduce_sum(added, axis=0)

        result = tf.zeros([most * size, batch_size, self.params_size])
        loop = (tf.constant(0), result, tf.zeros([batch_size, weights["kernel"].shape[-1]]))
        visited, result, sums = tf.while_loop(lambda first, *_: first < count, body, loop, maximum_iterations=most)
        return result[: self.num_sites], visited, sums

    # In steps --------------------------------------------------------------------------------------------------------

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        """Returns a state that holds the sums, the activations of the condition and the orders of the rows."""
        state = {"sums": tf.zeros([batch_size, self.rank or self.hidden_units[0]]), **self._order_state(order)}
        condition = self._condition(conditional_input)
        return state if self.condition_layer is None else {**state, "condition": condition}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        item, previous = self._site_of_step(state, index), self._site_of_step(state, tf.maximum(index - 1, 0))
        added = push(self._marks(x_previous[:, 0]), tf.gather(weights["kernel"], previous))
        state = {**state, "sums": state["sums"] + added * tf.cast(index > 0, tf.float32)}
        features = self._features(self._hidden(state["sums"], state.get("condition", 0.0)))
        params = outputs_of(features, tf.gather(weights["output_kernel"], item))
        return (params + tf.gather(weights["output_bias"], item))[:, None], state


def _products(values: tf.Tensor, kernels: tf.Tensor, transposed: bool = False) -> tf.Tensor:
    """Multiplies values `[S, B, I]` by a kernel of each step, `[S, I, J]`, or of each step and row, `[S, B, I, J]`."""
    if kernels.shape.rank == 3:
        return tf.matmul(values, kernels, transpose_b=transposed)
    return tf.reduce_sum(
        (values[:, :, None] if transposed else values[..., None]) * kernels, axis=-1 if transposed else 2
    )


@keras.saving.register_keras_serializable("tfar")
class ImplicitCFNADENetwork(CFNADENetwork):
    """The network of CF-NADE for positive items, whose training conditions on a random subset of the positive items.

    A value of 0 adds nothing to the hidden units, so that items which are not positive need not be drawn as known ones. Of the n
    positive items, s are known, with s uniform in 0 .. n. The weight of a positive item that is not known is (n + 1) / (n - s),
    and that of an item that is not positive is 1. The expectation of the loss is then the mean negative log-probability over all
    orders of all items.
    """

    def _draw_known(
        self, seeds: tf.Tensor, sites: tf.Tensor, observed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        counted = tf.ones_like(sites, tf.float32) if observed is None else tf.cast(observed, tf.float32)
        positive = tf.cast(sites > 0.0, tf.float32) * counted
        keys, limit = (
            random.uniform(seeds, self.num_sites, random.Stream.ORDER),
            random.uniform(seeds, 1, random.Stream.STEP),
        )
        known = tf.logical_and(positive > 0.0, keys < limit)
        rest = positive - tf.cast(known, tf.float32)
        number = tf.reduce_sum(positive, axis=1, keepdims=True)
        weight = (number + 1.0) / tf.maximum(tf.reduce_sum(rest, axis=1, keepdims=True), 1.0)
        return known, counted - positive + rest * weight
