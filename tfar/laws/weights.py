"""Decorator that reads the weights once, before the loops of a law."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def reads_weights_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a method of a law with a `network` and a `head`, so that its loops use values instead of variables.

    A loop that reads a variable captures a resource. XLA cannot compile the loop that `tf.vectorized_map` makes from
    it. Training methods are not decorated, because a layer may update its variables in training.
    """

    @functools.wraps(function)
    def wrapper(law: Any, *args: Any, **kwargs: Any) -> Any:
        variables = [*law.network.variables, *law.head.variables]
        with keras.StatelessScope([(variable, tf.convert_to_tensor(variable)) for variable in variables]):
            return function(law, *args, **kwargs)

    return wrapper
