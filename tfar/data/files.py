"""Data sets from .npy, .npz, .csv, .parquet and .png files, read in constant memory."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfar.data.checks import check_count, check_fractions, check_frames, check_path, check_seed
from tfar.data.columns import Columns, without_labels
from tfar.data.hashing import split_of_rows
from tfar.data.label_readers import label_readers, rows_key
from tfar.data.labels import Labels, checked_labels
from tfar.data.opening import find_files, open_files
from tfar.data.pictures import folder_classes
from tfar.data.readers import Reader
from tfar.data.scan import Values, suit
from tfar.data.sources import Source, StreamSource
from tfar.data.splits import MEMORY_LIMIT, SPLIT_NAMES, DataSplits
from tfar.moments import Moments


def from_files(
    path_or_pattern: str | os.PathLike[str],
    *,
    batch_size: int = 100,
    columns: Columns = None,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    head: str | None = None,
    head_config: dict[str, Any] | None = None,
    key: str | None = None,
    header: bool | None = None,
    delimiter: str = ",",
    missing: bool = False,
    frames: int | None = None,
    condition: str | None = None,
    classes: Sequence[str] | None = None,
    scan: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> DataSplits:
    """Reads rows from files and splits them into train, validation and test rows.

    A hash of (seed, i) determines the split of row i, counted over all files in the order of their names (see
    `hashing.split_of_rows`). The number of rows need not be known, and rows that are appended later do not change the split
    of the earlier rows. If an .npz file has the array train, and valid or test, then these arrays are its splits; a missing
    split is taken from train. So are x_train, x_val and x_test, the names of Keras. A folder stands for the PNG files in it and
    in its subfolders.

    The files are first read once in chunks. This scan checks every cell, counts the rows and chooses the head: `Bernoulli` if
    all values are 0 or 1, `Categorical(max + 1)` if they are integers in 0 … 255, otherwise `NormalMixture(10)`. Shuffle a
    sorted table before if it is too large for `DataSplits.arrays`, because streamed rows are not shuffled.

    Args:
        path_or_pattern: path of a file, or a pattern such as "logs/*.csv" for files of the same type with the same columns, or
            a folder of .png files of one size.
        batch_size: int.
        columns: list of names or indices of the columns to use. None uses all columns.
        valid_fraction: float in [0, 1). Expected fraction of validation rows. 0 makes no validation split.
        test_fraction: float in [0, 1). Expected fraction of test rows. 0 makes no test split.
        seed: int. Seed of the split.
        head: str or None. Name of the head. None chooses it from the values.
        head_config: dict or None. Arguments of the head. None chooses them from the values.
        key: str or None. Name of the array of an .npz file to read and split.
        header: bool or None. Whether a .csv file starts with column names. None detects it.
        delimiter: str. Delimiter of .csv files.
        missing: bool. True: an empty cell, a null or NaN is a value that is not observed, and NaN in the rows. Train on them
            with `observed=~np.isnan(rows)`. False: it is an error.
        frames: int or None. Number of frames T of videos: each folder of .png files is a video, and its first T files, in the
            order of their names, are a row `[T, H, W, C]`. None: each file is a row.
        condition: str or None. Class labels, whole numbers 0, 1, ..., that are read into `DataSplits.labels` and are no part of
            the rows: the name of a column; of an array of an .npz file, "y" for y_train and y_test; or "folder" for pictures,
            whose classes are the names of their folders.
        classes: names of the folders of pictures in the order of their numbers. None means all, sorted.
        scan: bool. False skips the scan, for files that are too large for it. Then `head` is required, the numbers of rows
            are unknown, and an invalid cell raises tf.errors.InvalidArgumentError when it is read.
        memory_limit: int. `DataSplits.arrays` returns None for splits of more bytes.

    Returns:
        `DataSplits` with float32 rows. An .npz file of tables or of matrices is held in memory. Other files are streamed with
        about a megabyte of rows in memory, or one row group of a .parquet file.

    Raises:
        FileNotFoundError: If no file has this path or matches the pattern.
        ValueError: If the suffix is not supported, a file or split is empty, rows differ in length, a cell is missing, NaN
            or text (the message names file, row and column), or an array or column does not exist.
        ImportError: If pyarrow is required but not installed.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "wine.csv"
        >>> _ = path.write_text("ph,alcohol\\n" + "3.2,9.5\\n3.4,10.1\\n" * 50)
        >>> splits = from_files(path, batch_size=20)
        >>> splits.event_shape, splits.head, splits.num_train, splits.num_valid, splits.num_test
        ((2,), 'NormalMixture', 83, 6, 11)
    """
    fractions = check_fractions(valid_fraction, test_fraction)
    for name, value in (("batch_size", batch_size), ("memory_limit", memory_limit)):
        check_count(name, value)
    check_seed(seed)
    check_path("path_or_pattern", path_or_pattern)
    if not isinstance(head, str | None) or not isinstance(head_config, Mapping | None):
        raise ValueError(
            f"head must be the name of a head, and head_config a dict or None; received {head!r} and {head_config!r}"
        )
    check_frames(frames, condition)
    if not scan and condition is not None:
        raise ValueError("condition=… reads labels in the scan: expected scan=True; received False")
    if not scan and head is None:
        raise ValueError("scan=False cannot choose the head from the values: expected head=…; received None")
    paths = find_files(path_or_pattern)
    dialect: dict[str, Any] = {"header": header, "delimiter": delimiter}
    columns = without_labels(paths[0], columns, condition, **dialect)
    key = rows_key(paths[0], key, condition)
    readers = open_files(
        paths, columns=columns, key=key, cells="missing" if missing else "finite", frames=frames, **dialect
    )
    plans = _plan(readers, seed, *fractions)
    is_picture = paths[0].suffix.lower() == ".png"
    values, moments = Values(0.0, 255.0) if is_picture else Values(), Moments(plans["train"].event_shape)
    sizes = _scan(path_or_pattern, plans, values, moments) if scan else {}
    head, head_config = suit(head, head_config, values)
    labels = None
    if condition is not None:
        found = label_readers(paths, condition, key=key, classes=classes, **dialect)
        classes = classes or (folder_classes(paths)[0] if is_picture else None)
        labels = _labels(condition, _plan(found, seed, *fractions), sizes, classes)
    names = plans["train"].readers[0].names
    return DataSplits.from_sources(
        paths[0].stem if len(paths) == 1 else str(path_or_pattern),
        {k: plan.source(sizes.get(k)) for k, plan in plans.items()},
        batch_size=batch_size,
        head=head,
        head_config=head_config,
        description=f"{len(paths)} file(s): {path_or_pattern}",
        memory_limit=memory_limit,
        columns=None if names is None else tuple(names),
        units=moments.loc_and_scale() if scan else None,
        missing=values.missing,
        labels=labels,
    )


def _labels(name: str, plans: dict[str, "_Plan"], sizes: dict[str, int], classes: Sequence[str] | None) -> Labels:
    """Reads the labels of every split."""
    for plan in plans.values():
        if plan.event_shape != (1,):
            shape = ", ".join(map(str, plan.event_shape))
            raise ValueError(
                f"expected the labels {name!r} to be one number for each row; received an array [N, {shape}]"
            )
    values = {split: np.concatenate([np.empty([0, 1], np.float32), *plan.chunks()]) for split, plan in plans.items()}
    for split, size in sizes.items():
        if len(values[split]) != size:
            raise ValueError(f"expected a label {name!r} for each of {size} rows; received {len(values[split])}")
    return checked_labels(name, values, classes)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The rows of one split: the rows for which the hash gives `part`, or all rows if `part` is None."""

    readers: list[Reader]
    part: int | None
    seed: int
    valid_fraction: float
    test_fraction: float

    def chunks(self) -> Iterator[np.ndarray]:
        start = 0
        for reader in self.readers:
            for chunk in reader.chunks():
                if self.part is None:
                    yield chunk
                else:
                    parts = split_of_rows(self.seed, start, len(chunk), self.valid_fraction, self.test_fraction)
                    yield chunk[parts == self.part]
                start += len(chunk)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.readers[0].event_shape

    def source(self, num_rows: int | None) -> Source:
        return StreamSource(self.chunks, self.event_shape, num_rows)


def _plan(readers: dict[str, list[Reader]], seed: int, valid_fraction: float, test_fraction: float) -> dict[str, _Plan]:
    shared = readers.get("all") or readers["train"]
    valid_fraction = 0.0 if "valid" in readers else valid_fraction
    test_fraction = 0.0 if "test" in readers else test_fraction
    plans: dict[str, _Plan] = {k: _Plan(readers[k], None, seed, 0.0, 0.0) for k in ("valid", "test") if k in readers}
    for part, (name, fraction) in enumerate(zip(SPLIT_NAMES, (1.0, valid_fraction, test_fraction), strict=True)):
        if name not in plans and fraction > 0:
            plans[name] = _Plan(shared, part, seed, valid_fraction, test_fraction)
    return plans


def _scan(path: str | os.PathLike[str], plans: dict[str, _Plan], values: Values, moments: Moments) -> dict[str, int]:
    """Reads every split once and returns its number of rows, or raises ValueError if a split is empty."""
    # The units are those of the training rows.
    counts = {n: values.add(plan.chunks(), moments if n == "train" else None) for n, plan in plans.items()}
    if not sum(counts.values()):
        raise ValueError(f"{path}: expected rows of numbers; received none (an empty file)")
    empty = [k for k, n in counts.items() if not n]
    if empty:
        raise ValueError(
            f"{path}: the split {empty[0]} of {sum(counts.values())} rows is empty: add rows, pass another seed, or pass the "
            "fraction 0 to make no such split"
        )
    return counts
