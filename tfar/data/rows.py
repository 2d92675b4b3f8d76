"""Rows of files that may be larger than memory, for scoring: in file order and without checks of their values."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import check_count, check_frames, check_path
from tfar.data.columns import Columns, without_labels
from tfar.data.csv_reader import CSVReader
from tfar.data.label_readers import label_readers, rows_key
from tfar.data.opening import find_files, open_files
from tfar.data.readers import Reader
from tfar.data.sources import StreamSource
from tfar.data.splits import SPLIT_NAMES

_SAMPLE_BYTES = 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class FileRows:
    """All rows of one or more files, in batches. A pass can start at any batch. `open_rows` makes instances.

    Args:
        paths, readers: the files and their readers, in the order in which they are read.
        batch_size: int. Number of rows in a batch. The last batch may be shorter.
        identity: dict of JSON values that identifies the rows: names, sizes and modification times of the files, and the
            options with which they are read.
        labels: the class of each row, as rows `[1]`, or None.
    """

    paths: list[pathlib.Path]
    readers: list[Reader] = dataclasses.field(repr=False)
    batch_size: int
    identity: dict[str, Any] = dataclasses.field(repr=False)
    labels: "FileRows | None" = dataclasses.field(default=None, repr=False)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.readers[0].event_shape

    @property
    def expected_rows(self) -> int:
        """Number of rows. For .csv files it is estimated from the file size and the first megabyte."""
        return sum(_expected_rows(reader) for reader in self.readers)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """Yields chunks of rows, float32 `[n, *event_shape]` of any length n, from row `start` on."""
        for index, reader in enumerate(self.readers):
            count = reader.num_rows
            if isinstance(reader, CSVReader) and start and index + 1 < len(self.readers):
                count = reader.count_rows()
            if count is None or start < count:
                yield from reader.chunks(start)
            start = max(start - (count or 0), 0)

    def batches(self, skip: int = 0) -> Iterator[np.ndarray]:
        """Yields batches, float32 `[B, *event_shape]`, and prefetches the next ones in the background.

        Args:
            skip: int. Number of batches to skip.

        Raises:
            ValueError: If `skip` is negative or no int; during the pass, if rows differ in length or a file is truncated.
        """
        check_count("skip", skip, minimum=0)
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
            if failures:  # The error of tf.data holds a traceback in its message; the original error is readable.
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
    frames: int | None = None,
    condition: str | None = None,
    classes: Sequence[str] | None = None,
) -> FileRows:
    """Opens files for passes over their rows in constant memory.

    The rows are not scanned, split or shuffled. An empty cell becomes NaN and text infinite; neither is an error. The
    arrays train, valid and test of an .npz file are read one after the other in this order.

    Args:
        path_or_pattern: path of a .npy, .npz, .csv or .parquet file, or a pattern such as "logs/*.csv" for files of the same
            type with the same columns, which are read in the order of their names; or a folder of .png files of one size.
        batch_size: int.
        columns: list of names or indices of the columns to use. None uses all columns.
        key: str or None. Name of the array of an .npz file.
        header: bool or None. Whether a .csv file starts with column names. None detects it.
        delimiter: str. Delimiter of .csv files.
        frames: int or None. Number of frames of videos in folders of .png files, as in `from_files`.
        condition: str or None. Class labels beside the rows, as in `from_files`: `FileRows.labels`.
        classes: names of the folders of pictures in the order of their numbers. None means all, sorted.

    Returns:
        `FileRows`.

    Raises:
        FileNotFoundError: If no file has this path or matches the pattern.
        ValueError: If the suffix is not supported, the file does not hold rows of numbers, or an array or column does not
            exist.
        ImportError: If pyarrow is required but not installed.

    Example:
        >>> np.save("rows.npy", np.arange(10.0).reshape([5, 2]))
        >>> rows = open_rows("rows.npy", batch_size=2)
        >>> [batch[:, 0].tolist() for batch in rows.batches(skip=1)]
        [[4.0, 6.0], [8.0]]
    """
    check_count("batch_size", batch_size)
    check_path("path_or_pattern", path_or_pattern)
    paths = find_files(path_or_pattern)
    check_frames(frames, condition)
    columns = without_labels(paths[0], columns, condition, header=header, delimiter=delimiter)
    dialect: dict[str, Any] = {"header": header, "delimiter": delimiter, "cells": "any"}
    groups = open_files(paths, columns=columns, key=rows_key(paths[0], key, condition), frames=frames, **dialect)
    labels = None if condition is None else label_readers(paths, condition, key=key, classes=classes, **dialect)
    stats = [path.stat() for path in paths]
    identity = {
        "files": [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(paths, stats, strict=True)],
        "columns": None if columns is None else list(columns),
        "key": key,
        "header": header,
        "delimiter": delimiter,
        "batch_size": batch_size,
        **({} if frames is None else {"frames": frames}),
        **({} if condition is None else {"condition": condition}),
    }
    rows = FileRows(paths, _in_order(groups), batch_size, identity)
    return (
        rows
        if labels is None
        else dataclasses.replace(rows, labels=dataclasses.replace(rows, readers=_in_order(labels)))
    )


def _in_order(groups: dict[str, list[Reader]]) -> list[Reader]:
    return [reader for name in ("all", *SPLIT_NAMES) for reader in groups.get(name, [])]


def _expected_rows(reader: Reader) -> int:
    if reader.num_rows is not None:
        return reader.num_rows
    with open(reader.path, "rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    lines = max(sample.count(b"\n"), 1)
    header = int(isinstance(reader, CSVReader) and reader.header)
    return max(round(lines * os.path.getsize(reader.path) / max(len(sample), 1)) - header, 1)
