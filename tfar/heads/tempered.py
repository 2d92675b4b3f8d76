"""A head at another temperature."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar.heads.base import Head, is_number
from tfar.heads.wrapper import Wrapper


def _at_temperature(name: str) -> Callable[..., Any]:
    """Returns a method that calls that of the inner head with tempered parameters; the last argument is the site."""

    def method(self: "Tempered", params: tf.Tensor, *arguments: Any) -> Any:
        return getattr(self.head, name)(self.head._tempered(params, self.temperature, arguments[-1]), *arguments)

    return method


class Tempered(Wrapper):
    """The conditionals of a head at a temperature: sharper below 1, flatter above.

        log p(x) = log q(x; tempered(params, T)),    q the density of the head

    Args:
        head: the head. This head takes the same parameters, sites and noise.
        temperature: float or scalar tensor, T > 0.
    """

    def __init__(self, head: Head, temperature: Any, **kwargs: Any) -> None:
        super().__init__(head, **kwargs)
        self.temperature = temperature

    _log_prob = _at_temperature("_log_prob")
    _training_log_prob = _at_temperature("_training_log_prob")
    _sample = _at_temperature("_sample")
    _noise = _at_temperature("_noise")
    _cdf = _at_temperature("_cdf")
    _interval_prob = _at_temperature("_interval_prob")
    _probs = _at_temperature("_probs")
    _mean_variance = _at_temperature("_mean_variance")
    _entropy = _at_temperature("_entropy")
    _mode = _at_temperature("_mode")
    _quantile = _at_temperature("_quantile")


def check_temperature(temperature: Any, head: Head) -> float:
    """Returns a positive finite temperature as a float, or raises ValueError; also if the head does not define `tempered`."""
    count = head.num_sites or 1
    try:
        head.tempered(tf.zeros([count, head.params_size]), 1.0, tf.range(count))
    except NotImplementedError as error:  # of this head, or of one inside
        raise ValueError(f"Expected a head that defines `tempered`; {error}") from error
    if not is_number(temperature) or not 0.0 < temperature < math.inf:
        raise ValueError(f"Expected `temperature` to be a positive number; received {temperature!r}.")
    return float(temperature)
