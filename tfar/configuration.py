"""Configurations: the arguments of a constructor, noted when it is called, as plain values and back."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def noted_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a constructor by name, with their defaults, and those of `**kwargs` beside them."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # The constructor raises it with its own message.
        return {}
    bound.apply_defaults()
    arguments = dict(list(bound.arguments.items())[1:])
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name))
    return arguments


def accepts_others(cls: type) -> bool:
    """Returns whether a constructor has `**kwargs`."""
    kinds = [parameter.kind for parameter in inspect.signature(cls.__init__).parameters.values()]  # type: ignore[misc]
    return inspect.Parameter.VAR_KEYWORD in kinds


def serialized(value: Any) -> Any:
    """Returns an argument as a plain value; Keras serialises objects."""
    if isinstance(value, tf.Tensor | np.ndarray):
        return np.asarray(value).tolist()
    if isinstance(value, Mapping):
        return {name: serialized(part) for name, part in value.items()}
    if isinstance(value, list | tuple | range):
        return [serialized(part) for part in value]
    if isinstance(value, np.integer | np.floating):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return keras.saving.serialize_keras_object(value)


def deserialized(value: Any) -> Any:
    """Returns the argument that `serialized` made a plain value."""
    if isinstance(value, Mapping) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, Mapping):
        return {name: deserialized(part) for name, part in value.items()}
    if isinstance(value, list):
        return [deserialized(part) for part in value]
    return value
