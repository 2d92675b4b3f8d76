"""Checks of the arguments that the constructors of the models share."""

import numbers
from typing import Any

import keras
import numpy as np

from tfar.heads import Categorical, Head
from tfar.heads.base import check_head as check_head
from tfar.heads.base import check_positive_int

# Largest number of classes for which Categorical sites are one-hot encoded by default.
ONE_HOT_CLASSES = 32


def check_network(network: Any) -> keras.layers.Layer:
    """Returns the network, or raises ValueError if it is not a Keras 3 layer, whose weights can be tracked."""
    if not isinstance(network, keras.layers.Layer):
        of_tf_keras = any(base.__module__.split(".")[0] == "tf_keras" for base in type(network).__mro__)
        raise ValueError(
            "Expected `network` to be a Keras 3 layer or model (`import keras`); received "
            + ("a layer of tf_keras (Keras 2), whose weights would not train." if of_tf_keras else f"{network!r}.")
        )
    return network


def check_rate(name: str, rate: Any) -> float:
    """Returns a dropout rate, or raises ValueError if it is not a number in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0.0 <= float(rate) < 1.0:
        raise ValueError(f"Expected `{name}` to be a number in [0, 1); received {rate!r}.")
    return float(rate)


def class_inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns the arguments `num_classes` and `one_hot` of a network for the sites of a head."""
    num_classes = head.num_classes if isinstance(head, Categorical) else None
    if one_hot_inputs is None:
        one_hot_inputs = num_classes is not None and num_classes <= ONE_HOT_CLASSES
    return {"num_classes": num_classes, "one_hot": one_hot_inputs}


def shape_tuple(name: str, shape: Any) -> tuple[int, ...]:
    """Turns an int or a sequence of ints of at least 1 into a tuple.

    Raises:
        ValueError: If it is empty or contains anything else.
    """
    axes = [shape] if isinstance(shape, int | np.integer) else shape
    try:
        axes = tuple(check_positive_int(name, axis) for axis in axes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `{name}` to be ints of at least 1; received {shape!r}.") from error
    if not axes:
        raise ValueError(f"Expected `{name}` to hold at least one int; received {shape!r}.")
    return axes


def checked_conditional_shape(shape: Any) -> Any:
    """Returns a conditional shape as a tuple or a dict of tuples; None stays None, and `()` is a scalar.

    Raises:
        ValueError: If it is anything else.
    """
    if shape is None:
        return None
    if isinstance(shape, dict):
        if not shape or not all(isinstance(key, str) for key in shape):
            raise ValueError(
                f"Expected `conditional_shape` to be a shape or a dict of named shapes; received {shape!r}."
            )
        return {key: shape_tuple(f"conditional_shape[{key!r}]", value) for key, value in shape.items()}
    return () if isinstance(shape, list | tuple) and not shape else shape_tuple("conditional_shape", shape)
