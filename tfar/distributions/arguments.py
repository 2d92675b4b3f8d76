"""Arguments that the constructors of the models share, and what is wrong with them."""

import inspect
import numbers
from typing import Any

import keras
import numpy as np

from tfar.heads import Categorical, Head, check_head
from tfar.heads.base import check_positive_int

__all__ = [
    "check_head",
    "check_positive_int",
    "check_rate",
    "checked_conditional_shape",
    "class_inputs",
    "model_config",
    "shape_tuple",
]

# Up to this many classes, each class of a Categorical site is an input of its own by default.
ONE_HOT_CLASSES = 32


def check_rate(name: str, rate: Any) -> float:
    """Returns the share of something that training drops, or raises ValueError if it is no number from 0 to below 1."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0.0 <= float(rate) < 1.0:
        raise ValueError(f"Expected `{name}` to be a number in [0, 1); received {rate!r}.")
    return float(rate)


def class_inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """How a network is fed the values of a head's sites: its arguments `num_classes` and `one_hot`."""
    num_classes = head.num_classes if isinstance(head, Categorical) else None
    if one_hot_inputs is None:
        one_hot_inputs = num_classes is not None and num_classes <= ONE_HOT_CLASSES
    return {"num_classes": num_classes, "one_hot": one_hot_inputs}


def model_config(dist: Any, model: type, **others: Any) -> dict[str, Any]:
    """The configuration of a model: the arguments of its constructor, most of which are its network's.

    Args:
        dist: the distribution.
        model: the class whose constructor it is, of which `type(dist)` may be a subclass.
        **others: those that are neither the network's nor common to all models.
    """
    network = dist.network.get_config()
    common = {
        "head": dist.head,
        "one_hot_inputs": network["one_hot"],
        "jit_compile": dist.jit_compile,
        "name": dist.name,
    }
    known = {**network, **common, **others}
    config = {name: known[name] for name in inspect.signature(model).parameters}
    return {**config, "head": keras.saving.serialize_keras_object(config["head"])}


def shape_tuple(name: str, shape: Any) -> tuple[int, ...]:
    """Turns an int or a sequence of ints of at least 1 into a tuple.

    Raises:
        ValueError: If it is empty or holds something else.
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
    """Turns a conditional shape, `()` for a number, into a tuple or a dict of tuples; None stays None."""
    if shape is None:
        return None
    if isinstance(shape, dict):
        return {key: shape_tuple(f"conditional_shape[{key!r}]", value) for key, value in shape.items()}
    return () if np.ndim(shape) == 1 and len(shape) == 0 else shape_tuple("conditional_shape", shape)
