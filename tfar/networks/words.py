"""Base class of networks over the words of a document, given by their numbers."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers.ends import before_end
from tfar.networks.base import AutoregressiveNetwork
from tfar.networks.conditions import State

SUM_BLOCK = 32


class WordNetwork(AutoregressiveNetwork, abc.ABC):
    """Computes features of each word from earlier words, as parameters of a head that owns the output layer.

    The parameters of a word are its features, a 1 that multiplies the bias of the head, and if documents end, whether an
    earlier word was 0; see `tfar.heads.Absorbing`.

    Args:
        event_shape: `[N]`; N may be None for documents of any length.
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        num_features: int. Features of a word.
        ends: bool. Whether word 0 ends a document.
        kernel_initializer: initializer of all kernels, each with a different seed.
        seed: int. Determines the initial weights.
    """

    streams = True
    any_order_hint = "A document is completed from its beginning."

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        vocabulary_size: int,
        num_features: int,
        *,
        ends: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Half precision has no room for the numbers of words.
        super().__init__(event_shape, autocast=False, **kwargs)
        self.vocabulary_size, self.num_features, self.ends = int(vocabulary_size), int(num_features), bool(ends)
        self.params_size = self.num_features + 1 + self.ends
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), int(seed)

    @property
    def code_size(self) -> int:
        """Size of the vector that `encode` returns."""
        return self.num_features

    @abc.abstractmethod
    def encode(self, words: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns a vector `[B, code_size]` of the known words, bool `[B, N]`, of documents `[B, N]`."""

    def words(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values as int32 words; a value that is no word, whose row becomes NaN, is replaced by one."""
        return tf.clip_by_value(tf.cast(values, tf.int32), 0, self.vocabulary_size - 1)

    def before_end(self, words: tf.Tensor) -> tf.Tensor:
        """Returns which words `[B, N]` have no end before them, bool; the end itself has none."""
        if not self.ends:
            return tf.ones_like(words, tf.bool)
        return before_end(tf.equal(words, 0))

    def before_padding(self, words: tf.Tensor) -> tf.Tensor:
        """Returns which words `[B, N]` come before the end, bool; the end itself does not."""
        return tf.logical_and(self.before_end(words), words > 0) if self.ends else self.before_end(words)

    def _params(self, features: tf.Tensor, is_open: tf.Tensor) -> tf.Tensor:
        """Returns parameters of features `[..., F]`; `is_open [...]` is False after the end of a document."""
        features = tf.cast(features, tf.float32)
        parts = [features, tf.ones_like(features[..., :1])]
        if self.ends:
            parts.append(1.0 - tf.expand_dims(tf.cast(is_open, tf.float32), -1))
        return tf.concat(parts, axis=-1)

    # In steps --------------------------------------------------------------------------------------------------------

    def _start_open(self, batch_size: int | tf.Tensor) -> State:
        return {"open": tf.ones([batch_size])} if self.ends else {}

    def _still_open(self, state: State, words: tf.Tensor, is_given: tf.Tensor) -> State:
        """Closes the documents whose previous word, int32 `[B]`, is the end, where there is a previous word."""
        if not self.ends:
            return {}
        closes = tf.logical_and(tf.equal(words, 0), is_given)
        return {"open": tf.where(closes, tf.zeros_like(state["open"]), state["open"])}

    def _prefilled_open(self, state: State, words: tf.Tensor, length: tf.Tensor) -> State:
        """Closes the documents that end before the last of the first `length [B]` words `[B, N]`; see `prefill`."""
        if not self.ends:
            return {}
        read = tf.range(tf.shape(words)[1]) < length[:, None] - 1
        closed = tf.reduce_any(tf.logical_and(tf.equal(words, 0), read), axis=1)
        return {"open": tf.where(closed, tf.zeros_like(state["open"]), state["open"])}


def earlier_sum(values: tf.Tensor) -> tf.Tensor:
    """Returns the sums of the earlier entries, `[B, N, H]` for `[B, N, H]`: an exclusive cumulative sum over axis 1.

    Products with a triangular matrix sum within blocks. XLA compiles them to faster code than a cumulative sum.

    Example:
        >>> earlier_sum(tf.constant([[[1.0], [2.0], [4.0]]]))[0, :, 0].numpy()
        array([0., 1., 3.], dtype=float32)
    """
    shape, size = tf.shape(values), SUM_BLOCK
    count = (shape[1] + size - 1) // size if values.shape[1] is None else -(-values.shape[1] // size)
    width = values.shape[-1]
    padded = tf.pad(values, [[0, 0], [0, count * size - shape[1]], [0, 0]])
    blocks = tf.reshape(padded, [-1, size, width])
    triangle = tf.constant(np.tri(size, k=-1, dtype=np.float32))
    # The batch size is given, since it does not follow from the other sizes of a batch of documents without words.
    within = tf.reshape(tf.matmul(triangle[None], blocks), [shape[0], count, size, width])
    sums = tf.reshape(tf.reduce_sum(blocks, axis=1), [shape[0], count, width])
    before = tf.cumsum(sums, axis=1, exclusive=True)
    return tf.reshape(within + before[:, :, None], [shape[0], count * size, width])[:, : shape[1]]
