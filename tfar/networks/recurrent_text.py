"""The network of recurrent language models and decoders: LSTMs over the words of a text."""

from typing import Any

import keras
import tensorflow as tf

from tfar.layers import WordLSTM
from tfar.layers.causal import as_float
from tfar.layers.word_lstm import State as LSTMState
from tfar.networks.base import TrainingPass, Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import row_seeds
from tfar.networks.words import WordNetwork


@keras.saving.register_keras_serializable("tfar")
class RecurrentTextNetwork(WordNetwork):
    """LSTMs that read the words before each word; see `tfar.layers.WordLSTM`.

    A condition z gives the initial state, by a dense layer, and is read at every word. So the network is a language model, or
    with a latent vector as condition the decoder of an autoencoder.

    Its state holds `h` and `c`, each `[B, num_layers * units]`, with a condition its contribution to the gates
    `given [B, 4 units]`, and if texts end, `open [B]`.

    Args:
        event_shape: `[N]`; N may be None for texts of any length.
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors of words.
        num_layers: int. Number of LSTMs.
        ends: bool. Whether word 0 ends a text.
        project: bool. Whether the features are a projection to `embedding_dim`, as for a head with the vectors of the words.
        dropout_rate, word_dropout_rate: as in `tfar.layers.WordLSTM`.
        conditional_shape: shape of the condition of one row, a dict of shapes, or None.
        kernel_initializer, seed: as in `WordNetwork`.

    References:
        Mikolov et al. Recurrent neural network based language model. Interspeech 2010.
        Zaremba, Sutskever and Vinyals. Recurrent neural network regularization. 2014. https://arxiv.org/abs/1409.2329
    """

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        vocabulary_size: int,
        units: int,
        *,
        embedding_dim: int,
        num_layers: int = 1,
        ends: bool = False,
        project: bool = False,
        dropout_rate: float = 0.0,
        word_dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        how = {"ends": ends, "kernel_initializer": kernel_initializer, "seed": seed}
        num_features = embedding_dim if project else units
        super().__init__(
            event_shape, vocabulary_size, num_features, conditional_shape=conditional_shape, **how, **kwargs
        )
        self.dropout_rate, self.word_dropout_rate = float(dropout_rate), float(word_dropout_rate)
        self.reader = WordLSTM(
            vocabulary_size,
            units,
            embedding_dim,
            num_layers,
            conditional_size=self._size_of_z,
            output_size=embedding_dim if project else None,
            dropout_rate=dropout_rate,
            word_dropout_rate=word_dropout_rate,
            kernel_initializer=self.kernel_initializer,
            seed=seed,
            dtype=self.dtype_policy,
            name="reader",
        )
        if project and not self.reader.reads_words:
            raise ValueError(
                "Expected a `word_dropout_rate` below 1 with tied embeddings, as a network that reads no words has no vectors of "
                f"words; received {word_dropout_rate}."
            )
        self.initial_state = None
        if self._size_of_z:
            self.initial_state = self._dense("initial_state", self.reader.state_size, salt=1)

    @property
    def _size_of_z(self) -> int:
        """Size of the vector that is read at every word."""
        return condition_size(self.conditional_shape)

    @property
    def code_size(self) -> int:
        return self.reader.state_size

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        self.reader.build()
        if self.initial_state is not None:
            self.initial_state.build((None, self._size_of_z))
        self.built = True

    def _given(self, conditional_input: Any, seeds: Any = None) -> tuple[LSTMState | None, tf.Tensor | None]:
        """Returns the initial state and the vector z that a conditional input gives."""
        if self.initial_state is None:
            return None, None
        z = flatten_condition(conditional_input, self.conditional_shape)
        return self.reader.state_of(as_float(self.initial_state(z))), z

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._pass(x, conditional_input)

    def _pass(self, x: Any, conditional_input: Any, seeds: Any = None) -> tf.Tensor:
        words = self.words(x)
        initial_state, z = self._given(conditional_input, seeds)
        features, _ = self.reader.read(words, initial_state, conditional_input=z, seeds=seeds)
        return self._params(features, self.before_end(words))

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. Words and units are dropped."""
        drops = self.dropout_rate > 0.0 or self.word_dropout_rate > 0.0
        seeds = row_seeds(seed, tf.shape(x)[0]) if drops else None
        return TrainingPass(self._pass(x, conditional_input, seeds))

    def encode(self, words: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The hidden states and then the cell states of all LSTMs after the last known word."""
        initial_state, z = self._given(conditional_input)
        state = self.reader.encode(words, known, z, initial_state=initial_state)
        return self.reader.code_of(state)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        return self.reader.step_weights()

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        return {**self.reader.start(batch_size, *self._given(conditional_input)), **self._start_open(batch_size)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        word, is_given = self.words(x_previous[:, 0]), tf.reshape(index > 0, [-1])
        features, new = self.reader.step(state, word, is_given, weights)
        new |= self._still_open(state, word, is_given)
        return self._params(features, new.get("open", tf.ones_like(features[:, 0])))[:, None], new

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """See the base class. One pass over the words before the last one."""
        words = self.words(x_prefix[:, :, 0])
        length = tf.broadcast_to(tf.reshape(tf.cast(length, tf.int32), [-1]), [tf.shape(words)[0]])
        return {**self.reader.fill(state, words, length), **self._prefilled_open(state, words, length)}
