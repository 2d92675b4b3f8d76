"""A recurrent language model: the words of a text, one after the other, from the state of LSTMs."""

from typing import Any

import keras

from tfar.distributions.arguments import check_rate, checked_conditional_shape
from tfar.distributions.text import Text, check_length, document_shape, word_head
from tfar.heads import Absorbing, Head
from tfar.heads.base import check_positive_int
from tfar.layers import TextEncoder
from tfar.networks import RecurrentTextNetwork


@keras.saving.register_keras_serializable("tfar")
class RecurrentLanguageModel(Text):
    """A language model with LSTMs, which read a text word by word.

        log p(w) = sum_t log p(w_t | w_<t),    p(w_t | w_<t) = softmax(b + U h_t)
        h_t, c_t = LSTM(E[w_{t-1}]; h_{t-1}, c_{t-1})

    With `length="eos"`, word 0 ends a text and pads it: the probabilities of all texts of at most `max_length` words sum to
    1, and a text of `max_length` words has no end. With `length="given"`, `log_prob` is that of the words given their number,
    and `observed` marks the words of padded texts. A model without `max_length` takes texts of any length; then
    `stream` draws a text chunk by chunk.

    A text is continued by `complete`. `encode` returns the state after the last word, a vector of the text.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        max_length: None for texts of any length, or an int: the size of the event.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors E of words.
        num_layers: int. Number of LSTMs.
        length: "eos" or "given", see above.
        conditional_shape: shape of a conditional input of each row, a dict of shapes, or None. It gives the initial state and
            is read at every word.
        tie_embeddings: bool. Whether the output kernel U is E; a projection of h to `embedding_dim` comes before it.
        dropout_rate: float in [0, 1). Dropout of the vectors of words and of the output of each LSTM in training.
        word_dropout_rate: float in [0, 1]. Probability that a word that is read is replaced by zeros in training. With 1, the
            model reads no words, in training or after it: the words are independent given their positions and the end.
        tree: None for a softmax over all words; "balanced" or "frequency" for a tree (`tfar.heads.TreeSoftmax`).
        counts: None, or the number of times that each word occurs in training data, `[vocabulary_size]`: the initial bias
            then gives the words these frequencies.
        kernel_initializer: initializer of the kernels of the network, each with its own seed.
        seed: int. Determines the initial weights and the leaves of a balanced tree.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range, or embeddings are tied to a tree.

    Example:
        >>> dist = tfar.RecurrentLanguageModel(1000, max_length=20, units=16, embedding_dim=8)
        >>> texts = dist.sample(2, seed=1)
        >>> dist.perplexity(texts).shape, dist.encode(texts).shape
        (TensorShape([2]), TensorShape([2, 32]))
        >>> dist.complete(texts, np.arange(20) < 3, seed=2).shape
        TensorShape([2, 20])

    References:
        Dai and Le. Semi-supervised sequence learning. NIPS 2015, section 2 (LM-LSTM). https://arxiv.org/abs/1511.01432
        Zaremba, Sutskever and Vinyals. Recurrent neural network regularization. 2014. https://arxiv.org/abs/1409.2329
        Press and Wolf. Using the output embedding to improve language models. EACL 2017 (tied embeddings and the projection).
        https://arxiv.org/abs/1608.05859

    Notes:
        Before the first word, the LSTMs read a vector of zeros, where the papers read an end symbol.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_length: int | None = None,
        units: int = 256,
        *,
        embedding_dim: int = 128,
        num_layers: int = 1,
        length: str = "eos",
        conditional_shape: Any = None,
        tie_embeddings: bool = False,
        dropout_rate: float = 0.0,
        word_dropout_rate: float = 0.0,
        tree: str | None = None,
        counts: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "RecurrentLanguageModel",
    ) -> None:
        ends, seed = check_length(length), check_positive_int("seed", seed, lowest=0)
        units, embedding_dim = check_positive_int("units", units), check_positive_int("embedding_dim", embedding_dim)
        head = word_head(vocabulary_size, embedding_dim if tie_embeddings else units, tree, counts, seed, ends)
        network = RecurrentTextNetwork(
            document_shape(max_length),
            vocabulary_size,
            units,
            embedding_dim=embedding_dim,
            num_layers=check_positive_int("num_layers", num_layers),
            ends=ends,
            project=tie_embeddings,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            word_dropout_rate=word_dropout_rate,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=seed,
        )
        if tie_embeddings:
            tie_to_words(head, network, tree)
        super().__init__(network, head, jit_compile=jit_compile, name=name)

    def pretrained_encoder(self, pooling: str = "last") -> TextEncoder:
        """Returns a Keras layer with a copy of the weights of a model without a condition, for a classifier of texts.

        Its output is a vector of a text, `[B, units]`.

        Args:
            pooling: "last" for the hidden state after the last word, or "mean" for the mean of those after each word.

        Raises:
            ValueError: If the model has a condition, which a classifier does not have.
        """
        if self.conditional_shape is not None:
            raise ValueError(
                f"Expected a model without a condition; this one has one of shape {self.conditional_shape}."
            )
        return TextEncoder.of(self.network.reader, self.network.ends, pooling)


def tie_to_words(head: Head, network: RecurrentTextNetwork, tree: Any) -> None:
    """Makes the vectors of the words that a network reads the output kernel of its head.

    Raises:
        ValueError: If the head is a tree, whose kernel has a row for each inner node.
    """
    if tree is not None:
        raise ValueError(
            f"Expected no tree, which has no vector for each word, with tied embeddings; received {tree!r}."
        )
    inner = head.head if isinstance(head, Absorbing) else head
    inner.tie_kernel(lambda: network.reader.embeddings)
