"""The folder of a training run, and how a model is found by the path of its run or of its file."""

import math
import platform
from pathlib import Path
from typing import Any

from tfar import files, model_files
from tfar.cli import audio, models
from tfar.cli.settings import TABLE, Settings
from tfar.cli.trained_on import TrainedOn

CONFIG, MODEL, METRICS, JOURNAL = "config.json", model_files.RUN_MODEL, "metrics.csv", "journal.json"
FORMAT = 2
WRITTEN = "the config.json of a run of `tfar train` of this version"


def make_head(settings: Settings, splits: Any) -> Any:
    """Makes the head of a run. A head of real values is standardised, unless the settings or the model say otherwise.

    Raises:
        ValueError: If there is no such head, its number is missing or wrong, or float32 is too coarse for a column.
    """
    import tfar.heads
    from tfar.data import AudioSplits, TextSplits

    if isinstance(splits, TextSplits):
        return tfar.heads.Categorical(splits.vocabulary.size)
    if isinstance(splits, AudioSplits):
        return audio.make_head(settings.head, splits)
    head = _named_head(settings.head, splits)
    raw = head.discrete or splits.units is None or settings.model in models.STANDARDISE
    if raw or not settings.standardize or isinstance(head, tfar.heads.Standardized):
        return head
    loc, scale = splits.units
    _check_units(splits.columns, loc, scale)
    return tfar.heads.Standardized(head, models.event_shape(settings.model, splits.event_shape), loc, scale)


def _check_units(columns: Any, loc: Any, scale: Any) -> None:
    """Raises ValueError, which names the column, if float32 is too coarse for its values."""
    from tfar.layers.standardization import checked_units

    for name, mean, deviation in zip(columns or (), loc, scale, strict=bool(columns)):
        try:
            checked_units(mean, deviation)
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from error


def _named_head(text: str | None, splits: Any) -> Any:
    """Makes the head that a `--head` such as "NormalMixture:5" names, or without one the head that suits the data."""
    import tfar.heads

    if text is None or text == splits.head:
        return splits.make_head()
    name, *arguments = text.split(":")
    if name not in models.HEADS:
        raise ValueError(
            f"unknown head {text!r}: expected one of {', '.join(models.HEADS)}, with a size: NormalMixture:5"
        )
    try:
        return getattr(tfar.heads, name)(*map(int, arguments))
    except (TypeError, ValueError) as error:
        raise ValueError(f"--head {text}: expected such as Categorical:256 or NormalMixture:5 ({error})") from error


def describe(settings: Settings, splits: Any, trained: TrainedOn) -> dict[str, Any]:
    """Returns the content of config.json: the settings, what the data decided, and what later commands need of the data."""
    import keras

    from tfar.serving import metadata

    return {
        "format": FORMAT,
        "settings": settings.as_json(),
        "data": {
            "event_shape": list(models.event_shape(settings.model, splits.event_shape)),
            "num_rows": splits.num_rows,
            "description": splits.description,
            **trained.as_json(),
        },
        "head": keras.saving.serialize_keras_object(make_head(settings, splits)),
        "versions": {"python": platform.python_version(), **metadata.versions()},
    }


def build(config: dict[str, Any]) -> Any:
    """Makes the compiled `DensityModel` that a config.json describes; the data are not needed."""
    import keras

    import tfar

    settings = Settings.from_json(config["settings"])
    head = keras.saving.deserialize_keras_object(config["head"])
    shape = tuple(config["data"]["event_shape"])
    condition = config["data"]["condition"]
    classes = None if condition is None else condition["num_classes"]
    counts = (config["data"]["text"] or {}).get("counts")
    given = (settings.options(), settings.arguments, classes, counts)
    dist = models.make(settings.model, shape, head, settings.seed, *given)
    draws = models.VALIDATION_DRAWS if settings.model in models.ORDERLESS else 0
    model = tfar.training.DensityModel(dist, seed=settings.seed, validation_draws=draws)
    averages = {} if settings.ema is None else {"use_ema": True, "ema_momentum": settings.ema}
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, **averages)
    # Weight decay would keep biases from giving rare values their small probabilities.
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


def finish(model: Any) -> None:
    """Replaces the weights by their moving average, if the run keeps one."""
    if model.optimizer.use_ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)


def check_new(folder: Path) -> None:
    """Raises FileExistsError if the folder of a new run contains something."""
    if folder.exists() and not (folder.is_dir() and files.is_empty(folder)):
        what = (
            "go on with it by --resume, or give another --out" if (folder / CONFIG).exists() else "give another --out"
        )
        raise FileExistsError(f"{folder} exists: {what}")


def check_same_data(folder: Path, config: dict[str, Any]) -> None:
    """Raises ValueError if the rows or the head of a resumed run are not those with which it was started."""
    before = read_config(folder)
    for what, was, came in (
        ("rows of shape", before["data"]["event_shape"], config["data"]["event_shape"]),
        ("numbers of rows", before["data"]["num_rows"], config["data"]["num_rows"]),
        ("the columns", before["data"]["columns"], config["data"]["columns"]),
        ("the condition", before["data"]["condition"], config["data"]["condition"]),
        ("the vocabulary", before["data"].get("text"), config["data"]["text"]),
        ("the audio", before["data"].get("audio"), config["data"]["audio"]),
        ("the head", _head(before), _head(config)),
        ("the files with the checksum and split", before["data"]["files"], config["data"]["files"]),
    ):
        if was != came:
            raise ValueError(
                f"the data have changed since {folder} was started: expected {what} {was}; received {came}"
            )


def _head(config: dict[str, Any]) -> dict[str, Any]:
    return {"head": config["head"]["class_name"], **_unnamed(config["head"]["config"])}


def _unnamed(config: Any) -> Any:
    """Returns a configuration without the names and dtypes of layers, which are not settings of a run."""
    if not isinstance(config, dict):
        return config
    return {key: _unnamed(value) for key, value in config.items() if key not in ("name", "dtype")}


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the config.json of a run; FileNotFoundError if there is none, ValueError if `tfar train` did not write it."""
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{folder} is not a run of `tfar train`: there is no {path}")
    with model_files.reading(path, WRITTEN):
        config = model_files.read_json(path, WRITTEN)
        if config["format"] != FORMAT:
            raise ValueError(f"format {config['format']}")
        settings = Settings.from_json(config["settings"])
    if settings.model == TABLE:
        raise ValueError(
            f"{folder} is a run of `tfar train {TABLE}`: expected one of the commands score, complete and query, or "
            "tfar.TableModel.load in Python"
        )
    with model_files.reading(path, WRITTEN):
        shape = config["data"]["event_shape"]
        sizes = shape[1:] if shape[:1] == [None] else shape  # Recordings have any length.
        if not all(isinstance(size, int) and size > 0 for size in sizes) or math.prod(sizes) > model_files.MAX_VALUES:
            raise ValueError(f"event_shape {shape}")
        _head(config)
        TrainedOn.from_json(config["data"])
    return config


def read_table_config(folder: Path) -> dict[str, Any]:
    """Reads the config.json of a run of `tfar train table`; FileNotFoundError if there is none, ValueError if it is another."""
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{folder} is not a run of `tfar train`: there is no {path}")
    with model_files.reading(path, WRITTEN):
        config = model_files.read_json(path, WRITTEN)
        if config["format"] != FORMAT or config["settings"]["model"] != TABLE:
            raise ValueError(f"format {config['format']} of the model {config['settings']['model']}")
        Settings.from_json(config["settings"])
    return config


def is_of_table(folder: Path) -> bool:
    """Returns whether a folder is that of a run of `tfar train table`."""
    path = folder / CONFIG
    return path.exists() and model_files.read_json(path, WRITTEN).get("settings", {}).get("model") == TABLE


def trained_on(path: Path) -> TrainedOn:
    """Returns what a model knows of its data: from the run folder, or from the one that holds the .keras file."""
    folder = path if path.is_dir() else path.parent
    if path == folder or (path.name == MODEL and (folder / CONFIG).exists()):
        return TrainedOn.from_json(read_config(folder)["data"])
    return TrainedOn()


def find(path: Path) -> Path:
    """Checks that a path is a run with weights or a .keras file, before TensorFlow is loaded for it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected the folder of a run or a .keras file")
    if path.is_dir():
        read_config(path)
        if not (path / MODEL).exists() and not (path / JOURNAL).exists():
            raise FileNotFoundError(f"{path} has no weights yet: continue with `tfar train --out {path} --resume`")
    elif path.suffix != ".keras":
        raise ValueError(f"expected the folder of a run or a .keras file; received {path}")
    return path


def load_dist(path: Path) -> Any:
    """Loads the distribution of a run (of an unfinished one, with its best weights so far) or of a .keras file."""
    import tfar.training

    if not path.is_dir():
        return tfar.training.load(path)
    if (path / MODEL).exists():
        return tfar.training.load(path / MODEL)
    config = read_config(path)
    with model_files.reading(path / CONFIG, WRITTEN):
        model = build(config)
    model.load_weights(path / _best_weights(path))
    finish(model)
    return model.dist


def _best_weights(folder: Path) -> str:
    """The name of the best weights that the journal of an unfinished run mentions."""
    from tfar.training import run_folder

    journal = run_folder.read_journal(folder)
    if journal is None:
        raise FileNotFoundError(f"{folder} has no weights yet: continue with `tfar train --out {folder} --resume`")
    with model_files.reading(folder / JOURNAL, "the journal of a training run"):
        stopping = journal["callbacks"].get("ResumableEarlyStopping", {})
        return run_folder.file_name(stopping.get("weights", journal["weights"]))


def limits(dist: Any) -> tuple[float, float] | None:
    """Returns the values of black and white: the lowest and the highest class; None, to take them from the images, otherwise."""
    support = dist.head.support()
    return (support.low, support.high) if support.num_values else None
