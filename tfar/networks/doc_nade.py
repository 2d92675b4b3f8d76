"""The network of DocNADE: a running sum of word vectors, and with a context an n-gram network beside it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar import random
from tfar.layers import CausalConv1D
from tfar.networks.base import TrainingPass, Weights
from tfar.networks.conditions import State
from tfar.networks.inputs import float32_value, row_seeds
from tfar.networks.permutations import permuted, unpermuted
from tfar.networks.words import WordNetwork, earlier_sum


@keras.saving.register_keras_serializable("tfar")
class DocNADENetwork(WordNetwork):
    """Hidden units of each word from the sum of the vectors of the words before it, and from the last n - 1 of them.

        h_1 = g(c + sum_{k<i} W[v_k] + sum_{k=1}^{n-1} E[v_{i-k}] U_k),    h_l = g(b_l + h_{l-1} W_l)

    Its state holds the sum `sum [B, H]`, with a context a ring buffer of the last vectors, and if documents end, `open [B]`.

    Args:
        event_shape: `[N]`; N may be None for documents of any length.
        hidden_units: units of each hidden layer.
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        ends: bool. Whether word 0 ends a document.
        shuffles: bool. Whether training draws an order of the words of each document.
        context_size: int, n; 1 leaves out the n-gram network.
        embedding_size: int. Size of the vectors E of the n-gram network.
        activation: activation function g.
        kernel_initializer, seed: as in `WordNetwork`.

    References:
        Larochelle and Lauly. A neural autoregressive topic model. NIPS 2012, section 4.
        Lauly, Zheng, Allauzen and Larochelle. Document neural autoregressive distribution estimation. JMLR 18, 2017,
        sections 3 to 5. https://arxiv.org/abs/1603.05962
    """

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        hidden_units: Sequence[int],
        vocabulary_size: int,
        *,
        ends: bool = False,
        shuffles: bool = True,
        context_size: int = 1,
        embedding_size: int = 1,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        shared = {"ends": ends, "kernel_initializer": kernel_initializer, "seed": seed}
        super().__init__(event_shape, vocabulary_size, hidden_units[-1], **shared, **kwargs)
        self.hidden_units, self.shuffles = tuple(hidden_units), bool(shuffles)
        self.context_size, self.embedding_size = int(context_size), int(embedding_size)
        self.activation = keras.activations.get(activation)
        self.word_layer = self._embedding("words", self.hidden_units[0], salt=0)
        pairs = enumerate(self.hidden_units[1:], start=2)
        self.hidden_layers = [self._dense(f"hidden_{i}", units, salt=i + 1) for i, units in pairs]
        self.context_words = self.context = None
        if self.context_size > 1:
            self.context_words = self._embedding("context_words", self.embedding_size, salt=1)
            how = {"use_bias": False, "strict": True, "dtype": self.dtype_policy, "name": "context"}
            initializer = self._seeded(2)
            self.context = CausalConv1D(
                self.hidden_units[0], self.context_size - 1, kernel_initializer=initializer, **how
            )

    def _embedding(self, name: str, units: int, salt: int) -> keras.layers.Embedding:
        how = {"embeddings_initializer": self._seeded(salt), "dtype": self.dtype_policy, "name": name}
        return keras.layers.Embedding(self.vocabulary_size, units, **how)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        self.bias = self.add_weight(shape=(self.hidden_units[0],), initializer="zeros", name="bias")
        self.word_layer.build((None,))
        for inputs, layer in zip(self.hidden_units, self.hidden_layers, strict=False):
            layer.build((None, inputs))
        if self.context is not None and self.context_words is not None:
            self.context_words.build((None,))
            self.context.build((None, None, self.embedding_size))
        self.built = True

    def _hidden(self, activations: tf.Tensor) -> tf.Tensor:
        """Returns the last hidden layer from the activations of the first one."""
        hidden = self.activation(activations)
        for layer in self.hidden_layers:
            hidden = self.activation(layer(hidden))
        return hidden

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """See the base class. An order for each row, `[B, N]`, is only for training and has no n-gram network."""
        words = self.words(x)
        vectors = tf.cast(self.word_layer(words), tf.float32)
        sums = earlier_sum(vectors) if order is None else unpermuted(earlier_sum(permuted(vectors, order)), order)
        activations = sums + float32_value(self.bias)
        if self.context is not None and self.context_words is not None:
            activations += tf.cast(self.context(self.context_words(words)), tf.float32)
        return self._params(self._hidden(tf.cast(activations, self.compute_dtype)), self.before_end(words))

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. The words of a document are shuffled, and those that are not observed stay last."""
        order = self.random_orders(row_seeds(seed, tf.shape(x)[0]), x, observed) if self.shuffles else None
        return TrainingPass(self(x, order=order, training=True))

    def random_orders(self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor | None = None) -> tf.Tensor:
        """Draws orders of the words of documents, int32 `[B, N]`; the end and what is not observed keep their places.

        Args:
            seeds: int32 `[B, 2]`.
            x: float tensor `[B, N]`.
            observed: None, or bool `[B, N]`, a prefix of each row.
        """
        words, length = self.words(x), tf.shape(x)[1]
        moves = self.before_padding(words)
        if observed is not None:
            moves = tf.logical_and(moves, observed)
        keys = random.uniform(seeds, length, random.Stream.ORDER)
        return tf.argsort(tf.where(moves, keys, 1.0 + tf.range(length, dtype=tf.float32)), axis=1)

    def encode(self, words: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The hidden units after all known words, without the n-gram network."""
        return self._vector(self._sum_of(words, known))

    def encode_bag(self, counts: tf.Tensor) -> tf.Tensor:
        """Returns the vector `[B, num_features]` of documents with these numbers of words, float32 `[B, vocabulary_size]`."""
        return self._vector(tf.matmul(counts, float32_value(self.word_layer.embeddings)))

    def _vector(self, sums: tf.Tensor) -> tf.Tensor:
        activations = tf.cast(sums + float32_value(self.bias), self.compute_dtype)
        return tf.cast(self._hidden(activations), tf.float32)

    def _sum_of(self, words: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        vectors = tf.cast(self.word_layer(words), tf.float32)
        return tf.reduce_sum(vectors * tf.expand_dims(tf.cast(known, tf.float32), -1), axis=1)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        weights = {"words": float32_value(self.word_layer.embeddings)}
        if self.context is not None and self.context_words is not None:
            weights["context_words"] = float32_value(self.context_words.embeddings)
            weights |= {f"context_{name}": value for name, value in self.context.step_weights().items()}
        return weights

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = {"sum": tf.tile(float32_value(self.bias)[None], [batch_size, 1]), **self._start_open(batch_size)}
        cache = None if self.context is None else self.context.start(batch_size)
        return state if cache is None else {**state, "context": cache}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        word, is_given = self.words(x_previous[:, 0]), tf.reshape(index > 0, [-1])
        given = tf.cast(is_given, tf.float32)[:, None]
        activations = state["sum"] + given * tf.gather(weights["words"], word)
        state = {**state, "sum": activations, **self._still_open(state, word, is_given)}
        if self.context is not None:
            vectors = given * tf.gather(weights["context_words"], word)
            cache = self.context.push(state.get("context"), vectors, index)
            state = {**state, "context": cache} if "context" in state else state
            own = {name: weights[f"context_{name}"] for name in ("table", "bias")}
            activations += self.context.read(cache, index, own)
        hidden = self._hidden(tf.cast(activations, self.compute_dtype))
        return self._params(hidden, state.get("open", given[:, 0]))[:, None], state

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """See the base class. One sum over the words before the last one."""
        words = self.words(x_prefix[:, :, 0])
        length = tf.broadcast_to(tf.reshape(length, [-1]), [tf.shape(words)[0]])
        known = tf.range(tf.shape(words)[1]) < length[:, None] - 1
        filled = {**state, "sum": state["sum"] + self._sum_of(words, known)}
        filled |= self._prefilled_open(state, words, length)
        if "context" in state and self.context is not None and self.context_words is not None:
            filled["context"] = tf.cast(self.context.fill(self.context_words(words), length), tf.float32)
        return filled
