"""The law of documents: an autoregressive law with vectors and perplexities of documents."""

import math
from typing import Any

import tensorflow as tf

from tfar import random
from tfar.heads.numerics import logaddexp
from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.bad_rows import nan_unless
from tfar.laws.signature import Signature
from tfar.laws.text_signatures import text_signatures
from tfar.laws.weights import reads_weights_once
from tfar.networks.permutations import permuted


class TextLaw(AutoregressiveLaw):
    """Law of the words of documents, whose network is a `WordNetwork`.

    Its arguments are those of `Members`.
    """

    @property
    def allows_shorter(self) -> bool:
        """Whether the first words of a document are a document: unless word 0 ends it."""
        return not self.network.ends

    @reads_weights_once
    def encode(self, x: tf.Tensor, observed: tf.Tensor | None = None, conditional_input: Any = None) -> tf.Tensor:
        """Returns the vector of each document, `[B, code_size]`, from all its words before the end.

        Args:
            x: float32 `[B, N]`.
            observed: None, or bool `[B, N]`, a prefix of each row.
            conditional_input: the conditional input of the network.
        """
        x, valid = self._clean(x, conditional_input, observed)
        words = self._words(x)
        known = tf.logical_and(self.counted_sites(x, observed), self.network.before_padding(words))
        return nan_unless(valid, self.network.encode(words, known, conditional_input))

    def perplexity(self, x: tf.Tensor, observed: tf.Tensor | None = None, conditional_input: Any = None) -> tf.Tensor:
        """Returns `exp(-log_prob / n)` of each document, `[B]`, with n as in `num_symbols`; 1 for an empty document."""
        log_prob = self.log_prob(x, conditional_input, observed)
        mean = tf.math.divide_no_nan(log_prob, self.num_symbols(x, observed))
        return tf.exp(-mean)

    def num_symbols(self, x: tf.Tensor, observed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the number of observed words of each document and of its end, if it has one, float32 `[B]`."""
        return tf.reduce_sum(tf.cast(self.counted_sites(x, observed), tf.float32), axis=1)

    def counted_sites(self, x: tf.Tensor, observed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the observed words and ends of documents, without what follows an end, bool `[B, N]`."""
        symbols = self.network.before_end(self._words(x))
        return symbols if observed is None else tf.logical_and(symbols, observed)

    def _words(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the words of documents by site, int32 `[B, N]`."""
        return self.network.words(self.member(0).values(x))

    @reads_weights_once
    def order_averaged_log_prob(
        self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor | None = None, num_orders: int = 1
    ) -> tf.Tensor:
        """Returns `log(mean_k p(x in order k))` over random orders of the words, `[B]`.

        Args:
            seeds: int32 `[B, 2]`. Determine the orders; a larger `num_orders` only appends orders.
            x: float32 `[B, N]`.
            observed: None, or bool `[B, N]`, a prefix of each row.
            num_orders: int.
        """

        def score(k: tf.Tensor) -> tf.Tensor:
            own = random.derived_seeds(seeds, k, random.Stream.ORDER)
            return self.log_prob(permuted(x, self.network.random_orders(own, x, observed)), None, observed)

        total = tf.while_loop(
            lambda k, _: k < num_orders,
            lambda k, total: (k + 1, logaddexp(total, score(k))),
            (tf.constant(1), score(tf.constant(0))),
            maximum_iterations=num_orders - 1,
        )[1]
        return total - math.log(num_orders)

    def signatures(self, dist: Any) -> dict[str, Signature]:
        return {**super().signatures(dist), **text_signatures(dist)}
