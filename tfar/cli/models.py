"""The models that `tfar train` makes, and what its options mean to each of them."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

MODELS = {
    "made": "MADE",
    "nade": "NADE",
    "rnade": "RNADE",
    "orderless_nade": "OrderlessNADE",
    "conv_nade": "ConvNADE",
    "pixel_cnn": "PixelCNN",
    "gated_pixel_cnn": "GatedPixelCNN",
    "pixel_cnn_plus_plus": "PixelCNNPlusPlus",
}
HIDDEN_UNITS = (500, 500)
# Of orderless models, whose log_prob takes a pass for each site: the draws of the objective that validation averages.
VALIDATION_DRAWS = 4
# Options of their own, with the values that say nothing; and arguments that the data, or another option, decide.
OPTIONS: dict[str, Any] = {"hidden_units": None, "order": "natural", "num_masks": 1}
DECIDED = ("event_shape", "head", "high", "low", "seed", "name", "conditional_shape", *OPTIONS)


def make(
    model: str,
    event_shape: tuple[int, ...],
    head: Any,
    seed: int,
    options: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Any:
    """The distribution that a run trains.

    Args:
        model: a key of MODELS.
        event_shape: of the data.
        head: of a site.
        seed: of the weights.
        options: values of OPTIONS; those that say nothing leave it to the model.
        arguments: others of the model's constructor, by name.

    Raises:
        ValueError: If the model takes no such option or argument, or refuses its value.
    """
    import tfar

    constructor = getattr(tfar, MODELS[model])
    known = inspect.signature(constructor).parameters
    values = {"seed": seed, **_of_options(model, options, known), **_checked(model, arguments, known)}
    try:
        if "head" in known:
            return constructor(event_shape, head=head, **values)
        return constructor(event_shape, **_levels(model, head), **values)
    except TypeError as error:
        raise ValueError(f"tfar.{MODELS[model]} refuses its arguments: {error}") from error


def _of_options(model: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The options as arguments of a constructor."""
    found = {}
    for name, value in options.items():
        if name not in known:
            if value != OPTIONS[name]:
                shown = "fresh" if value is None else value
                raise ValueError(f"--{name.replace('_', '-')} means nothing to {model}; received {shown}")
        elif value is not None or name != "hidden_units":
            found[name] = value
        elif known[name].default is inspect.Parameter.empty:
            found[name] = HIDDEN_UNITS
    if isinstance(getattr(known.get("hidden_units"), "default", None), int) and "hidden_units" in found:
        units = found["hidden_units"]
        if len(units) != 1:
            raise ValueError(f"{model} has one hidden layer: expected one number of --hidden-units; received {units}")
        found["hidden_units"] = units[0]
    return found


def _checked(model: str, arguments: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The arguments, if the constructor takes them all."""
    names = [name for name in known if name not in DECIDED]
    for name in arguments:
        if name not in names:
            raise ValueError(f"--set {name}: expected an argument of tfar.{MODELS[model]} out of {', '.join(names)}")
    return dict(arguments)


def _levels(model: str, head: Any) -> dict[str, int]:
    """The lowest and the highest value, for a model that has a head of its own for them."""
    support = head.support()
    if support.num_values is None:
        raise ValueError(f"{model} needs images of whole numbers; received a {type(head).__name__} head")
    return {"low": int(support.low), "high": int(support.high)}


def parse_arguments(texts: list[str]) -> dict[str, Any]:
    """Turns ["filters=32", "activation=tanh"] into {"filters": 32, "activation": "tanh"}.

    A value is read as JSON, and is itself if it is none.

    Raises:
        ValueError: If one has no name, or a name comes twice.

    Example:
        >>> parse_arguments(["filters=[16, 16]", "use_residual=false"])
        {'filters': [16, 16], 'use_residual': False}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"expected --set NAME=VALUE, such as --set num_blocks=5; received {text!r}")
        if name in found:
            raise ValueError(f"--set {name} was given twice")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
