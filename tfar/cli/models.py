"""The models of `tfar train`, and how its options become arguments of their constructors."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

MODELS = {
    "made": "MADE",
    "nade": "NADE",
    "rnade": "RNADE",
    "orderless_nade": "OrderlessNADE",
    "any_order_transformer": "AnyOrderTransformer",
    "conv_nade": "ConvNADE",
    "cf_nade": "CFNADE",
    "implicit_cf_nade": "ImplicitCFNADE",
    "pixel_cnn": "PixelCNN",
    "gated_pixel_cnn": "GatedPixelCNN",
    "pixel_cnn_plus_plus": "PixelCNNPlusPlus",
    "multiscale_pixel_cnn": "MultiscalePixelCNN",
    "row_lstm": "RowLSTM",
    "diagonal_bilstm": "DiagonalBiLSTM",
    "spatial_lstm": "SpatialLSTM",
    "video_pixel_network": "VideoPixelNetwork",
    "wavenet": "WaveNet",
    "darn": "DARN",
    "pixel_vae": "PixelVAE",
    "factorized": "Factorized",
    "doc_nade": "DocNADE",
    "doc_nade_lm": "DocNADELanguageModel",
    "recurrent_lm": "RecurrentLanguageModel",
    "sequence_autoencoder": "SequenceAutoencoder",
    "hierarchical_autoencoder": "HierarchicalAutoencoder",
    "sentence_vae": "SentenceVAE",
}
# The heads that a name and whole numbers describe.
HEADS = ("Bernoulli", "Categorical", "NormalMixture", "LaplaceMixture", "DiscretizedLogisticMixture")
HIDDEN_UNITS = (500, 500)
# The log_prob of an orderless model needs one pass for each site, so validation averages this many draws of its objective.
VALIDATION_DRAWS = 4
# The models whose constructor needs the axis of channels, (H, W, C).
NEED_CHANNELS = ("pixel_cnn_plus_plus",)
# The models of sequences of any length, which audio files need.
SEQUENCES = ("wavenet",)
# The models of documents, which take texts and have a vocabulary in place of an event shape.
TEXTS = ("doc_nade", "doc_nade_lm", "recurrent_lm", "sequence_autoencoder", "sentence_vae")
# The models of documents of sentences, which take arrays of words [max_sentences, max_words].
SENTENCES = ("hierarchical_autoencoder",)
# The models of videos, which do not take images.
VIDEOS = ("video_pixel_network",)
# The models that standardise real values themselves.
STANDARDISE = ("rnade",)
# The models of all orders whose log_prob needs a pass for each site.
ORDERLESS = ("orderless_nade", "conv_nade", "cf_nade", "implicit_cf_nade")
# The models of all orders, which take missing values.
ANY_ORDER = (*ORDERLESS, "any_order_transformer")
# The models whose first argument is a number of items. Ratings are the whole numbers from 1 on of the data.
OF_ITEMS = ("cf_nade", "implicit_cf_nade")
MISSING_HINT = (
    "Models that take missing values: orderless_nade, conv_nade for images, any_order_transformer, cf_nade for ratings, and made "
    "with --order random --num-masks fresh. For the others, fill the cells or leave out the rows"
)
# Command line options that only some models take, with the value that means "not set".
OPTIONS: dict[str, Any] = {"hidden_units": None, "order": "natural", "num_masks": 1}
# Constructor arguments that --set cannot change, because the data or another option determine them.
OF_THE_DATA = (
    "event_shape",
    "num_items",
    "num_ratings",
    "vocabulary_size",
    "max_sentences",
    "max_words",
    "counts",
    "head",
    "high",
    "low",
    "conditional_shape",
)
DECIDED = (*OF_THE_DATA, "seed", "name", "network", *OPTIONS)


def make(
    model: str,
    event_shape: tuple[int, ...],
    head: Any,
    seed: int,
    options: Mapping[str, Any],
    arguments: Mapping[str, Any],
    num_classes: int | None = None,
    counts: Sequence[int] | None = None,
) -> Any:
    """Makes the distribution that a run trains.

    Args:
        model: str. A key of `MODELS`.
        event_shape: tuple of int. Shape of a row of the data.
        head: tfar.heads.Head. Conditional distribution of a site.
        seed: int. Seed of the initial weights.
        options: values of the options in `OPTIONS`. An option that is not set is left to the model.
        arguments: other arguments of the constructor, by name.
        num_classes: int or None. Number of classes of the labels that are the condition.
        counts: ints or None. How often each word of the vocabulary occurs in the training texts.

    Raises:
        ValueError: If the model has no such option or argument, or does not accept its value.
    """
    import tfar

    constructor = getattr(tfar, MODELS[model])
    known = inspect.signature(constructor).parameters
    given: dict[str, Any] = {"seed": seed} if "seed" in known else {}
    if num_classes is not None:
        if "conditional_shape" not in known or "network" in known:  # A network for the condition cannot be given here.
            raise ValueError(f"{model} takes no --condition; choose another model, such as made")
        given["conditional_shape"] = [num_classes]
    values = {**given, **_of_options(model, options, known), **_checked(model, arguments, known)}
    try:
        if model in TEXTS:
            known_counts = {"counts": counts} if "counts" in known else {}
            return constructor(head.support().num_values, **known_counts, **values)
        if model in SENTENCES:
            return constructor(_num_words(model, head), *_sizes_of_documents(model, event_shape), **values)
        if model in VIDEOS:
            _refuse_images(model, event_shape)
        if "head" in known:
            return constructor(event_shape, head=head, **values)
        first = _num_items(model, event_shape) if model in OF_ITEMS else event_shape
        return constructor(first, **_of_values(model, head, known), **values)
    except TypeError as error:
        raise ValueError(f"tfar.{MODELS[model]} does not accept these arguments: {error}") from error


def event_shape(model: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the event shape of a model of rows of a shape: images without an axis of channels get one if the model needs it.

    Example:
        >>> event_shape("pixel_cnn_plus_plus", (28, 28)), event_shape("made", (28, 28))
        ((28, 28, 1), (28, 28))
    """
    return (*shape, 1) if model in NEED_CHANNELS and len(shape) == 2 else shape


def takes_head(model: str) -> bool:
    """Whether the head of a model can be chosen."""
    import tfar

    return "head" in inspect.signature(getattr(tfar, MODELS[model])).parameters


def takes_missing(model: str, order: str, num_masks: int | None) -> bool:
    """Whether a model takes rows of which any values are missing: it serves any order."""
    return model in ANY_ORDER or (model == "made" and order == "random" and num_masks is None)


def _of_options(model: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Returns the options as arguments of the constructor."""
    found = {}
    for name, value in options.items():
        if name not in known:
            if value != OPTIONS[name]:
                shown = "fresh" if value is None else value
                raise ValueError(f"{model} has no option --{name.replace('_', '-')}; received {shown}")
        elif value is not None or name != "hidden_units":
            found[name] = value
        elif known[name].default is inspect.Parameter.empty:
            found[name] = HIDDEN_UNITS
    if isinstance(getattr(known.get("hidden_units"), "default", None), int) and "hidden_units" in found:
        units = found["hidden_units"]
        if len(units) != 1:
            raise ValueError(f"{model} has one hidden layer: expected one number for --hidden-units; received {units}")
        found["hidden_units"] = units[0]
    return found


def _checked(model: str, arguments: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Returns the arguments after checking that the constructor has all of them."""
    names = [name for name in known if name not in DECIDED]
    for name in arguments:
        if name not in names:
            raise ValueError(
                f"--set: expected an argument of tfar.{MODELS[model]}: {', '.join(names)}; received {name}"
            )
    return dict(arguments)


def _num_items(model: str, event_shape: tuple[int, ...]) -> int:
    """Returns the number of items of rows of ratings."""
    if len(event_shape) != 1:
        raise ValueError(f"{model} takes tables with a column for each item; received events of shape {event_shape}")
    return event_shape[0]


def _num_words(model: str, head: Any) -> int:
    """Returns the number of words of documents of whole numbers from 0."""
    support = head.support()
    if support.num_values is None or support.low != 0.0:
        raise ValueError(f"{model} needs whole numbers from 0; the values of {type(head).__name__} are {support}")
    return support.num_values


def _sizes_of_documents(model: str, event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the number of sentences of a document and of words of a sentence."""
    if len(event_shape) != 2:
        raise ValueError(f"{model} takes documents [sentences, words]; received events of shape {event_shape}")
    return event_shape


def _refuse_images(model: str, event_shape: tuple[int, ...]) -> None:
    """Raises ValueError if rows are images: a model of videos would take their height for time."""
    from tfar.training.logs import is_image

    if is_image(event_shape):
        raise ValueError(
            f"{model} takes videos [T, H, W] or [T, H, W, C]; received images of shape {event_shape}. Folders of .png files are "
            "videos with --frames T"
        )


def _of_values(model: str, head: Any, known: Mapping[str, inspect.Parameter]) -> dict[str, int]:
    """Returns the value range of the data as arguments of a model that chooses its head itself; one of bits has none.

    Raises:
        ValueError: If the model does not take such values.
    """
    support = head.support()
    if support.num_values is None:
        raise ValueError(
            f"{model} needs a finite range of whole numbers; the values of {type(head).__name__} are {support}"
        )
    if "num_ratings" in known:
        return {"num_ratings": int(support.high)}
    if "high" not in known:
        if support.num_values != 2:
            raise ValueError(f"{model} needs bits; the values of {type(head).__name__} are {support}")
        return {}
    return {"low": int(support.low), "high": int(support.high)}


def parse_arguments(texts: list[str]) -> dict[str, Any]:
    """Parses texts NAME=VALUE, where a value is JSON or else a string.

    Example:
        >>> parse_arguments(["filters=[16, 16]", "activation=tanh"])
        {'filters': [16, 16], 'activation': 'tanh'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"expected --set NAME=VALUE, such as --set num_blocks=5; received {text!r}")
        if name in found:
            raise ValueError(f"--set: expected each name once; received {name} twice")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
