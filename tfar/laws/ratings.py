"""The law of ratings of items, which also predicts ratings, recommends items and computes user vectors."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.bad_rows import nan_unless
from tfar.laws.signature import (
    Example,
    Inputs,
    Output,
    Signature,
    example_condition,
    make_signature,
    named_condition,
    spec,
    unnamed_condition,
)
from tfar.laws.weights import reads_weights_once

ROWS = 3
# Number of items that the exported `recommend` returns, if there are so many.
NUM_RECOMMENDED = 100


class RatingsLaw(AutoregressiveLaw):
    """Autoregressive law of a network with `user_vectors` and a head of finite support.

    Its functions take x `[B, N]` and which items are observed, bool `[B, N]`; other values of x are ignored. The distribution of
    an item given a set of observed items does not depend on an order, so these functions take one pass and no order.
    """

    @reads_weights_once
    def predict_ratings(
        self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean `[B, N]` and the probabilities `[B, N, K]` of the rating of every item given the observed ones."""
        x, valid = self._clean(x, conditional_input, observed)
        params = self.network.params_given(self.encoded(x), observed, conditional_input)
        probs = self.member(0).conditional.probs(params)
        support = self.head.support()
        values = tf.range(support.num_values, dtype=tf.float32) + support.low
        return nan_unless(valid, tf.linalg.matvec(probs, values)), nan_unless(valid, probs)

    @reads_weights_once
    def recommend(
        self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None, num_items: int = NUM_RECOMMENDED
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scores `[B, k]` and the numbers `[B, k]` of the k items with the highest means that are not observed.

        The item -1 with the score 0 stands where fewer than k items are not observed.
        """
        means, _ = self.predict_ratings(x, observed, conditional_input)
        is_bad = tf.math.is_nan(means[:, :1])
        nothing = tf.constant(-float("inf"), tf.float32)
        scores, items = tf.math.top_k(tf.where(tf.logical_or(observed, is_bad), nothing, means), num_items)
        is_item = tf.logical_and(scores > nothing, tf.logical_not(is_bad))
        scores = tf.where(is_item, scores, tf.zeros_like(scores))
        return nan_unless(tf.logical_not(is_bad[:, 0]), scores), tf.where(is_item, items, tf.fill(tf.shape(items), -1))

    @reads_weights_once
    def encode(self, x: tf.Tensor, observed: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Returns the user vector of each row, the last hidden layer given the observed items, `[B, H]`."""
        x, valid = self._clean(x, conditional_input, observed)
        return nan_unless(valid, self.network.user_vectors(self.encoded(x), conditional_input))

    def signatures(self, dist: Any) -> dict[str, Signature]:
        """Returns those of an autoregressive distribution, `predict_ratings`, `recommend` and `encode`."""
        return {**super().signatures(dist), **_Signatures(self, dist).made()}


class _Signatures:
    """Makes the signatures of the functions of `RatingsLaw`, with examples by methods of the distribution."""

    def __init__(self, law: RatingsLaw, dist: Any) -> None:
        self.law, self.shape, self.live = law, dist.conditional_shape, dist.copy(jit_compile=False)
        self.num_items, self.num_values = dist.num_sites, dist.head.support().num_values

    def made(self) -> dict[str, Signature]:
        best, rating = min(NUM_RECOMMENDED, self.num_items), "of each item given the observed ones"
        return {
            "predict_ratings": self._make(
                lambda *given: dict(zip(("mean", "probs"), self.law.predict_ratings(*given), strict=True)),
                lambda *given, **condition: self.live.predict_ratings(*given, **condition)._asdict(),
                mean=Output((self.num_items,), f"mean rating {rating}"),
                probs=Output((self.num_items, self.num_values), f"probabilities of the ratings {rating}"),
            ),
            "recommend": self._make(
                lambda *given: dict(zip(("scores", "items"), self.law.recommend(*given, num_items=best), strict=True)),
                lambda *given, **condition: self.live.recommend(*given, best, **condition)._asdict(),
                items=Output((best,), "the items that are not observed, best first; -1 where there are no more"),
                scores=Output((best,), "the mean ratings of these items"),
            ),
            "encode": self._make(
                lambda *given: {"vector": self.law.encode(*given)},
                lambda *given, **condition: {"vector": self.live.encode(*given, **condition)},
                vector=Output((self.law.network.hidden_units[-1],), "the user vector given the observed items"),
            ),
        }

    def _make(self, compute: Any, live: Any, **outputs: Output) -> Signature:
        inputs = {name: spec(name, (self.num_items,)) for name in ("value", "observed")}

        def computed(given: Inputs, condition: Any) -> dict[str, tf.Tensor]:
            return compute(given["value"], given["observed"] > 0.0, condition)

        def example(seed: int) -> Example:
            given = self._rows(seed)
            condition = unnamed_condition(given, self.shape)
            found = live(given["value"], given["observed"], conditional_input=condition)
            found = {name: np.asarray(part) for name, part in found.items()}
            return Example(given, found, np.ones([ROWS], np.float32))

        return make_signature(computed, inputs, outputs, self.shape, example)

    def _rows(self, seed: int) -> dict[str, NDArray]:
        """Returns draws of the distribution of which every other item is observed."""
        condition = example_condition(self.shape, ROWS, seed)
        drawn = self.live.sample(
            *([ROWS] if condition is None else [1]), seed=seed + 2**16, conditional_input=condition
        )
        observed = (np.arange(ROWS)[:, None] + np.arange(self.num_items)) % 2
        value = np.asarray(drawn).reshape(ROWS, self.num_items)
        return {"value": value, "observed": observed.astype(np.float32), **named_condition(condition)}
