"""Input rows of the commands: of a named data set or of the user's own files, in the form that the model expects."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfar.cli.trained_on import TrainedOn, fingerprint, located

SPLITS = ("train", "valid", "test", "all")


class Batch(NamedTuple):
    """Rows, float32 `[B, *event_shape]` with NaN where a value is missing, and their condition or None."""

    value: np.ndarray
    condition: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Reading:
    """The options of the commands that say how files are read; None where an option is not given."""

    columns: Sequence[str | int] | None = None
    key: str | None = None
    header: bool | None = None


@dataclasses.dataclass(frozen=True)
class Rows:
    """The opened rows.

    Args:
        batches: the batches, which can be read once.
        count: number of rows, or None if unknown.
        split: name of the split.
        is_held_out: whether the rows are the test rows of the files that the model was trained on.
    """

    batches: Iterable[Batch]
    count: int | None
    split: str
    is_held_out: bool


def read_rows(
    data: str,
    event_shape: tuple[int, ...],
    split: str | None,
    data_dir: Path | None,
    batch_size: int,
    trained: TrainedOn | None = None,
    reading: Reading | None = None,
    prefer_held_out: bool = False,
) -> Rows:
    """Opens the rows of a data set or of files.

    Args:
        data: str. Name of a data set or path of files.
        event_shape: tuple of int. Event shape of the model. Rows with the same number of values are reshaped to it.
        split: str or None. "train", "valid", "test" or, for files, "all". Default: "test", and "all" for files.
        data_dir: folder of data sets, or None.
        batch_size: int.
        trained: what the model knows of its data: columns are matched by name, and labels are read.
        reading: options of the command.
        prefer_held_out: bool. Whether the default is "test" for the files that the model was trained on.
    """
    import tfar.data
    from tfar.data.opening import is_files

    trained, reading = trained or TrainedOn(), reading or Reading()
    of_files = data not in tfar.data.names() and is_files(located(data, data_dir))
    is_known = of_files and is_training_data(data, data_dir, trained, reading)
    if is_known and trained.files is not None:
        reading = Reading(*(trained.files[field.name] for field in dataclasses.fields(Reading)))
    split = split or ("all" if of_files and not (is_known and prefer_held_out) else "test")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if split == "all" and not of_files:
        raise ValueError(f"expected --split train, valid or test for {data}; only a file has 'all'")
    options = file_options(data, data_dir, trained, reading, event_shape) if of_files else {}
    fractions: dict[str, Any] = {"valid_fraction": 0.0, "test_fraction": 0.0} if split == "all" else {}
    splits = tfar.data.load(data, data_dir=data_dir, batch_size=batch_size, **options, **fractions)
    names = [split] if split != "all" else [name for name in SPLITS[:3] if getattr(splits, name) is not None]
    if getattr(splits, names[0]) is None:
        raise ValueError(f"{data} has no {split} rows")
    if np.prod(splits.event_shape) != np.prod(event_shape):
        columns = f" (columns {', '.join(splits.columns)})" if splits.columns else ""
        raise ValueError(
            f"expected rows of shape {event_shape}, the event shape of the model; {data} has {splits.event_shape}{columns}"
        )
    sizes = [getattr(splits, f"num_{name}") for name in names]
    count = None if None in sizes else sum(sizes)
    return Rows(_batches(splits, names, event_shape, trained), count, split, is_known and split == "test")


def fixed_shape(dist: Any) -> tuple[int, ...]:
    """Returns the event shape of a model of rows, or raises ValueError if its events have any length."""
    shape = tuple(dist.event_shape)
    if None in shape:
        raise ValueError(
            f"expected a model whose events have one shape; received one of events {shape}. Load it in Python by tfar.load"
        )
    return shape


def check_no_options(reading: Reading, observed: str | None, what: str) -> None:
    """Raises ValueError if an option of tables and images is given for other data, such as texts."""
    if observed is not None or reading != Reading():
        raise ValueError(f"--observed, --columns, --key, --header: expected a table or images; received {what}")


def is_training_data(data: str, data_dir: Path | None, trained: TrainedOn, reading: Reading) -> bool:
    """Whether files have the content of those that the model was trained on, under whatever name, and are read alike."""
    if trained.files is None or fingerprint(data, data_dir) != trained.files["sha256"]:
        return False
    given = {name: value for name, value in dataclasses.asdict(reading).items() if value is not None}
    return all(trained.files[name] == value for name, value in given.items())


def file_options(
    data: str, data_dir: Path | None, trained: TrainedOn, reading: Reading, event_shape: Sequence[int]
) -> dict[str, Any]:
    """Returns the options of `tfar.data.from_files` with which a model reads files."""
    from tfar.data.columns import matched
    from tfar.data.opening import find_files

    paths, columns = find_files(located(data, data_dir)), reading.columns
    if columns is None and trained.columns is not None:
        columns = matched(paths, trained.columns, header=reading.header)
    return {
        "columns": columns,
        "key": reading.key,
        "header": reading.header,
        "frames": num_frames(paths, event_shape),
        "missing": True,
        "condition": trained.label,
        "classes": trained.classes,
    }


def num_frames(paths: Sequence[Path], event_shape: Sequence[int]) -> int | None:
    """Returns T if the events of a model are videos `[T, H, W, C]` and the files are pictures, else None."""
    return event_shape[0] if len(event_shape) == 4 and paths[0].suffix.lower() == ".png" else None


def _batches(splits: Any, names: list[str], event_shape: tuple[int, ...], trained: TrainedOn) -> Iterator[Batch]:
    from tfar.data.labels import one_hot

    for name in names:
        first = 0
        for batch in getattr(splits, name).as_numpy_iterator():
            condition = None
            if trained.condition is not None:
                labels = splits.labels.splits[name][first : first + len(batch)] if splits.labels else None
                if labels is None:
                    raise ValueError(f"the model needs the labels {trained.label!r}, which {splits.name} does not have")
                condition = one_hot(labels, trained.condition["num_classes"])
            yield Batch(batch.reshape([-1, *event_shape]), condition)
            first += len(batch)
