"""Weights are read once, before the loops of a law."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def reads_weights_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of a law, with a `network` and a `head`, whose loops see the values of the variables and no variables.

    A loop that reads a variable carries a resource. XLA cannot compile one that `tf.vectorized_map` has made of it.
    Training is not marked, because a layer may update its variables there.
    """

    @functools.wraps(function)
    def wrapper(law: Any, *args: Any, **kwargs: Any) -> Any:
        variables = [*law.network.variables, *law.head.variables]
        with keras.StatelessScope([(variable, tf.convert_to_tensor(variable)) for variable in variables]):
            return function(law, *args, **kwargs)

    return wrapper
