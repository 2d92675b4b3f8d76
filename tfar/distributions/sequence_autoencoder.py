"""A sequence autoencoder: a text given the state in which LSTMs have read a source text."""

from typing import Any

import keras

from tfar.distributions.arguments import check_rate
from tfar.distributions.reconstruction import Reconstruction
from tfar.distributions.recurrent_language_model import tie_to_words
from tfar.distributions.text import document_shape, word_head
from tfar.heads.base import check_positive_int
from tfar.layers import TextEncoder
from tfar.networks import SequenceAutoencoderNetwork


@keras.saving.register_keras_serializable("tfar")
class SequenceAutoencoder(Reconstruction):
    """A sequence autoencoder: LSTMs read a source text, and LSTMs that start from their state generate a text.

        h_0, c_0 = LSTM over the words of the source
        log p(w | source) = sum_t log p(w_t | w_<t, source),    p(w_t | w_<t, source) = softmax(b + U h_t)
        h_t, c_t = LSTM(E[w_{t-1}]; h_{t-1}, c_{t-1})

    It is a conditional distribution: the conditional input of `log_prob`, `sample` and `complete` is the source, words
    `[max_length]`. Word 0 ends a text and pads it; what follows the end of a source is ignored. For every source, the
    probabilities of all texts of at most `max_length` words sum to 1.

    Trained with texts alone, it learns to reconstruct them: a text is then its own source, and `nll` is
    `-reconstruction_log_prob`. `encode` gives the code of a text, and `pretrained_encoder` a Keras layer for a classifier
    that starts from the weights of the encoder.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        max_length: None for texts and sources of any length, or an int: the size of the event and of the source.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors E of words.
        tie_encoder: bool. Whether the encoder and the decoder are the same LSTMs with the same vectors of words.
        num_layers: int. Number of LSTMs of the encoder and of the decoder.
        tie_embeddings, dropout_rate, word_dropout_rate, tree, counts, kernel_initializer, seed, jit_compile, name: see
            `tfar.RecurrentLanguageModel`. Only words that the decoder reads are dropped.

    Raises:
        ValueError: If an argument is out of range, or embeddings are tied to a tree.

    Example:
        >>> dist = tfar.SequenceAutoencoder(1000, max_length=20, units=16, embedding_dim=8)
        >>> text = np.array([5, 3, 8] + [0] * 17)
        >>> dist.sample(4, seed=1, conditional_input=text).shape
        TensorShape([4, 20])
        >>> bool(dist.reconstruction_log_prob(text) == dist.log_prob(text, conditional_input=text))
        True

    References:
        Dai and Le. Semi-supervised sequence learning. NIPS 2015, section 2. https://arxiv.org/abs/1511.01432

    Notes:
        Before the first word, the decoder reads a vector of zeros, where the paper reads an end symbol. The encoder does not read
        the end of the source.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_length: int | None = None,
        units: int = 256,
        *,
        embedding_dim: int = 128,
        tie_encoder: bool = True,
        num_layers: int = 1,
        tie_embeddings: bool = False,
        dropout_rate: float = 0.0,
        word_dropout_rate: float = 0.0,
        tree: str | None = None,
        counts: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "SequenceAutoencoder",
    ) -> None:
        seed = check_positive_int("seed", seed, lowest=0)
        units, embedding_dim = check_positive_int("units", units), check_positive_int("embedding_dim", embedding_dim)
        head = word_head(vocabulary_size, embedding_dim if tie_embeddings else units, tree, counts, seed, ends=True)
        network = SequenceAutoencoderNetwork(
            document_shape(max_length),
            vocabulary_size,
            units,
            embedding_dim=embedding_dim,
            tie_encoder=tie_encoder,
            num_layers=check_positive_int("num_layers", num_layers),
            ends=True,
            project=tie_embeddings,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            word_dropout_rate=word_dropout_rate,
            kernel_initializer=kernel_initializer,
            seed=seed,
        )
        if tie_embeddings:
            tie_to_words(head, network, tree)
        super().__init__(network, head, jit_compile=jit_compile, name=name)

    def pretrained_encoder(self, pooling: str = "last") -> TextEncoder:
        """Returns a Keras layer with a copy of the encoder's weights, which gives a vector of a text, `[B, units]`.

        Args:
            pooling: "last" for the hidden state after the last word, or "mean" for the mean of those after each word.
        """
        return TextEncoder.of(self.network.encoder, ends=True, pooling=pooling)
