"""The folder of a training run, and how a model is found by the path of its run or of its file."""

import json
from pathlib import Path
from typing import Any

from tfar.cli import models
from tfar.cli.settings import Settings, versions

CONFIG, MODEL, BEST, METRICS = "config.json", "model.keras", "best.weights.h5", "metrics.csv"
FORMAT = 1


def make_head(text: str | None, splits: Any) -> Any:
    """The head that a `--head` such as "NormalMixture:5" names; without one, the head that suits the data.

    Raises:
        ValueError: If there is no such head, or its number is missing or wrong.
    """
    import tfar.heads

    if text is None or text == splits.head:
        return splits.make_head()
    name, *arguments = text.split(":")
    known = [head for head in tfar.heads.__all__ if head != "Head"]
    if name not in known:
        raise ValueError(f"unknown head {text!r}: expected one of {', '.join(known)}, or such as NormalMixture:5")
    try:
        return getattr(tfar.heads, name)(*map(int, arguments))
    except (TypeError, ValueError) as error:
        raise ValueError(f"--head {text}: expected such as Categorical:256 or NormalMixture:5 ({error})") from error


def describe(settings: Settings, splits: Any) -> dict[str, Any]:
    """The content of config.json: the settings, and what the data decided."""
    import keras

    return {
        "format": FORMAT,
        "settings": settings.as_json(),
        "data": {
            "event_shape": list(splits.event_shape),
            "num_rows": {name: getattr(splits, f"num_{name}") for name in ("train", "valid", "test")},
            "description": splits.description,
        },
        "head": keras.saving.serialize_keras_object(make_head(settings.head, splits)),
        "versions": versions(),
    }


def build(config: dict[str, Any]) -> Any:
    """The compiled `DensityModel` of a config.json: no data are needed to make it again."""
    import keras

    import tfar

    settings = Settings.from_json(config["settings"])
    head = keras.saving.deserialize_keras_object(config["head"])
    shape = tuple(config["data"]["event_shape"])
    dist = models.make(settings.model, shape, head, settings.seed, settings.options(), settings.arguments)
    draws = models.VALIDATION_DRAWS if isinstance(dist.network, tfar.networks.OrderlessNetwork) else 0
    model = tfar.training.DensityModel(dist, seed=settings.seed, validation_draws=draws)
    averages = {} if settings.ema is None else {"use_ema": True, "ema_momentum": settings.ema}
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, **averages)
    # A bias is how a value that hardly ever occurs gets its probability: nothing should pull it back.
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


def finish(model: Any) -> None:
    """Puts the moving average in the place of the weights, where the run keeps one."""
    if model.optimizer.use_ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)


def check_new(folder: Path) -> None:
    """Checks that a new run overwrites nothing.

    Raises:
        FileExistsError: If there is something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = (
            "go on with it by --resume, or give another --out" if (folder / CONFIG).exists() else "give another --out"
        )
        raise FileExistsError(f"{folder} exists: {what}")


def check_same_data(folder: Path, config: dict[str, Any]) -> None:
    """Checks that a run goes on with the data it began with.

    Raises:
        ValueError: If their shape, their head or their number differ.
    """
    before = read_config(folder)
    for what, was, came in (
        ("rows of shape", before["data"]["event_shape"], config["data"]["event_shape"]),
        ("numbers of rows", before["data"]["num_rows"], config["data"]["num_rows"]),
        ("the head", _head(before), _head(config)),
    ):
        if was != came:
            raise ValueError(
                f"the data have changed since {folder} was started: expected {what} {was}; received {came}"
            )


def _head(config: dict[str, Any]) -> dict[str, Any]:
    named = ("name", "dtype")
    return {
        "head": config["head"]["class_name"],
        **{k: v for k, v in config["head"]["config"].items() if k not in named},
    }


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a run.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not one that `tfar train` wrote.
    """
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{folder} is not a run of `tfar train`: there is no {path}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise ValueError(f"format {config['format']}")
        Settings.from_json(config["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected what `tfar train` of this version wrote; received {error}") from error
    return config


def find(path: Path) -> Path:
    """Checks that a path is a run or a model file, before TensorFlow is loaded for it.

    Raises:
        FileNotFoundError: If there is nothing, or a run without weights yet.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected the folder of a run or a .keras file")
    if path.is_dir():
        read_config(path)
        if not (path / MODEL).exists() and not (path / BEST).exists():
            raise FileNotFoundError(f"{path} holds no weights yet: go on with `tfar train --out {path} --resume`")
    elif path.suffix != ".keras":
        raise ValueError(f"expected the folder of a run or a .keras file; received {path}")
    return path


def load_dist(path: Path) -> Any:
    """The distribution of a run (of an unfinished one: with its best weights so far) or of a .keras file."""
    import tfar.training

    if not path.is_dir():
        return tfar.training.load(path)
    if (path / MODEL).exists():
        return tfar.training.load(path / MODEL)
    model = build(read_config(path))
    model.load_weights(path / BEST)
    finish(model)
    return model.dist


def limits(dist: Any) -> tuple[float, float] | None:
    """The values of black and of white: the lowest and the highest class; None (by the values) of continuous events."""
    support = dist.head.support()
    return (support.low, support.high) if support.num_values else None
