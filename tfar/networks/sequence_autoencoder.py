"""The network of a sequence autoencoder: LSTMs that start from the state in which others have read a source text."""

from typing import Any

import keras
import tensorflow as tf

from tfar import random
from tfar.layers import WordLSTM
from tfar.layers.word_lstm import State as LSTMState
from tfar.networks.recurrent_text import RecurrentTextNetwork


@keras.saving.register_keras_serializable("tfar")
class SequenceAutoencoderNetwork(RecurrentTextNetwork):
    """A `RecurrentTextNetwork` whose initial state is that of an encoder after the last word of a source text.

    The conditional input is the source, words of the shape of an event. Word 0 ends it, and what follows is ignored.

    Args:
        event_shape, vocabulary_size, units, embedding_dim, num_layers, ends, project, dropout_rate, word_dropout_rate,
            kernel_initializer, seed: as in `RecurrentTextNetwork`. Only words that the decoder reads are dropped.
        tie_encoder: bool. Whether the encoder is the decoder itself, with the same weights.

    References:
        Dai and Le. Semi-supervised sequence learning. NIPS 2015, section 2. https://arxiv.org/abs/1511.01432
    """

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        vocabulary_size: int,
        units: int,
        *,
        embedding_dim: int,
        tie_encoder: bool = True,
        num_layers: int = 1,
        dropout_rate: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_shape,
            vocabulary_size,
            units,
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            dropout_rate=dropout_rate,
            conditional_shape=tuple(event_shape),
            seed=seed,
            **kwargs,
        )
        self.tie_encoder, self.num_condition_values = bool(tie_encoder), int(vocabulary_size)
        self.encoder = self.reader
        if self.tie_encoder and not self.reader.reads_words:
            raise ValueError(
                "Expected a `word_dropout_rate` below 1 or `tie_encoder=False`: an encoder that is a decoder without words reads "
                "nothing."
            )
        if not self.tie_encoder:
            self.encoder = WordLSTM(
                vocabulary_size,
                units,
                embedding_dim,
                num_layers,
                dropout_rate=dropout_rate,
                stream=1,
                kernel_initializer=self.kernel_initializer,
                seed=seed + 1,
                dtype=self.dtype_policy,
                name="encoder",
            )

    @property
    def _size_of_z(self) -> int:
        return 0

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        if not self.tie_encoder:
            self.encoder.build()
        super().build(input_shape)

    def _given(self, conditional_input: Any, seeds: Any = None) -> tuple[LSTMState | None, tf.Tensor | None]:
        """Returns the state after the source, with dropout of its own, and no z."""
        own = None if seeds is None else random.derived_seeds(seeds, 1, random.Stream.DROPOUT)
        words = self.words(conditional_input)
        return self.encoder.encode(words, self.before_padding(words), seeds=own), None

    def encode(self, words: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The state of the encoder after the last known word."""
        return self.encoder.code_of(self.encoder.encode(words, known))
