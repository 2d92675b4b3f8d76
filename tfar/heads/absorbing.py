"""Head of sequences that end: after the value 0 all values are 0."""

from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import Head, check_head, check_positive_int
from tfar.heads.support import Support
from tfar.layers.ends import before_end


@keras.saving.register_keras_serializable("tfar")
class Absorbing(Head):
    """Head of a sequence in which 0 is the end and the padding: once it is drawn, all later values are 0.

        p(x = 0 | ended) = 1,    p(x | not ended) = q(x; params of the head)

    So a distribution over sequences of a fixed size is one over shorter ones of any length, and sums to 1 over them. A value
    other than 0 after a 0 is outside the support.

    The last parameter is 1 where the sequence has ended, and 0 elsewhere; networks of sequences that end compute it from
    the earlier values. The others are those of the head.

    With a `row_length` T, the sites are rows of T, such as the sentences of a document. 0 then ends a row, and a row that begins
    with 0 ends the sequence.

    Args:
        head: head of the values of a sequence that has not ended, with scalar sites whose support includes 0.
        row_length: None, or the number of sites of a row.

    Raises:
        ValueError: If the head is another, or `row_length` is not an int of at least 1.

    Example:
        >>> head = Absorbing(tfar.heads.Categorical(3))
        >>> tf.exp(head.log_prob([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], [0.0, 0.0])).numpy().round(2)
        array([0.33, 1.  ], dtype=float32)
    """

    discrete = True

    def __init__(self, head: Head, row_length: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = check_head(head)
        self.row_length = None if row_length is None else check_positive_int("row_length", row_length)
        support = head.support()
        if not head.discrete or head.site_shape or not support.low <= 0.0 <= support.high:
            raise ValueError(
                f"Expected a head of whole numbers with 0 among them; {type(head).__name__} has {support} of shape "
                f"{head.site_shape}."
            )
        self.noise_size, self.num_sites = head.noise_size, head.num_sites

    @property
    def params_size(self) -> int:
        return self.head.params_size + 1

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of the inner head."""
        if not self.head.built:
            self.head.build()
        self.built = True

    def support(self, site: int | None = None) -> Support:
        return self.head.support(site)

    def initial_params(self) -> list[float] | None:
        own = self.head.initial_params()
        return None if own is None else [*own, 0.0]

    def in_event_support(self, x: Any, site: Any = None) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        may_be_any = before_end(tf.equal(x, 0.0), self.row_length)
        return tf.logical_and(self.in_support(x, site), tf.logical_or(tf.equal(x, 0.0), may_be_any))

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._in_support(x, site)

    # Values after the end --------------------------------------------------------------------------------------------

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return _unless_ended(params, self.head._log_prob(params[..., :-1], x, site), _log_prob_of_end(x))

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        log_prob = self.head._training_log_prob(params[..., :-1], x, seed, site)
        return _unless_ended(params, log_prob, _log_prob_of_end(x))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return _unless_ended(params, self.head._sample(params[..., :-1], noise, site), 0.0)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        ended = params[..., -1:] > 0.5
        return tf.where(ended, uniform, self.head._noise(params[..., :-1], x, uniform, site))

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return tf.concat([self.head._tempered(params[..., :-1], temperature, site), params[..., -1:]], axis=-1)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        at_end = tf.cast(tf.logical_and(lower <= 0.0, upper >= 0.0), tf.float32)
        return _unless_ended(params, self.head._interval_prob(params[..., :-1], lower, upper, site), at_end)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        at_end = tf.cast(tf.equal(self._all_values(), 0.0), tf.float32)
        return tf.where(params[..., -1:] > 0.5, at_end, self.head._probs(params[..., :-1], site))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head": keras.saving.serialize_keras_object(self.head),
            "row_length": self.row_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Absorbing":
        return cls(**{**config, "head": keras.saving.deserialize_keras_object(config["head"])})


def _unless_ended(params: tf.Tensor, value: tf.Tensor, at_end: Any) -> tf.Tensor:
    """Replaces values `[...]` by those of a sequence that has ended."""
    return tf.where(params[..., -1] > 0.5, at_end, value)


def _log_prob_of_end(x: tf.Tensor) -> tf.Tensor:
    """Returns 0 for the value 0 and -inf for others, without a constant -inf, which TFLite makes a finite number."""
    return tf.math.log(tf.cast(tf.equal(x, 0.0), tf.float32))
