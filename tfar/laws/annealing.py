"""Weights that are functions of the training step, such as the weight of the KL term of a latent-variable model."""

import abc
from typing import Any, Self

import keras
import tensorflow as tf


class Annealing(abc.ABC):
    """A weight as a function of the training step."""

    @abc.abstractmethod
    def __call__(self, step: Any) -> tf.Tensor:
        """Returns the weight, a float32 scalar, at a step, an int or int32 scalar."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates the function from a configuration."""
        return cls(**config)


@keras.saving.register_keras_serializable("tfar")
class LinearAnnealing(Annealing):
    """A weight that rises linearly from `start` to 1 in `num_steps` steps.

    Args:
        num_steps: int.
        start: float. The weight at step 0.

    Example:
        >>> [round(float(LinearAnnealing(10)(step)), 1) for step in (0, 5, 20)]
        [0.0, 0.5, 1.0]
    """

    def __init__(self, num_steps: int, start: float = 0.0) -> None:
        if num_steps < 1:
            raise ValueError(f"Expected `num_steps` of at least 1; received {num_steps!r}.")
        self.num_steps, self.start = int(num_steps), float(start)

    def __call__(self, step: Any) -> tf.Tensor:
        share = tf.minimum(tf.cast(step, tf.float32) / self.num_steps, 1.0)
        return self.start + (1.0 - self.start) * share

    def get_config(self) -> dict[str, Any]:
        return {"num_steps": self.num_steps, "start": self.start}


@keras.saving.register_keras_serializable("tfar")
class LogisticAnnealing(Annealing):
    """A weight that rises from 0 to 1 along a logistic curve.

        weight(step) = sigmoid(rate * (step - midpoint))

    Args:
        midpoint: float. The step at which the weight is one half.
        rate: float.

    References:
        Bowman et al. Generating sentences from a continuous space. CoNLL 2016, section 3.1. https://arxiv.org/abs/1511.06349
    """

    def __init__(self, midpoint: float, rate: float = 0.0025) -> None:
        self.midpoint, self.rate = float(midpoint), float(rate)

    def __call__(self, step: Any) -> tf.Tensor:
        return tf.sigmoid(self.rate * (tf.cast(step, tf.float32) - self.midpoint))

    def get_config(self) -> dict[str, Any]:
        return {"midpoint": self.midpoint, "rate": self.rate}
