"""The law of documents that serve as bags of words: a law of documents that also takes numbers of words."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfar.laws.autoregressive_signatures import Examples
from tfar.laws.bad_rows import nan_unless
from tfar.laws.signature import Signature, Signatures, spec
from tfar.laws.text import TextLaw
from tfar.laws.weights import reads_weights_once


class BagLaw(TextLaw):
    """Law of the words of documents whose network is a `DocNADENetwork`.

    Its arguments are those of `Members`.
    """

    def are_bags(self, counts: tf.Tensor) -> tf.Tensor:
        """Returns which rows `[B, V]` are numbers of words of a document, bool `[B]`."""
        whole = tf.logical_and(counts >= 0.0, tf.equal(counts, tf.floor(counts)))
        valid = tf.logical_and(tf.reduce_all(whole, axis=1), tf.reduce_sum(counts, axis=1) <= tf.float32.max)
        if self.network.ends:
            valid = tf.logical_and(valid, tf.equal(counts[:, 0], 0.0))
        limit = self.network.num_sites
        return valid if limit is None else tf.logical_and(valid, tf.reduce_sum(counts, axis=1) <= float(limit))

    @reads_weights_once
    def encode_bag(self, counts: tf.Tensor) -> tf.Tensor:
        """Returns the vector of each bag, `[B, F]`, from numbers of words `[B, V]`: `encode` of its words in any order."""
        valid = self.are_bags(counts)
        counts = tf.where(valid[:, None], counts, tf.zeros_like(counts))
        return nan_unless(valid, self.network.encode_bag(counts))

    def signatures(self, dist: Any) -> dict[str, Signature]:
        size, live = self.network.vocabulary_size, dist.copy(jit_compile=False)
        examples = Examples(live)

        def bags(seed: int) -> dict[str, np.ndarray]:
            documents = examples.rows(seed)["value"].astype(int)
            counts = np.stack([np.bincount(words, minlength=size) for words in documents]).astype(np.float32)
            if self.network.ends:
                counts[:, 0] = 0.0
            return {"counts": counts}

        make = Signatures({"counts": spec("counts", (size,))}, None, bags)
        return {
            **super().signatures(dist),
            "encode_bag": make(
                ["counts"],
                ("encoded", (self.network.num_features,), "the vector of the document with these numbers of words"),
                lambda given, _: self.encode_bag(given["counts"]),
                lambda given, _, seed: live.encode_bag(given["counts"]),
                lambda seed, result: abs(result).max(axis=1),
            ),
        }
