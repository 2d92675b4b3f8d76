"""Checks of the arguments that the constructors of the models share."""

import numbers
from typing import Any

import keras
import numpy as np

from tfar.heads import Categorical, Head
from tfar.heads.base import check_head as check_head
from tfar.heads.base import check_positive_int
from tfar.networks import AutoregressiveNetwork

# Largest number of classes of a site that is one-hot encoded by default.
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


def check_sites(network: AutoregressiveNetwork, head: Head) -> None:
    """Raises ValueError if the sites of a network and a head differ in number, in shape, or in the size of parameters."""
    if network.params_size != head.params_size or network.site_shape != head.site_shape:
        raise ValueError(
            f"Expected a network with {head.params_size} parameters for a site of shape {head.site_shape}, as "
            f"{type(head).__name__} has; received {network.params_size} for {network.site_shape}."
        )
    if head.num_sites is not None and network.num_sites not in (None, head.num_sites):
        raise ValueError(
            f"Expected an event of {head.num_sites} sites, as {type(head).__name__} has; received one of "
            f"{network.num_sites}."
        )


def check_rate(name: str, rate: Any) -> float:
    """Returns a dropout rate, or raises ValueError if it is not a number in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0.0 <= float(rate) < 1.0:
        raise ValueError(f"Expected `{name}` to be a number in [0, 1); received {rate!r}.")
    return float(rate)


def check_share(name: str, share: Any) -> float:
    """Returns a probability, or raises ValueError if it is not a number in [0, 1]."""
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0.0 <= float(share) <= 1.0:
        raise ValueError(f"Expected `{name}` to be a number in [0, 1]; received {share!r}.")
    return float(share)


def class_inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns the arguments `num_classes` and `one_hot` of a network for sites that share an encoding."""
    num_classes = head.num_classes if isinstance(head, Categorical) else None
    if one_hot_inputs is None:
        one_hot_inputs = num_classes is not None and num_classes <= ONE_HOT_CLASSES
    return {"num_classes": num_classes, "one_hot": one_hot_inputs}


def site_inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns the arguments of a network of which each site may have an encoding of its own.

    These are `num_classes`, `one_hot`, `site_levels` and `initial_params`.
    """
    levels = None
    if head.num_sites is not None and not head.site_shape and one_hot_inputs is not False:
        levels = [list(head.input_levels(site)) for site in range(head.num_sites)]
    initial = head.initial_site_params()
    return {
        **class_inputs(head, one_hot_inputs),
        "site_levels": levels if levels is not None and any(levels) else None,
        "initial_params": head.initial_params() if initial is None else initial,
    }


def shape_tuple(name: str, shape: Any, *, any_length: bool = False) -> tuple[Any, ...]:
    """Turns an int or a sequence of ints of at least 1 into a tuple; with `any_length` the first axis may be None.

    Raises:
        ValueError: If it is empty or contains anything else.
    """
    axes = [shape] if isinstance(shape, int | np.integer) else shape
    try:
        free = [None] if any_length and len(axes) and axes[0] is None else []
        axes = (*free, *(check_positive_int(name, axis) for axis in axes[len(free) :]))
    except (TypeError, ValueError) as error:
        allowed = "ints of at least 1" + (", or None for a first axis of any length" if any_length else "")
        raise ValueError(f"Expected `{name}` to be {allowed}; received {shape!r}.") from error
    if not axes:
        raise ValueError(f"Expected `{name}` to hold at least one int; received {shape!r}.")
    return axes


def checked_conditional_shape(shape: Any, *, any_length: bool = False) -> Any:
    """Returns a conditional shape as a tuple or a dict of tuples; None stays None, and `()` is a scalar, in a dict too.

    With `any_length`, a first axis may be None.

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
        return {key: _scalar_or_shape(f"conditional_shape[{key!r}]", part, any_length) for key, part in shape.items()}
    return _scalar_or_shape("conditional_shape", shape, any_length)


def _scalar_or_shape(name: str, shape: Any, any_length: bool) -> tuple[Any, ...]:
    return () if isinstance(shape, list | tuple) and not shape else shape_tuple(name, shape, any_length=any_length)
