"""Rows of files that are larger than memory, in their order and whatever their values: what `tfar score` reads."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import check_count
from tfar.data.opening import find_files, open_files
from tfar.data.readers import Columns, CSVReader, Reader
from tfar.data.sources import StreamSource
from tfar.data.splits import SPLIT_NAMES

_SAMPLE_BYTES = 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class FileRows:
    """All rows of some files, in batches, from any batch on. Made by `open_rows`.

    Args:
        paths: list of pathlib.Path, in the order in which they are read.
        readers: list of `Reader`, in that order.
        batch_size: int. Rows in a batch; the last one may be shorter.
        identity: dict of plain JSON. What tells these rows from others: names, sizes and times of the files, how they
            are read.
    """

    paths: list[pathlib.Path]
    readers: list[Reader] = dataclasses.field(repr=False)
    batch_size: int
    identity: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.readers[0].event_shape

    @property
    def expected_rows(self) -> int:
        """How many rows there are; of .csv files, how many there seem to be by their size and their first megabyte."""
        return sum(_expected_rows(reader) for reader in self.readers)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """Starts a pass at a row: float32 `[n, *event_shape]`, any n."""
        for index, reader in enumerate(self.readers):
            count = reader.num_rows
            if isinstance(reader, CSVReader) and start and index + 1 < len(self.readers):
                count = reader.count_rows()
            if count is None or start < count:
                yield from reader.chunks(start)
            start = max(start - (count or 0), 0)

    def batches(self, skip: int = 0) -> Iterator[np.ndarray]:
        """Starts a pass at a batch: float32 `[B, *event_shape]`, the next ones read while this one is worked on.

        Args:
            skip: int. How many batches to leave out.

        Raises:
            ValueError: a row of another length, or a file that ends early; as the pass comes to it.
        """
        failures: list[Exception] = []

        def read() -> Iterator[np.ndarray]:
            try:
                yield from self.chunks(skip * self.batch_size)
            except Exception as error:
                failures.append(error)
                raise

        try:
            yield from StreamSource(read, self.event_shape).dataset(self.batch_size).as_numpy_iterator()
        except tf.errors.OpError:
            if failures:  # What tf.data makes of it is the same with a traceback in its message.
                raise failures[0] from None
            raise


def open_rows(
    path_or_pattern: str | os.PathLike[str],
    *,
    batch_size: int = 1000,
    columns: Columns = None,
    key: str | None = None,
    header: bool | None = None,
    delimiter: str = ",",
) -> FileRows:
    """Opens files of rows for one pass in constant memory.

    Nothing is scanned, split or shuffled. A cell that is missing, text or NaN is NaN and no error: the others of its row
    stay as they are, and who reads them decides. The arrays train, valid and test of an .npz file are read in this
    order, one after the other.

    Args:
        path_or_pattern: a .npy, .npz, .csv or .parquet file, or a pattern such as "logs/*.csv" for files of one kind and
            of the same columns, read in the order of their names.
        batch_size: int.
        columns: list of names or indices of the columns to keep; None keeps all.
        key: str or None. Which array of an .npz file.
        header: bool or None. Whether a .csv file starts with names; None finds out.
        delimiter: str, of .csv files.

    Returns:
        `FileRows`.

    Raises:
        FileNotFoundError: no such file, or none that fits the pattern.
        ValueError: another suffix, not numbers in rows, an array or column that is not there.
        ImportError: pyarrow is needed and not installed.

    Example:
        >>> np.save("rows.npy", np.arange(10.0).reshape([5, 2]))
        >>> rows = open_rows("rows.npy", batch_size=2)
        >>> [batch[:, 0].tolist() for batch in rows.batches(skip=1)]
        [[4.0, 6.0], [8.0]]
    """
    check_count("batch_size", batch_size)
    paths = find_files(path_or_pattern)
    groups = open_files(paths, columns=columns, key=key, header=header, delimiter=delimiter, finite=False)
    readers = [reader for name in ("all", *SPLIT_NAMES) for reader in groups.get(name, [])]
    stats = [path.stat() for path in paths]
    identity = {
        "files": [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(paths, stats, strict=True)],
        "columns": None if columns is None else list(columns),
        "key": key,
        "header": header,
        "delimiter": delimiter,
        "batch_size": batch_size,
    }
    return FileRows(paths, readers, batch_size, identity)


def _expected_rows(reader: Reader) -> int:
    if reader.num_rows is not None:
        return reader.num_rows
    with open(reader.path, "rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    lines = max(sample.count(b"\n"), 1)
    header = int(isinstance(reader, CSVReader) and reader.header)
    return max(round(lines * os.path.getsize(reader.path) / max(len(sample), 1)) - header, 1)
