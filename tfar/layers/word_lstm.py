"""LSTMs that read words: what language models, encoders and decoders of texts consist of."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.layers.causal import Weights, as_float
from tfar.layers.initializers import seeded_initializer
from tfar.layers.stacked_lstm import StackedLSTM, State

# Parts of the random streams that belong to a layer: one for each dropout of at most 63 LSTMs.
PARTS = 64


@keras.saving.register_keras_serializable("tfar")
class WordLSTM(keras.layers.Layer):
    """Vectors of words and a stack of LSTMs that reads them.

        u_t = E[w_t],    h_t = LSTM(u_t, z; h_{t-1}),    features_t = h_t  or  h_t P

    It serves three models:

    * A language model: `layer(words)` gives the features of every position from the words before it. In steps, `step` reads
      the previous word and gives the features of the next position.
    * A decoder: `layer(words, initial_state, conditional_input=z)`. `initial_state` is a state that an encoder returned, or
      `layer.state_of(code)` for a code `[B, state_size]`, such as a dense layer of a latent vector. `z [B, conditional_size]`
      is read at every position beside the word. In steps, `start(batch_size, initial_state, z)` takes the same, and the
      state then contains `given`, the contribution of z to the gates.
    * An encoder: `encode(words, known)` gives the state of each row after its last known word. `layer.code_of(state)` is the
      code `[B, state_size]`, the hidden states and then the cell states of all LSTMs.

    Before the first word, the previous word is a vector of zeros. A word that is dropped is a vector of zeros too.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        units: int. Number of hidden units of each LSTM.
        embedding_dim: int. Size of the vectors E of words.
        num_layers: int. Number of LSTMs.
        conditional_size: int. Size of z; 0 for none.
        output_size: None for features `[units]`, or the number of features of the projection P.
        dropout_rate: float in [0, 1). Dropout of the vectors of words and of the output of each LSTM, if there are seeds.
        word_dropout_rate: float in [0, 1]. Probability that a word is dropped, if there are seeds. With 1, the layer has no
            vectors of words and reads none, with or without seeds.
        stream: int from 0. Layers that drop with the same seeds need numbers of their own.
        kernel_initializer, recurrent_initializer, seed: as in `StackedLSTM`.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: int `[B, T]`.
    Output shape: `[B, T, output_size or units]`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> words, lengths = np.array([[3, 1, 4, 1], [5, 9, 0, 0]]), [4, 2]
        >>> encoder = tfar.layers.WordLSTM(10, units=8, embedding_dim=3)
        >>> decoder = tfar.layers.WordLSTM(10, units=8, embedding_dim=3, conditional_size=2)
        >>> state = encoder.encode(words, tf.sequence_mask(lengths))
        >>> decoder(words, state, conditional_input=tf.zeros([2, 2])).shape
        TensorShape([2, 4, 8])

    References:
        Bowman et al. Generating sentences from a continuous space. CoNLL 2016, section 3.1 (word dropout).
        https://arxiv.org/abs/1511.06349

    Notes:
        The paper replaces dropped words by an unknown word. A vector of zeros needs no such word in the vocabulary.
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        embedding_dim: int,
        num_layers: int = 1,
        *,
        conditional_size: int = 0,
        output_size: int | None = None,
        dropout_rate: float = 0.0,
        word_dropout_rate: float = 0.0,
        stream: int = 0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(vocabulary_size, embedding_dim, output_size or 1) < 1:
            raise ValueError(
                "Expected `vocabulary_size`, `embedding_dim` and `output_size` of at least 1; received "
                f"{vocabulary_size}, {embedding_dim} and {output_size}."
            )
        if not 0.0 <= word_dropout_rate <= 1.0:
            raise ValueError(f"Expected `word_dropout_rate` in [0, 1]; received {word_dropout_rate}.")
        self.vocabulary_size, self.embedding_dim = int(vocabulary_size), int(embedding_dim)
        self.units, self.num_layers, self.conditional_size = int(units), int(num_layers), int(conditional_size)
        self.output_size, self.stream, self.seed = output_size, int(stream), int(seed)
        self.dropout_rate, self.word_dropout_rate = float(dropout_rate), float(word_dropout_rate)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.lstm = StackedLSTM(
            self.units,
            self.num_layers,
            conditional_size=self.conditional_size,
            reads_inputs=self.reads_words,
            dropout_rate=self.dropout_rate,
            first_part=PARTS * self.stream,
            kernel_initializer=self.kernel_initializer,
            recurrent_initializer=self.recurrent_initializer,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="lstm",
        )

    @property
    def reads_words(self) -> bool:
        """Whether features depend on words at all."""
        return self.word_dropout_rate < 1.0

    @property
    def state_size(self) -> int:
        """Size of a code: the hidden states and the cell states of all LSTMs."""
        return 2 * self.num_layers * self.units

    def build(self, input_shape: Any = None) -> None:
        if self.reads_words:
            initial = seeded_initializer(keras.initializers.get("uniform"), self.seed, 1000)
            shape = (self.vocabulary_size, self.embedding_dim)
            self.embeddings = self.add_weight(shape=shape, initializer=initial, name="embeddings", autocast=False)
        self.lstm.build((None, None, self.embedding_dim))
        if self.output_size is not None:
            initial = seeded_initializer(self.kernel_initializer, self.seed, 1001)
            shape = (self.units, self.output_size)
            self.projection = self.add_weight(shape=shape, initializer=initial, name="projection", autocast=False)
        self.built = True

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[:2], self.output_size or self.units)

    def code_of(self, state: State) -> tf.Tensor:
        """Returns a state as a code `[B, state_size]`."""
        return tf.concat([state["h"], state["c"]], axis=-1)

    def state_of(self, code: tf.Tensor) -> State:
        """Returns a code `[B, state_size]` as a state; the inverse of `code_of`."""
        h, c = tf.split(as_float(code), 2, axis=-1)
        return {"h": h, "c": c}

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self,
        words: Any,
        initial_state: State | None = None,
        conditional_input: Any = None,
        known: Any = None,
        seeds: Any = None,
    ) -> tf.Tensor:
        """Returns the features of every position from the words before it, float32 `[B, T, F]`; see `read`."""
        how = {"conditional_input": conditional_input, "known": known, "seeds": seeds}
        return self.read(words, initial_state, **how)[0]

    def read(
        self,
        words: Any,
        initial_state: State | None = None,
        *,
        conditional_input: Any = None,
        known: Any = None,
        seeds: Any = None,
    ) -> tuple[tf.Tensor, State]:
        """Computes the features of every position from the words before it.

        Args:
            words: int `[B, T]`.
            initial_state: None for zeros, or the state before the first position.
            conditional_input: None, or z, `[B, conditional_size]`.
            known: None, or bool `[B, T]`. At a position that is not known, a row keeps its state.
            seeds: None, or int32 `[B, 2]`, which determine what is dropped.

        Returns:
            Features, float32 `[B, T, F]`, and the state after the step of the last known position, which has read the words
            before that position.
        """
        vectors = self._before(self._vectors(words, seeds))
        how = {"conditional_input": conditional_input, "known": known, "seeds": seeds}
        hidden, state = self.lstm.read(vectors, initial_state, **how)
        return self._features(hidden), state

    def encode(
        self,
        words: Any,
        known: Any = None,
        conditional_input: Any = None,
        *,
        initial_state: State | None = None,
        seeds: Any = None,
    ) -> State:
        """Returns the state of each row after its last known word; see `encode_words`."""
        how = {"initial_state": initial_state, "seeds": seeds}
        return self.encode_words(words, known, conditional_input, **how)[1]

    def encode_words(
        self,
        words: Any,
        known: Any = None,
        conditional_input: Any = None,
        *,
        initial_state: State | None = None,
        seeds: Any = None,
    ) -> tuple[tf.Tensor, State]:
        """Reads words, whatever stands at positions that are not known.

        Args:
            words, conditional_input, initial_state: as in `read`.
            known: None if all words are known, or bool `[B, T]`, such as `tf.sequence_mask(lengths)`.
            seeds: as in `read`, but no word is dropped.

        Returns:
            The hidden states of the last LSTM after the word of each position, float32 `[B, T, units]`, and the state of each
            row after its last known word.
        """
        how = {"conditional_input": conditional_input, "known": known, "seeds": seeds}
        return self.lstm.read(self._vectors(words), initial_state, **how)

    def _vectors(self, words: Any, seeds: Any = None) -> tf.Tensor:
        if not self.built:
            self.build()
        if not self.reads_words:
            return tf.zeros_like(words, tf.float32)[..., None]
        vectors = tf.gather(as_float(self.embeddings), tf.cast(words, tf.int32))
        if seeds is None or self.word_dropout_rate == 0.0:
            return vectors
        keys = random.uniform(seeds, tf.shape(words)[1], random.Stream.WORD_DROPOUT, self.stream)
        return tf.where(keys[..., None] < self.word_dropout_rate, tf.zeros_like(vectors), vectors)

    def _before(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of the words before each position; before the first one is a vector of zeros."""
        return tf.concat([tf.zeros_like(vectors[:, :1]), vectors[:, :-1]], axis=1)

    def _features(self, hidden: tf.Tensor) -> tf.Tensor:
        return hidden if self.output_size is None else tf.matmul(hidden, as_float(self.projection))

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns float32 tensors that all steps use, computed once before a loop."""
        weights = self.lstm.step_weights()
        if self.reads_words:
            weights["embeddings"] = as_float(self.embeddings)
        return weights if self.output_size is None else {**weights, "projection": as_float(self.projection)}

    def start(
        self, batch_size: int | tf.Tensor, initial_state: State | None = None, conditional_input: Any = None
    ) -> State:
        """Returns the state before the first step, `h` and `c`, and with a conditional input z its contribution `given`."""
        state, given = self.lstm.start(batch_size, initial_state), self.lstm.given(conditional_input)
        return state if given is None else {**state, "given": given}

    def step(
        self, state: State, word: tf.Tensor, is_given: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        """Reads the previous word and returns the features of the next position.

        Args:
            state: the state after the previous step.
            word: int32 `[B]`. The previous word.
            is_given: bool `[B]` or `[1]`. Whether there is a previous word; there is none in the first step.
            weights: the result of `step_weights`, or None to compute it here.

        Returns:
            Features `[B, F]`, and the state.
        """
        weights = self.step_weights() if weights is None else weights
        vectors = tf.cast(is_given, tf.float32)[:, None]
        if self.reads_words:
            vectors *= tf.gather(weights["embeddings"], word)
        hidden, new = self.lstm.step(state, vectors, weights, state.get("given"))
        features = hidden if self.output_size is None else tf.matmul(hidden, weights["projection"])
        return features, {**state, **new}

    def fill(self, state: State, words: tf.Tensor, length: tf.Tensor) -> State:
        """Returns the state after `length` steps whose words are known, in one pass.

        Args:
            state: the result of `start`.
            words: int32 `[B, T]`. Step t reads the word of position t - 1.
            length: int32 scalar or `[B]`.
        """
        vectors = self._before(self._vectors(words))
        known = tf.range(tf.shape(words)[1]) < tf.reshape(tf.cast(length, tf.int32), [-1, 1])
        known = tf.broadcast_to(known, tf.shape(words))
        _, new = self.lstm.read(vectors, state, known=known, given=state.get("given"))
        return {**state, **new}

    def reach(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Returns the positions of words that sets of features, bool `[S, T]`, depend on: all before the last of a set."""
        before = np.zeros_like(asked)
        if not self.reads_words:
            return before
        before[:, :-1] = self.lstm.reach(asked)[:, 1:]
        return before

    def get_config(self) -> dict[str, Any]:
        sizes = ("vocabulary_size", "units", "embedding_dim", "num_layers", "conditional_size", "output_size")
        names = (*sizes, "dropout_rate", "word_dropout_rate", "stream", "seed")
        initializers = {
            name: keras.initializers.serialize(getattr(self, name))
            for name in ("kernel_initializer", "recurrent_initializer")
        }
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, **initializers}
