"""The hierarchical autoencoder: documents of sentences of words, given a source document."""

from typing import Any

import keras

from tfar.distributions.arguments import check_rate
from tfar.distributions.reconstruction import Reconstruction
from tfar.distributions.text import word_head
from tfar.heads.base import check_positive_int
from tfar.networks import HierarchicalAutoencoderNetwork


@keras.saving.register_keras_serializable("tfar")
class HierarchicalAutoencoder(Reconstruction):
    """A hierarchical autoencoder: LSTMs over the words of sentences, and LSTMs over the sentences of a document.

        source:    e_i = LSTM over the words of sentence i,    h_i = LSTM(e_i; h_{i-1})
        document:  log p(w | source) = sum_t sum_k log p(w_tk | w_t<k, sentences before t, source)
                   p(w_tk | ...) = softmax(b + U g_tk),    g_tk = LSTM(E[w_t,k-1]; g_t,k-1),    g_t0 = s_{t-1}
                   s_t = LSTM([last g_t; m_t]; s_{t-1}),    s_0 = the state after the last sentence of the source
                   m_t = sum_i a_i h_i,    a = softmax_i(V . tanh(h_i W_1 + s_{t-1} W_2)), with `attention`

    An event is a document `[max_sentences, max_words]`. Word 0 ends a sentence and pads it, and a sentence without words ends the
    document. For every source the probabilities of all documents sum to 1; a sentence of `max_words` words and a document of
    `max_sentences` sentences have no end.

    It is a conditional distribution: the conditional input of `log_prob`, `sample` and `complete` is the source, a document of
    the same shape. Trained with documents alone, it learns to reconstruct them: a document is then its own source. `encode` gives
    the state after the last sentence of a document. With attention, the decoder also sees the states after each sentence, so
    that the code holds less of the document than without.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        max_sentences: int. Number of sentences of an event.
        max_words: int. Number of words of each sentence.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors E of words.
        num_layers: int. LSTMs of each of the four stacks.
        attention: bool. Whether the decoder attends to the sentences of the source.
        dropout_rate: float in [0, 1). Dropout of the vectors of words and of the output of each word LSTM in training.
        tree: None for a softmax over all words; "balanced" or "frequency" for a tree (`tfar.heads.TreeSoftmax`).
        counts: None, or the number of times that each word occurs in training data, `[vocabulary_size]`: the initial bias
            then gives the words these frequencies.
        kernel_initializer: initializer of the kernels of the word LSTMs, each with its own seed.
        seed: int. Determines the initial weights and the leaves of a balanced tree.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> dist = tfar.HierarchicalAutoencoder(100, max_sentences=3, max_words=5, units=8, embedding_dim=4)
        >>> document = np.array([[7, 3, 0, 0, 0], [9, 2, 5, 4, 1], [0, 0, 0, 0, 0]])
        >>> dist.encode(document).shape, dist.reconstruction_log_prob(document).shape
        (TensorShape([16]), TensorShape([]))
        >>> dist.sample(4, seed=1, conditional_input=document).shape
        TensorShape([4, 3, 5])

    References:
        Li, Luong and Jurafsky. A hierarchical neural autoencoder for paragraphs and documents. ACL 2015, sections 3.3 and
        3.4. https://arxiv.org/abs/1506.01057

    Notes:
        The authors' code ends a document by a word of its own, and its LSTMs have no biases and no tanh at the output. Here
        an empty sentence ends a document, and the LSTMs are the usual ones. Before the first word of a sentence, the decoder
        reads a vector of zeros.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_sentences: int,
        max_words: int,
        units: int = 256,
        *,
        embedding_dim: int = 128,
        num_layers: int = 1,
        attention: bool = True,
        dropout_rate: float = 0.0,
        tree: str | None = None,
        counts: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "HierarchicalAutoencoder",
    ) -> None:
        seed, units = check_positive_int("seed", seed, lowest=0), check_positive_int("units", units)
        shape = (check_positive_int("max_sentences", max_sentences), check_positive_int("max_words", max_words))
        head = word_head(vocabulary_size, units, tree, counts, seed, ends=True, row_length=shape[1])
        network = HierarchicalAutoencoderNetwork(
            shape,
            vocabulary_size,
            units,
            embedding_dim=check_positive_int("embedding_dim", embedding_dim),
            num_layers=check_positive_int("num_layers", num_layers),
            attention=attention,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            kernel_initializer=kernel_initializer,
            seed=seed,
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)
