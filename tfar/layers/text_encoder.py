"""LSTMs that read a text and return a vector of it, as the first layer of a classifier."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.ends import before_end
from tfar.layers.word_lstm import WordLSTM

POOLINGS = ("last", "mean")


@keras.saving.register_keras_serializable("tfar")
class TextEncoder(keras.layers.Layer):
    """A vector of a text: the hidden state of the last of a stack of LSTMs after the last word, or its mean over the words.

    Language models and autoencoders return it with their weights, as a layer of a classifier that starts from them.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors of words.
        num_layers: int. Number of LSTMs.
        pooling: "last" for the hidden state after the last word, or "mean" for the mean of those after each word. A text
            without words gives zeros.
        ends: bool. Whether word 0 ends a text and pads it. If not, a `mask` marks the words of padded texts.
        seed: int. Determines the initial weights.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T]`, words.
    Output shape: `[B, units]`.

    Raises:
        ValueError: If `pooling` is neither of the two.

    Example:
        >>> dist = tfar.RecurrentLanguageModel(1000, 20, units=16, embedding_dim=8)
        >>> classifier = keras.Sequential([dist.pretrained_encoder(), keras.layers.Dense(2)])
        >>> classifier(np.array([[3, 1, 4, 0, 0], [5, 9, 0, 0, 0]])).shape
        TensorShape([2, 2])

    References:
        Dai and Le. Semi-supervised sequence learning. NIPS 2015, section 2 (the last state).
        https://arxiv.org/abs/1511.01432
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        embedding_dim: int,
        num_layers: int = 1,
        *,
        pooling: str = "last",
        ends: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"Expected a `pooling` out of {POOLINGS}; received {pooling!r}.")
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for the numbers of words.
        self.pooling, self.ends, self.supports_masking = pooling, bool(ends), True
        self.reader = WordLSTM(
            vocabulary_size, units, embedding_dim, num_layers, seed=seed, dtype=self.dtype_policy, name="reader"
        )

    @classmethod
    def of(cls, reader: WordLSTM, ends: bool, pooling: str = "last") -> "TextEncoder":
        """Returns an encoder with a copy of the weights of LSTMs that read words.

        Raises:
            ValueError: If they read no words, because all words are dropped.
        """
        if not reader.reads_words:
            raise ValueError(
                "Expected LSTMs that read words; received ones with a `word_dropout_rate` of 1, which do not."
            )
        sizes = (reader.vocabulary_size, reader.units, reader.embedding_dim, reader.num_layers)
        encoder = cls(*sizes, ends=ends, pooling=pooling)
        encoder.build()
        own = {variable.path.rsplit("/", 1)[1]: variable for variable in encoder.reader.variables}
        for variable in reader.variables:
            name = variable.path.rsplit("/", 1)[1]
            if name in own:
                own[name].assign(variable)
        return encoder

    def build(self, input_shape: Any = None) -> None:
        self.reader.build()
        self.built = True

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (input_shape[0], self.reader.units)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Returns None: the output has no axis of words."""

    def call(self, words: Any, mask: Any = None) -> tf.Tensor:
        """Returns the vectors of texts, float32 `[B, units]`.

        Args:
            words: `[B, T]`, whole numbers.
            mask: None, or bool `[B, T]`. Which words are read, the first ones of each text.
        """
        words = tf.cast(words, tf.int32)
        if self.ends:
            before = tf.logical_and(before_end(tf.equal(words, 0)), words > 0)
            mask = before if mask is None else tf.logical_and(before, mask)
        hidden, last = self.reader.encode_words(words, mask)
        if self.pooling == "last":
            return last["h"][:, -self.reader.units :]
        is_read = tf.ones_like(hidden[..., :1]) if mask is None else tf.cast(mask, hidden.dtype)[..., None]
        return tf.math.divide_no_nan(tf.reduce_sum(is_read * hidden, axis=1), tf.reduce_sum(is_read, axis=1))

    def get_config(self) -> dict[str, Any]:
        names = ("vocabulary_size", "units", "embedding_dim", "num_layers", "seed")
        own = {"pooling": self.pooling, "ends": self.ends}
        return {**super().get_config(), **{name: getattr(self.reader, name) for name in names}, **own}
