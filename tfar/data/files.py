"""The user's own tables and arrays: .npy, .npz, .csv and .parquet files, streamed in constant memory."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfar.data.checks import check_count, check_fractions, check_seed
from tfar.data.hashing import split_of_rows
from tfar.data.opening import find_files, open_files
from tfar.data.readers import Columns, Reader
from tfar.data.sources import Source, StreamSource
from tfar.data.splits import MEMORY_LIMIT, SPLIT_NAMES, DataSplits

MAX_CLASSES = 256


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
    scan: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> DataSplits:
    """Reads the user's own rows, and splits them where the files do not.

    Row i, counted over all files in the order of their names, goes to a split by a hash of (seed, i)
    (`hashing.split_of_rows`): no length is needed, and rows appended later leave the split of the earlier ones alone.
    An .npz file with the array train, and valid or test, keeps its splits; one that it lacks is taken from train.

    The files are read once at the start, a chunk at a time: this checks every cell, counts the rows and finds the
    suited head: `Bernoulli` if all values are 0 or 1, `Categorical(max + 1)` if they are integers of 0 … 255, else
    `NormalMixture(10)`. A table that is sorted should be shuffled before, if it is too large for
    `DataSplits.arrays`.

    Args:
        path_or_pattern: a file, or a pattern such as "logs/*.csv" for files of one kind and of the same columns.
        batch_size: int.
        columns: list of names or indices of the columns to keep; None keeps all.
        valid_fraction: float in [0, 1). 0 makes no such split.
        test_fraction: float in [0, 1).
        seed: int. Which split.
        head: str or None. The name of another head; its values then come from `head_config`, or from the scan.
        head_config: dict or None. The arguments of the head.
        key: str or None. Which array of an .npz file to read, and to split.
        header: bool or None. Whether a .csv file starts with names; None finds out.
        delimiter: str, of .csv files.
        scan: bool. False skips the first pass, for files that are too large for it: `head` is then needed, sizes are
            unknown, and a bad cell stops the pass that meets it (as tf.errors.InvalidArgumentError).
        memory_limit: int. `DataSplits.arrays` reads a split into memory only below that many bytes.

    Returns:
        A `DataSplits` of float32. A .npz file is in memory; the others are streamed: a pass holds about a megabyte of
        rows (of a .parquet file: a row group).

    Raises:
        FileNotFoundError: no such file, or none that fits the pattern.
        ValueError: another suffix, an empty file or split, rows of another length, a cell that is missing, NaN or text
            (names file, row and column), an array or column that is not there (lists those that are).
        ImportError: pyarrow is needed and not installed.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "wine.csv"
        >>> _ = path.write_text("ph,alcohol\\n" + "3.2,9.5\\n3.4,10.1\\n" * 50)
        >>> splits = from_files(path, batch_size=20)
        >>> splits.event_shape, splits.head, splits.num_train, splits.num_valid, splits.num_test
        ((2,), 'NormalMixture', 83, 6, 11)
    """
    fractions = check_fractions(valid_fraction, test_fraction)
    check_count("batch_size", batch_size)
    check_seed(seed)
    if not scan and head is None:
        raise ValueError("scan=False cannot find the suited head: expected head=…; received None")
    paths = find_files(path_or_pattern)
    readers = open_files(paths, columns=columns, key=key, header=header, delimiter=delimiter)
    plans = _plan(readers, seed, *fractions)
    values = Values()
    sizes = _scan(path_or_pattern, plans, values) if scan else {}
    head, head_config = _suit(head, head_config, values)
    return DataSplits.from_sources(
        paths[0].stem if len(paths) == 1 else str(path_or_pattern),
        {k: plan.source(sizes.get(k)) for k, plan in plans.items()},
        batch_size=batch_size,
        head=head,
        head_config=head_config,
        description=f"{len(paths)} file(s): {path_or_pattern}",
        memory_limit=memory_limit,
    )


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The rows of one split: those of its readers that the hash puts there (`part` None: all of them)."""

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

    def source(self, num_rows: int | None) -> Source:
        return StreamSource(self.chunks, self.readers[0].event_shape, num_rows)


def _plan(readers: dict[str, list[Reader]], seed: int, valid_fraction: float, test_fraction: float) -> dict[str, _Plan]:
    shared = readers.get("all") or readers["train"]
    valid_fraction = 0.0 if "valid" in readers else valid_fraction
    test_fraction = 0.0 if "test" in readers else test_fraction
    plans: dict[str, _Plan] = {k: _Plan(readers[k], None, seed, 0.0, 0.0) for k in ("valid", "test") if k in readers}
    for part, (name, fraction) in enumerate(zip(SPLIT_NAMES, (1.0, valid_fraction, test_fraction), strict=True)):
        if name not in plans and fraction > 0:
            plans[name] = _Plan(shared, part, seed, valid_fraction, test_fraction)
    return plans


def _scan(path: str | os.PathLike[str], plans: dict[str, _Plan], values: "Values") -> dict[str, int]:
    """Reads every split once, and returns how many rows each has: at least one."""
    counts = {name: values.add(plan.chunks()) for name, plan in plans.items()}
    if not sum(counts.values()):
        raise ValueError(f"{path}: expected rows of numbers; received none (an empty file)")
    empty = [k for k, n in counts.items() if not n]
    if empty:
        raise ValueError(
            f"{path}: {sum(counts.values())} rows leave the split {empty[0]} empty: give more rows, another seed, or "
            "a fraction of 0 for a split that is not wanted"
        )
    return counts


@dataclasses.dataclass
class Values:
    """What is known about the values after reading them.

    Args:
        minimum: float.
        maximum: float.
        integral: bool. Whether all are whole numbers.

    Example:
        >>> values = Values(); values.add([np.array([0.0, 3.0])])
        2
        >>> _suit(None, None, values)
        ('Categorical', {'num_classes': 4})
    """

    minimum: float = np.inf
    maximum: float = -np.inf
    integral: bool = True

    def add(self, chunks: Iterator[np.ndarray]) -> int:
        """Takes more rows into account, and returns how many they were."""
        count = 0
        for chunk in chunks:
            count += len(chunk)
            if chunk.size:
                self.minimum = min(self.minimum, float(chunk.min()))
                self.maximum = max(self.maximum, float(chunk.max()))
                self.integral = self.integral and bool((chunk == np.rint(chunk)).all())
        return count


def _suit(head: str | None, head_config: dict[str, Any] | None, values: Values) -> tuple[str, dict[str, Any]]:
    """Completes what the user said about the head by what the values say."""
    levels = int(values.maximum) + 1 if values.integral and 0 <= values.minimum <= values.maximum else None
    if head is None:
        if head_config is not None:
            raise ValueError(f"head_config needs head=…; received {head_config} alone")
        if levels is not None and levels <= 2:
            head = "Bernoulli"
        else:
            head = "Categorical" if levels is not None and levels <= MAX_CLASSES else "NormalMixture"
    if head_config is not None:
        return head, dict(head_config)
    if head == "Categorical" and levels is None:
        raise ValueError(
            "Categorical needs non-negative whole numbers, or head_config={'num_classes': …}; received others"
        )
    configs: dict[str, dict[str, Any]] = {
        "Categorical": {"num_classes": levels},
        "NormalMixture": {"num_components": 10},
    }
    return head, configs.get(head, {})
