"""Readers of one file each: they check its columns and yield its rows in chunks of float32.

A pass holds one chunk at a time (of a Parquet file: one row group). `Cells` says which cells a reader accepts; for another cell
a ValueError names the file, the row and the column.
"""

import itertools
import math
import pathlib
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np

from tfar.data.columns import Columns, pick_columns
from tfar.model_files import reading
from tfar.optional import require

# The cells that a reader accepts: "finite": finite numbers. "missing": also empty cells, nulls and NaN, all of which become NaN.
# "any": every cell; an empty one becomes NaN, and one that is no number infinite.
Cells = Literal["finite", "missing", "any"]
CHUNK_BYTES = 2**20
# What to do about text in a table.
WAY_OUT = "Encode text as whole numbers (0, 1, 2, ...), or choose the other columns by columns=… (--columns)"
NPY = "an array of numbers in NumPy's .npy format"


class MissingCellError(ValueError):
    """A cell is empty, null or NaN in a table that must be complete."""


class Reader(Protocol):
    """One file of rows."""

    path: pathlib.Path
    event_shape: tuple[int, ...]
    names: list[str] | None  # Names of the columns of a row, if the file has them.
    num_rows: int | None  # None if it takes a pass over the file to count them.

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """Yields chunks of rows, float32 `[n, *event_shape]`, in file order from row `start` on."""


def chunk_rows(event_shape: tuple[int, ...]) -> int:
    """Returns the number of rows to read at once, which take about a megabyte."""
    return int(np.clip(CHUNK_BYTES // (4 * max(math.prod(event_shape), 1)), 1, 4096))


def as_float32(chunk: np.ndarray, path: pathlib.Path, first_row: int, cells: Cells = "finite") -> np.ndarray:
    """Casts a chunk to float32, or raises ValueError if it has a value that is not accepted. Rows are counted from 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(chunk, np.float32)
    if cells == "any":
        return values
    bad = np.isinf(values) if cells == "missing" else ~np.isfinite(values)
    if bad.any():
        row, *column = (int(i) for i in np.argwhere(bad)[0])
        where = f", column {column[0] if len(column) == 1 else column}" if column else ""
        kind = MissingCellError if np.isnan(values[(row, *column)]) else ValueError
        raise kind(
            f"{path}: expected finite numbers in the range of float32; received {chunk[(row, *column)]} "
            f"in row {first_row + row}{where} (counted from 0)"
        )
    return values


class ArrayReader:
    """Reads an array `[N, ...]` that is in memory or mapped from a .npy file. An array `[N]` is read as one column.

    Args:
        path: pathlib.Path, for messages.
        array: np.ndarray of numbers, with values in each row.
        columns: indices of the columns to keep, of a table `[N, D]`. None keeps all.
        cells: which values are accepted.
    """

    names: list[str] | None = None

    def __init__(
        self, path: pathlib.Path, array: np.ndarray, columns: Columns = None, *, cells: Cells = "finite"
    ) -> None:
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path}: expected an array of numbers; received {array.dtype}")
        if array.ndim == 0:
            raise ValueError(f"{path}: expected an array [N, …]; received a scalar")
        if 0 in array.shape[1:]:
            # Such an array takes no bytes for any number of rows, so a pass over a tiny file could last for ever.
            raise ValueError(f"{path}: expected rows with values; received an array of shape {array.shape}")
        self.path = path
        self.cells: Cells = cells
        self.array = array[:, None] if array.ndim == 1 else array
        self.num_rows: int | None = len(array)
        self.columns: Any = slice(None)
        if columns is not None:
            if self.array.ndim != 2:
                raise ValueError(f"{path}: columns need a table [N, D]; received an array of shape {array.shape}")
            self.columns = pick_columns(path, columns, None, self.array.shape[1])
        self.event_shape = (len(self.columns),) if columns is not None else tuple(self.array.shape[1:])

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        for first, part in self._parts(start, chunk_rows(self.array.shape[1:])):
            yield as_float32(part[:, self.columns], self.path, first, self.cells)

    def _parts(self, start: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, len(self.array), size):
            yield first, self.array[first : first + size]


def open_npy(path: pathlib.Path, columns: Columns = None, *, cells: Cells = "finite") -> ArrayReader:
    """Maps a .npy file into memory, so that a pass loads only the chunk that it reads."""
    with reading(path, NPY):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return ArrayReader(path, array, columns, cells=cells)


class ParquetReader:
    """Reads a Parquet table of numbers by row groups; `columns` and `cells` are as in `CSVReader`."""

    def __init__(self, path: pathlib.Path, columns: Columns = None, *, cells: Cells = "finite") -> None:
        arrow = require("pyarrow", "data")
        self.path = path
        self.cells: Cells = cells
        parquet = require("pyarrow.parquet", "data")
        with reading(path, "a Parquet file"), parquet.ParquetFile(path) as file:
            schema, self.num_rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise ValueError(f"{path}: expected columns of different names; received {', '.join(schema.names)}")
        kept = pick_columns(path, columns, schema.names, len(schema.names))
        self._columns = [schema.names[c] for c in kept]
        self.names: list[str] | None = self._columns
        for index, name in zip(kept, self._columns, strict=True):
            kind = schema.field(index).type
            if not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)):
                raise ValueError(f"{path}: expected numbers; column {name!r} holds {kind}. {WAY_OUT}")
        self.event_shape: tuple[int, ...] = (len(self._columns),)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        if start >= self.num_rows:
            return  # pyarrow 18 fails to read a file without row groups.
        parquet = require("pyarrow.parquet", "data")
        # With pre_buffer, all row groups would stay in memory until the pass ends. pyarrow's own errors name no file.
        with reading(self.path, "a Parquet file"), parquet.ParquetFile(self.path, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = list(itertools.accumulate(sizes))
            groups = [i for i, end in enumerate(ends) if end > start]
            first_row = ends[groups[0]] - sizes[groups[0]]
            for batch in file.iter_batches(chunk_rows(self.event_shape), row_groups=groups, columns=self._columns):
                skipped = min(max(start - first_row, 0), len(batch))
                if skipped < len(batch):
                    first = first_row + skipped
                    yield as_float32(self._table(batch.slice(skipped), first), self.path, first, self.cells)
                first_row += len(batch)

    def _table(self, batch: Any, first_row: int) -> np.ndarray:
        columns = [batch.column(batch.schema.get_field_index(name)) for name in self._columns]
        for name, column in zip(self._columns, columns, strict=True):
            if self.cells == "finite" and column.null_count:
                row = first_row + column.is_null().to_numpy(zero_copy_only=False).argmax()
                raise MissingCellError(f"{self.path}: row {row} (counted from 0), column {name!r} is missing")
        # A column of booleans with missing cells is an array of objects, in which None becomes NaN.
        return np.stack([np.asarray(c.to_numpy(zero_copy_only=False)) for c in columns], axis=-1)
