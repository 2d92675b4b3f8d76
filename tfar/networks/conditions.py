"""Functions of conditional inputs, which are one tensor or a dict of tensors."""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

State = dict[str, tf.Tensor]


def flatten_condition(conditional_input: Any, conditional_shape: Any) -> tf.Tensor:
    """Joins a conditional input, or a dict of them in the order of their names, into features `[B, F]`."""
    if isinstance(conditional_shape, Mapping):
        parts = [(conditional_input[name], conditional_shape[name]) for name in sorted(conditional_shape)]
    else:
        parts = [(conditional_input, conditional_shape)]
    flat = [tf.reshape(tf.cast(part, tf.float32), [-1, math.prod(shape)]) for part, shape in parts]
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=-1)


def condition_size(conditional_shape: Any) -> int:
    """Returns the number of features that `flatten_condition` returns, 0 without a condition."""
    if conditional_shape is None:
        return 0
    shapes = conditional_shape.values() if isinstance(conditional_shape, Mapping) else [conditional_shape]
    return sum(math.prod(shape) for shape in shapes)


def condition_state(conditional_input: Any) -> State:
    """Returns a conditional input as entries of a state, for networks that read it at every step."""
    if isinstance(conditional_input, Mapping):
        return {f"conditional_{name}": value for name, value in conditional_input.items()}
    return {} if conditional_input is None else {"conditional_input": conditional_input}


def condition_of_state(state: State, conditional_shape: Any) -> Any:
    """Returns the conditional input that `condition_state` put into a state."""
    if isinstance(conditional_shape, Mapping):
        return {name: state[f"conditional_{name}"] for name in conditional_shape}
    return state.get("conditional_input")


def named_shapes(conditional_shape: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the parts of a condition by the names that `named_inputs` gives them."""
    if isinstance(conditional_shape, Mapping):
        return {f"condition_{name}": tuple(conditional_shape[name]) for name in sorted(conditional_shape)}
    return {} if conditional_shape is None else {"condition": tuple(conditional_shape)}


def named_inputs(conditional_input: Any, conditional_shape: Any) -> State:
    """Returns the parts of a conditional input in float32, by names that begin with "condition"."""
    if isinstance(conditional_shape, Mapping):
        parts = {f"condition_{name}": conditional_input[name] for name in sorted(conditional_shape)}
    else:
        parts = {} if conditional_shape is None else {"condition": conditional_input}
    return {name: tf.cast(part, tf.float32) for name, part in parts.items()}


def add_condition(x: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
    """Returns features plus the contribution of a condition, in the type of the features."""
    return x + tf.cast(condition, x.dtype)
