"""Distributions of ratings of items, which predict ratings, recommend items and compute user vectors."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import Rows, without_autograph
from tfar.heads.base import check_positive_int
from tfar.laws import RatingsLaw


class Predictions(NamedTuple):
    """The distributions of the ratings of all items given the observed ones.

    Attributes:
        mean: float32 `[*lead, num_items]`. The mean rating.
        probs: float32 `[*lead, num_items, num_values]`. The probability of each rating, lowest first.
    """

    mean: tf.Tensor
    probs: tf.Tensor


class Recommendations(NamedTuple):
    """The items with the highest mean ratings, best first.

    Attributes:
        items: int32 `[*lead, k]`. Numbers of items; -1 where fewer than k items are not observed.
        scores: float32 `[*lead, k]`. Their mean ratings; 0 for the item -1.
    """

    items: tf.Tensor
    scores: tf.Tensor


class Ratings(Autoregressive):
    """Base class of distributions of ratings, whose functions take the ratings of some items.

    The distribution of an item given a set of observed items does not depend on an order: `predict_ratings` and `recommend` are
    the exact conditionals of the next item, in one pass.
    """

    law_type = RatingsLaw

    @abc.abstractmethod
    def _default_observed(self, value: Any) -> Any:
        """Returns the items that are observed if `observed` is None, or raises ValueError."""

    @without_autograph
    def predict_ratings(self, value: Any, observed: Any = None, *, conditional_input: Any = None) -> Predictions:
        """Returns the distribution of the rating of every item given the observed ratings.

        Args:
            value: numbers `[*lead, num_items]`. Values that are not observed are ignored.
            observed: bools that broadcast to the shape of `value`.
            conditional_input: as in `log_prob`.

        Returns:
            `Predictions`. Those of an observed item are conditioned on its own rating too.

        Raises:
            ValueError: If a shape does not fit; in eager mode also if an observed value is outside the support.
        """
        given = self._observed_rows(value, observed, conditional_input)
        return Predictions(*self._call("predict_ratings", [given.x, given.observed, given.condition], given))

    @without_autograph
    def recommend(
        self, value: Any, observed: Any = None, k: int = 10, *, conditional_input: Any = None
    ) -> Recommendations:
        """Returns the k items with the highest mean ratings among those that are not observed.

        Args:
            value, observed, conditional_input: as in `predict_ratings`.
            k: int from 1 to the number of items. Default: 10.

        Returns:
            `Recommendations`.

        Raises:
            ValueError: If `k` is out of range, and as `predict_ratings` does.
        """
        given = self._observed_rows(value, observed, conditional_input)
        if check_positive_int("k", k) > self.num_sites:
            raise ValueError(f"Expected `k` to be at most the number of items, {self.num_sites}; received {k}.")
        inputs = [given.x, given.observed, given.condition]
        scores, items = self._call("recommend", inputs, given, num_items=int(k))
        return Recommendations(items, scores)

    @without_autograph
    def encode(self, value: Any, observed: Any = None, *, conditional_input: Any = None) -> tf.Tensor:
        """Returns user vectors: the last hidden layer given the observed ratings.

        Args:
            value, observed, conditional_input: as in `predict_ratings`.

        Returns:
            float32 `[*lead, hidden_units[-1]]`.

        Raises:
            ValueError: As `predict_ratings` does.
        """
        given = self._observed_rows(value, observed, conditional_input)
        return self._call("encode", [given.x, given.observed, given.condition], given)

    def _observed_rows(self, value: Any, observed: Any, conditional_input: Any) -> Rows:
        observed = self._default_observed(value) if observed is None else observed
        return self._flat_rows(value, conditional_input, observed)
