"""A head at another temperature."""

import math
from typing import Any

import tensorflow as tf

from tfar.heads.base import Head


class Tempered(Head):
    """The law of a head at a temperature: sharper below 1, flatter above.

        log p(x) = log q(x; tempered(params, T)),    q the law of the head

    Args:
        head: the head; its parameters, sites and noise are those of this one.
        temperature: float, T > 0.

    Raises:
        ValueError: If the temperature is not a positive number, or the head knows no other temperature.
    """

    def __init__(self, head: Head, temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head, self.temperature = head, temperature
        self.site_shape, self.noise_size = head.site_shape, head.noise_size
        self.discrete, self.num_classes, self.lowest = head.discrete, head.num_classes, head.lowest

    @property
    def params_size(self) -> int:
        return self.head.params_size

    def training_params(self, params: Any) -> tf.Tensor:
        return self.head.training_params(params)

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        return self.head._in_support(x)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return self.head._log_prob(self.head.tempered(params, self.temperature), x)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return self.head._sample(self.head.tempered(params, self.temperature), noise)

    def _probs(self, params: tf.Tensor) -> tf.Tensor:
        return self.head._probs(self.head.tempered(params, self.temperature))


def check_temperature(temperature: Any, head: Head) -> float:
    """Returns the temperature as a float.

    Raises:
        ValueError: If it is not a positive finite number, or the head does not define `tempered`.
    """
    if type(head).tempered is Head.tempered:
        raise ValueError(f"Expected a head that defines `tempered`; {type(head).__name__} knows no temperature.")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0.0 < temperature < math.inf:
        raise ValueError(f"Expected `temperature` to be a positive number; received {temperature!r}.")
    return float(temperature)
