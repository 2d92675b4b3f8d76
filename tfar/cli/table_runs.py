"""Runs of `tfar train table`: a `TableModel` in the folder of a run."""

import json
import math
import platform
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tfar import files
from tfar.cli import frames, runs
from tfar.cli.printing import shown
from tfar.cli.quiet import load_tensorflow
from tfar.cli.settings import TABLE, Settings
from tfar.cli.trained_on import SPLIT, located
from tfar.exports import sha256

# Options of `tfar train` that a table does not take.
OTHERS = (
    "key", "header", "frames", "condition", "channel", "chunk_length", "max_words", "order", "num_masks", "head", "standardize",
    "ema",
)  # fmt: skip
HIDDEN_UNITS = (128, 128)
_CLASS = "TableDensityModel"


def is_table(path: Path) -> bool:
    """Returns whether a path is the folder of a run of `tfar train table`, or a .keras file of a `TableModel`."""
    if path.is_dir():
        return runs.is_of_table(path)
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            return False
        try:
            return json.loads(archive.read("config.json")).get("class_name") == _CLASS
        except (ValueError, AttributeError):
            return False


def load(path: Path) -> Any:
    """Loads the `TableModel` of a run that has ended, or of a .keras file."""
    import tfar

    found = path / runs.MODEL if path.is_dir() else path
    if not found.exists():
        raise FileNotFoundError(f"{path} has not ended: continue with `tfar train {TABLE} --out {path} --resume`")
    return tfar.TableModel.load(found)


def check_options(given: set[str]) -> None:
    """Raises ValueError if an option was given that a table does not take."""
    refused = [f"--{name.replace('_', '-')}" for name in OTHERS if name in given]
    if refused:
        raise ValueError(f"{', '.join(refused)}: a table does not take this option; see `tfar train --help`")


def run(settings: Settings, out: Path, *, resume: bool, console: Console) -> Any:
    """Trains a model of a table in a new folder, or continues a run; returns the `TableModel` with its best weights.

    Raises:
        FileExistsError: If a new run is to be made in a folder that contains something.
        BlockingIOError: If another process trains in the folder.
        ValueError: If the file of a resumed run has changed, or cells do not fit a model of a table.
    """
    if not resume:
        runs.check_new(out)
    load_tensorflow()
    path = Path(located(str(settings.data), settings.data_dir))
    df = frames.read(path, columns=settings.columns)
    config = _describe(settings, df, path)
    model = _build(settings, config)
    console.print(
        f"Data: {len(df)} rows. Columns: {shown(', '.join(f'{c.name} ({c.kind})' for c in model.schema.columns))}."
    )
    with files.locked(out):
        if resume:
            _check_same_data(out, config)
        else:
            runs.check_new(out)
        files.sweep(out)
        files.write_json(out / runs.CONFIG, config)
        train, valid, _ = split(df)
        try:
            _fit(model, settings, train, valid, out, console)
        except KeyboardInterrupt:
            console.print(f"Stopped. Continue with: [bold]tfar train {TABLE} --out {shown(out)} --resume[/]")
            raise
        model.save(out / runs.MODEL)
    if len(valid):
        scores = model.log_prob(valid)
        error = scores.std() / math.sqrt(len(scores))
        console.print(
            f"Validation: [bold]{-scores.mean():.3f}[/] nats a row (standard error {error:.3f}), in the units of the data, with "
            "the best weights."
        )
    console.print(f"The run is in [bold]{shown(out)}[/]. Next:")
    console.print(f"  tfar score {shown(out)} {shown(settings.data)} --out scores.csv --explain")
    return model


def split(df: Any) -> list[Any]:
    """Returns the training, validation and test rows, as determined by `SPLIT`."""
    shuffled = np.random.default_rng(SPLIT["seed"]).permutation(len(df))
    valid, test = (int(len(df) * SPLIT[f"{name}_fraction"]) for name in ("valid", "test"))
    parts = np.split(shuffled, [len(df) - valid - test, len(df) - test])
    return [df.iloc[np.sort(part)] for part in parts]


def _describe(settings: Settings, df: Any, path: Path) -> dict[str, Any]:
    """Returns the content of config.json."""
    from tfar.serving import metadata
    from tfar.tables import Schema

    schema = Schema.infer(df, missing=settings.arguments.get("missing", "marginalise"))
    return {
        "format": runs.FORMAT,
        "settings": settings.as_json(),
        "data": {"num_rows": len(df), "sha256": sha256([path]), **SPLIT},
        "schema": schema.get_config(),
        "versions": {"python": platform.python_version(), **metadata.versions()},
    }


def _build(settings: Settings, config: dict[str, Any]) -> Any:
    """Makes the `TableModel` that a config.json describes, compiled."""
    import keras

    import tfar
    from tfar.tables import Schema

    arguments = {name: value for name, value in settings.arguments.items() if name != "missing"}
    hidden_units = settings.hidden_units or HIDDEN_UNITS
    try:
        model = tfar.TableModel(
            Schema.from_config(config["schema"]), hidden_units=hidden_units, seed=settings.seed, **arguments
        )
    except TypeError as error:
        raise ValueError(f"--set: {error}") from error
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.model.compile(optimizer)
    optimizer.build(model.model.trainable_variables)
    return model


def _check_same_data(folder: Path, config: dict[str, Any]) -> None:
    before = runs.read_table_config(folder)
    for what, key in (("a file with the checksum and split", "data"), ("the schema", "schema")):
        if before[key] != config[key]:
            raise ValueError(f"the data have changed since {folder} was started: expected {what} {before[key]}")


def _fit(model: Any, settings: Settings, train: Any, valid: Any, out: Path, console: Console) -> None:
    from tfar import training
    from tfar.cli.progress import EpochBar

    monitor = "val_nll" if len(valid) else "loss"
    model.fit(
        train,
        validation_data=valid if len(valid) else None,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[
            training.Backup(out),
            training.ResumableEarlyStopping(out, monitor=monitor, patience=settings.patience),
            training.MetricsLog(out / runs.METRICS),
            training.BoardLog(out / "tensorboard"),
            EpochBar(settings.epochs, monitor, console),
        ],
    )
