"""DocNADE: a distribution over the words of documents, as a bag or as a text."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.distributions import rows
from tfar.distributions.arguments import shape_tuple
from tfar.distributions.base import without_autograph
from tfar.distributions.text import Text, check_length, document_shape, word_head
from tfar.heads.base import check_positive_int
from tfar.laws.bad_rows import nan_unless
from tfar.laws.bags import BagLaw
from tfar.networks import DocNADENetwork


@keras.saving.register_keras_serializable("tfar")
class DocNADE(Text):
    """DocNADE, a topic model with an exact likelihood: every word depends on the sum of vectors of the words before it.

        log p(v) = sum_i log p(v_i | v_<i),    p(v_i | v_<i) = softmax or tree of h_L
        h_1 = g(c + sum_{k<i} W[v_k]),         h_l = g(b_l + W_l h_{l-1})

    Training shuffles the words of each document, so that the model serves bags of words. The hidden units after all words
    are the vector of the document, `encode`.

    What the probability of a document is:

    - `length="given"`: `log_prob` is that of its words in the given order, given their number. For every number of words the
      probabilities sum to 1. Documents of different lengths are padded, and `observed` marks their words.
    - `length="eos"`: word 0 ends a document and pads it. The probabilities of all documents of at most `max_length` words
      sum to 1; a document that has `max_length` words has no end. A word after the end is outside the support.
    - `order_averaged_log_prob`: the mean of the probabilities over random orders of the words.
    - `bag_log_prob`: of a bag, which is the number of times that each word occurs: that mean times the number of distinct
      orders.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        hidden_units: int, or ints for several layers. Units of each hidden layer; the last one is the size of `encode`.
        max_length: None for documents of any length, or an int: the size of the event.
        length: "given" or "eos", see above.
        tree: None for a softmax over all words (`tfar.heads.DenseSoftmax`); "balanced" or "frequency" for a tree, which
            costs O(log vocabulary_size) a word (`tfar.heads.TreeSoftmax`).
        counts: None, or the number of times that each word occurs in training data, `[vocabulary_size]`: the initial bias
            then gives the words these frequencies. A frequency tree requires it.
        activation: activation function g.
        kernel_initializer: initializer of all kernels of the network, each with its own seed.
        seed: int. Determines the initial weights and the leaves of a balanced tree.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> dist = tfar.DocNADE(1000, hidden_units=16, tree="balanced")
        >>> documents, lengths = np.array([[3, 1, 4, 1], [5, 9, 2, 0]]), [4, 3]
        >>> dist.log_prob(documents, observed=tf.sequence_mask(lengths)).shape
        TensorShape([2])
        >>> dist.sample(3, seed=1, length=5).shape
        TensorShape([3, 5])

    References:
        Larochelle and Lauly. A neural autoregressive topic model. NIPS 2012, section 4, equations 6 to 9.
        Lauly, Zheng, Allauzen and Larochelle. Document neural autoregressive distribution estimation. JMLR 18, 2017,
        sections 3 and 4. https://arxiv.org/abs/1603.05962

    Notes:
        The deep model of the second paper predicts all words after a random position from one hidden layer. This one
        predicts every word from those before it, which has the same expectation and a smaller variance. The authors' code
        averages the logarithms over orders; the mean of the probabilities is at least as large, and normalised.
    """

    law_type = BagLaw

    def __init__(
        self,
        vocabulary_size: int,
        hidden_units: int | Sequence[int] = 50,
        *,
        max_length: int | None = None,
        length: str = "given",
        tree: str | None = None,
        counts: Any = None,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "DocNADE",
    ) -> None:
        units, ends = shape_tuple("hidden_units", hidden_units), check_length(length)
        seed = check_positive_int("seed", seed, lowest=0)
        head = word_head(vocabulary_size, units[-1], tree, counts, seed, ends)
        network = DocNADENetwork(
            event_shape=document_shape(max_length),
            hidden_units=units,
            vocabulary_size=vocabulary_size,
            ends=ends,
            activation=activation,
            kernel_initializer=kernel_initializer,
            seed=seed,
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)

    @without_autograph
    def order_averaged_log_prob(
        self, value: Any, num_orders: int = 16, seed: Any = 0, *, observed: Any = None
    ) -> tf.Tensor:
        """Returns the logarithm of the mean probability of documents over random orders of their words.

        It estimates the logarithm of the mean over all orders; its expectation is a lower bound that increases with
        `num_orders`.

        Args:
            value: words `[*lead, *event_shape]`.
            num_orders: int.
            seed: seed as accepted by `tfar.random.as_seed`. Determines the orders; a larger `num_orders` only appends
                orders.
            observed: None, or bools that broadcast to the shape of `value`: the first words of each document.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `log_prob` does, or if `num_orders` is not an int of at least 1.
        """
        given, num_orders = self._flat_rows(value, None, observed), check_positive_int("num_orders", num_orders)
        inputs = [given.x, given.observed]
        return self._call("order_averaged_log_prob", inputs, given, seed=seed, count=given.count, num_orders=num_orders)

    @without_autograph
    def bag_log_prob(self, counts: Any, num_orders: int = 16, seed: Any = 0) -> tf.Tensor:
        """Returns the log-probability of bags of words: `order_averaged_log_prob` and the number of distinct orders.

            log p(n) = log(D! / prod_w n_w!) + log(mean_k p(words in order k)),    D = sum_w n_w

        For `length="given"` the probabilities of all bags of D words sum to 1, and for `length="eos"` those of all bags of at
        most `max_length` words.

        Args:
            counts: whole numbers `[*lead, vocabulary_size]`, n. With `length="eos"` that of word 0 is 0.
            num_orders, seed: as in `order_averaged_log_prob`.

        Returns:
            float32 `[*lead]`. In a graph, NaN for a row of other numbers.

        Raises:
            ValueError: If the shape does not fit; in eager mode also if the counts are other numbers.

        Example:
            >>> dist = tfar.DocNADE(3, hidden_units=4)
            >>> bags = [[2, 0, 0], [0, 2, 0], [0, 0, 2], [1, 1, 0], [1, 0, 1], [0, 1, 1]]
            >>> round(float(tf.reduce_sum(tf.exp(dist.bag_log_prob(bags, num_orders=100)))), 2)
            1.0
        """
        counts, valid, lead = self._flat_bags(counts)
        total, limit = tf.reduce_sum(counts, axis=1), self.event_shape[0]
        x, known = _words_of_bags(counts, limit, self.network.ends)
        observed = None if self.network.ends else known
        log_prob = self.order_averaged_log_prob(x, num_orders, seed, observed=observed)
        orders = tf.math.lgamma(total + 1.0) - tf.reduce_sum(tf.math.lgamma(counts + 1.0), axis=1)
        return rows.unflatten(nan_unless(valid, log_prob + orders), lead)

    @without_autograph
    def encode_bag(self, counts: Any) -> tf.Tensor:
        """Returns the vector of documents from the number of times that each word occurs.

        It is `encode` of their words, whose order does not matter.

        Args:
            counts: whole numbers `[*lead, vocabulary_size]`. With `length="eos"` that of word 0 is 0.

        Returns:
            float32 `[*lead, hidden_units]`. In a graph, NaN for a row of other numbers.

        Raises:
            ValueError: If the shape does not fit; in eager mode also if the counts are other numbers.

        Example:
            >>> dist = tfar.DocNADE(6, hidden_units=16)
            >>> same = dist.encode_bag([0, 2, 0, 1, 0, 0]) - dist.encode([3, 1, 1])
            >>> bool(tf.reduce_max(tf.abs(same)) < 1e-6)
            True
        """
        counts, _, lead = self._flat_bags(counts)
        return rows.unflatten(self._run("encode_bag", [counts]), lead)

    def _flat_bags(self, counts: Any) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """Returns counts as rows `[B, vocabulary_size]`, which of them are those of a document, and the leading axes."""
        counts = rows.check_trailing(rows.as_float(counts, "counts"), (self.network.vocabulary_size,), "counts")
        lead = rows.lead_shape([(counts, 1)])
        counts = rows.flatten([(counts, 1)], lead)[0]
        valid = self.law.are_bags(counts)
        self._refuse_bags(valid, counts)
        return counts, valid, lead

    def _refuse_bags(self, valid: tf.Tensor, counts: tf.Tensor) -> None:
        if not tf.executing_eagerly() or bool(tf.reduce_all(valid)):
            return
        row = int(np.argmin(valid))
        limit, end = self.event_shape[0], ", 0 of word 0, which is the end" if self.network.ends else ""
        most = "" if limit is None else f", at most {limit} in all"
        raise ValueError(
            f"Expected `counts` to be whole numbers of at least 0{most}{end}; received {np.asarray(counts)[row]} at row {row}."
        )


@keras.saving.register_keras_serializable("tfar")
class DocNADELanguageModel(Text):
    """DocNADE-LM: a language model whose hidden layer sees the topic of the document and the last words.

        h_1 = g(c + sum_{k<i} W[v_k] + sum_{k=1}^{n-1} U_k E[v_{i-k}])

    It is DocNADE for texts: the words keep their order, and an n-gram network over the last n - 1 words is added inside the
    hidden layer. Before the beginning of a text its vectors are zeros. `encode` leaves the n-gram network out.

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        hidden_units: int, or ints for several layers. Units of each hidden layer.
        context_size: int of at least 2, n. The n-gram network sees n - 1 words.
        embedding_size: int or None. Size of the vectors E; None for as many as units of the first layer.
        max_length, length, tree, counts, activation, kernel_initializer, seed, jit_compile, name: see `tfar.DocNADE`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> dist = tfar.DocNADELanguageModel(1000, hidden_units=16, context_size=3, length="eos", max_length=20)
        >>> dist.perplexity(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Lauly, Zheng, Allauzen and Larochelle. Document neural autoregressive distribution estimation. JMLR 18, 2017,
        section 5. https://arxiv.org/abs/1603.05962
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_units: int | Sequence[int] = 100,
        *,
        context_size: int = 4,
        embedding_size: int | None = None,
        max_length: int | None = None,
        length: str = "given",
        tree: str | None = None,
        counts: Any = None,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "DocNADELanguageModel",
    ) -> None:
        units, ends = shape_tuple("hidden_units", hidden_units), check_length(length)
        seed = check_positive_int("seed", seed, lowest=0)
        head = word_head(vocabulary_size, units[-1], tree, counts, seed, ends)
        network = DocNADENetwork(
            event_shape=document_shape(max_length),
            hidden_units=units,
            vocabulary_size=vocabulary_size,
            ends=ends,
            shuffles=False,
            context_size=check_positive_int("context_size", context_size, lowest=2),
            embedding_size=check_positive_int("embedding_size", units[0] if embedding_size is None else embedding_size),
            activation=activation,
            kernel_initializer=kernel_initializer,
            seed=seed,
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _words_of_bags(counts: tf.Tensor, max_length: int | None, ends: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the words of bags `[B, V]` as documents `[B, N]`, padded with 0, and which of them are words."""
    total = tf.reduce_sum(counts, axis=1)
    if max_length is None:
        max_length = tf.cast(tf.reduce_max(total), tf.int32) + int(ends)
    places = tf.range(max_length, dtype=tf.int32)
    known = tf.cast(places, tf.float32) < total[:, None]
    queries = tf.broadcast_to(tf.cast(places, tf.float32), [tf.shape(counts)[0], max_length])
    words = tf.searchsorted(tf.cumsum(counts, axis=1), queries, side="right")
    return tf.cast(tf.where(known, words, tf.zeros_like(words)), tf.float32), known
