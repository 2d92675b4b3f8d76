"""SentenceVAE: a variational autoencoder of texts with LSTMs."""

from typing import Any

import keras
import tensorflow as tf

from tfar.distributions.arguments import check_share
from tfar.distributions.base import without_autograph
from tfar.distributions.factorized import Factorized
from tfar.distributions.latent_variable import LatentVariable
from tfar.distributions.recurrent_language_model import RecurrentLanguageModel
from tfar.heads import Normal
from tfar.heads.base import check_positive_int
from tfar.laws.annealing import Annealing, LinearAnnealing, LogisticAnnealing
from tfar.networks.latent_texts import LatentTextEncoder

ANNEALINGS = ("linear", "logistic")


@keras.saving.register_keras_serializable("tfar")
class SentenceVAE(LatentVariable):
    """Variational autoencoder over texts: a latent says what a text is about, and LSTMs generate its words.

        p(w) = E_{z ~ N(0, I)} prod_t p(w_t | w_<t, z),    p(w_t | w_<t, z) = softmax(b + U h_t)
        h_t, c_t = LSTM(E[w_{t-1}], z; h_{t-1}, c_{t-1}),    (h_0, c_0) = B z + d
        q(z | w) = N(loc, diag(scale)^2),    (loc, log scale) = A h + a,    h = last hidden state of an LSTM over w

    Word 0 ends a text and pads it. The probabilities of all texts of at most `max_length` words sum to 1, and a text of
    `max_length` words has no end. `elbo` and `importance_log_prob` are lower bounds of the log-probability, and are
    without dropout, KL weight and free bits, which are part of training alone.

    A decoder that reads all words may ignore the latent. Three remedies are part of training: the weight of the KL term rises
    from near 0 to 1, words that the decoder reads are dropped, and each entry of the latent may have free bits.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        max_length: int. Size of the event.
        latent_dim: int. Size of the latent z.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors of words, of which the encoder and the decoder have their own.
        num_layers: int. Number of LSTMs of the encoder and of the decoder.
        word_keep_rate: float in [0, 1]. Probability that the decoder reads a word in training; it reads all words after it.
            With 0 it is an inputless decoder, which reads no words in training or after it.
        dropout_rate: float in [0, 1). Dropout of the vectors of words and of the output of each LSTM of the decoder in training.
        free_bits: float. Least KL divergence of each entry of the latent in the training loss; see `tfar.LatentVariable`.
        kl_annealing_steps: int. The weight of the KL term in the training loss rises in so many steps; 1 for a weight of 1 from
            the start.
        kl_annealing: "linear" from `1 / kl_annealing_steps` at the first step to 1, or "logistic", the curve of the paper, with
            one half in the middle and 0.993 at the end of these steps.
        tie_embeddings: bool. Whether the output kernel U is the decoder's E; see `tfar.RecurrentLanguageModel`.
        tree: None for a softmax over all words; "balanced" or "frequency" for a tree (`tfar.heads.TreeSoftmax`).
        counts: None, or the number of times that each word occurs in training data, `[vocabulary_size]`: the initial bias
            then gives the words these frequencies.
        seed: int. Determines the initial weights and the leaves of a balanced tree.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range, or embeddings are tied to a tree or in an inputless decoder.

    Example:
        >>> dist = tfar.SentenceVAE(1000, max_length=20, latent_dim=4, units=16, embedding_dim=8)
        >>> texts = dist.sample(2, seed=1)
        >>> dist.elbo(texts, seed=2).shape, dist.evaluate(texts)["latent_mean"].shape
        (TensorShape([2]), TensorShape([2, 4]))
        >>> dist.interpolate(texts[0], texts[1], num_steps=5, seed=3).shape
        TensorShape([5, 20])

    References:
        Bowman, Vilnis, Vinyals, Dai, Jozefowicz and Bengio. Generating sentences from a continuous space. CoNLL 2016, sections 2
        and 3. https://arxiv.org/abs/1511.06349

    Notes:
        The latent gives the initial state, as in the paper, and is read at every word, as in later work. A dropped word is a
        vector of zeros, where the paper has an unknown word. The paper has highway layers between the encoder and the latent,
        which are left out. An inputless decoder computes every state from the latent and the position; only the end of the text
        depends on its words.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_length: int,
        latent_dim: int = 16,
        units: int = 128,
        *,
        embedding_dim: int = 128,
        num_layers: int = 1,
        word_keep_rate: float = 1.0,
        dropout_rate: float = 0.0,
        free_bits: float = 0.0,
        kl_annealing_steps: int = 10_000,
        kl_annealing: str = "linear",
        tie_embeddings: bool = False,
        tree: str | None = None,
        counts: Any = None,
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "SentenceVAE",
    ) -> None:
        shape = (check_positive_int("max_length", max_length),)
        latent = (check_positive_int("latent_dim", latent_dim),)
        decoder = RecurrentLanguageModel(
            vocabulary_size,
            max_length,
            units,
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            conditional_shape=latent,
            tie_embeddings=tie_embeddings,
            dropout_rate=dropout_rate,
            word_dropout_rate=1.0 - check_share("word_keep_rate", word_keep_rate),
            tree=tree,
            counts=counts,
            seed=seed,
            jit_compile=jit_compile,
        )
        network = LatentTextEncoder(
            vocabulary_size, units, embedding_dim, num_layers, num_params=2 * latent[0], seed=seed + 1
        )
        super().__init__(
            Factorized(latent, Normal(), trainable=False, jit_compile=jit_compile),
            Factorized(latent, Normal(), network=network, conditional_shape=shape, jit_compile=jit_compile),
            decoder,
            kl_weight=_kl_weight(kl_annealing, kl_annealing_steps),
            free_bits=free_bits,
            jit_compile=jit_compile,
            name=name,
        )

    @without_autograph
    def perplexity(self, value: Any, num_samples: int = 100, seed: Any = None) -> tf.Tensor:
        """Returns an estimate of the perplexity of a word of each text, `exp(-importance_log_prob / number of words)`.

        The end of a text counts as a word unless the text fills the event. The logarithm of the estimate is in expectation at
        least that of the perplexity, to which it falls with the number of samples.

        Args:
            value, num_samples, seed: as in `importance_log_prob`.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `importance_log_prob` does.

        Example:
            >>> dist = tfar.SentenceVAE(1000, max_length=20, units=16, embedding_dim=8)
            >>> dist.perplexity([[3, 1, 4] + [0] * 17], num_samples=10, seed=1).shape
            TensorShape([1])
        """
        bound = self.importance_log_prob(value, num_samples, seed)
        given = self._flat_rows(value)
        num_words = tf.reshape(self.decoder.law.num_symbols(given.x), tf.shape(bound))
        return tf.exp(-bound / num_words)


def _kl_weight(kind: Any, num_steps: Any) -> Annealing:
    """Returns the weight of the KL term from the arguments `kl_annealing` and `kl_annealing_steps`, or raises ValueError."""
    steps = check_positive_int("kl_annealing_steps", num_steps)
    if kind not in ANNEALINGS:
        raise ValueError(f"Expected `kl_annealing` to be one of {ANNEALINGS}; received {kind!r}.")
    if kind == "linear" or steps == 1:
        return LinearAnnealing(steps, start=1.0 / steps)
    return LogisticAnnealing(midpoint=steps / 2, rate=10.0 / steps)
