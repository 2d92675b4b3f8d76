"""Readers of one file each: they know its columns, and give its rows chunk by chunk in float32.

A pass holds one chunk at a time (a Parquet file: one row group). Every cell must be a finite number; the error of one
that is not names the file, the row and the column. With `finite=False` such a cell is NaN (or infinite) instead, for
who goes on with the other rows.
"""

import csv
import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from tfar.data.checks import require

Columns = Sequence[str | int] | None
CHUNK_BYTES = 2**20


class Reader(Protocol):
    """One file of rows."""

    path: pathlib.Path
    event_shape: tuple[int, ...]
    num_rows: int | None  # None where only a pass could tell.

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """Starts a pass at a row: float32 `[n, *event_shape]`, in file order."""


def chunk_rows(event_shape: tuple[int, ...]) -> int:
    """Returns how many rows to read at once: about a megabyte of them."""
    return int(np.clip(CHUNK_BYTES // (4 * max(math.prod(event_shape), 1)), 1, 4096))


def as_float32(chunk: np.ndarray, path: pathlib.Path, first_row: int, finite: bool = True) -> np.ndarray:
    """Casts a chunk to float32; where `finite` is asked for, says which cell is not a finite number.

    Raises:
        ValueError: a NaN, an infinity, or a number beyond float32. Rows are counted from 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(chunk, np.float32)
    if finite and not np.isfinite(values).all():
        row, *column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        where = f", column {column[0] if len(column) == 1 else column}" if column else ""
        raise ValueError(
            f"{path}: expected finite numbers in the range of float32; received {chunk[(row, *column)]} "
            f"in row {first_row + row}{where} (counted from 0)"
        )
    return values


class ArrayReader:
    """An array `[N, …]` that is in memory or mapped from a .npy file; one of `[N]` is read as one column.

    Args:
        path: pathlib.Path, for messages.
        array: np.ndarray of numbers.
        columns: indices of the columns to keep, of a table `[N, D]`; None keeps all.
        finite: bool. Whether a number that is not finite is an error.

    Raises:
        ValueError: not numbers, no rows axis, or columns that are not there.
    """

    def __init__(self, path: pathlib.Path, array: np.ndarray, columns: Columns = None, *, finite: bool = True) -> None:
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path}: expected an array of numbers; received {array.dtype}")
        if array.ndim == 0:
            raise ValueError(f"{path}: expected an array [N, …]; received a scalar")
        self.path = path
        self.finite = finite
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
            yield as_float32(part[:, self.columns], self.path, first, self.finite)

    def _parts(self, start: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, len(self.array), size):
            yield first, self.array[first : first + size]


def open_npy(path: pathlib.Path, columns: Columns = None, *, finite: bool = True) -> ArrayReader:
    """Maps a .npy file into memory, so that only the chunk that is read is loaded."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: expected an array of numbers in NumPy's .npy format: {error}") from error
    return ArrayReader(path, array, columns, finite=finite)


class CSVReader:
    """A text table of numbers.

    Args:
        path: pathlib.Path.
        columns: names (they need a header) or indices of the columns to keep, in that order; None keeps all.
        header: whether the first row names the columns. None finds out: it does if none of its cells is a number.
        delimiter: str.
        finite: bool. Whether a cell that is missing or not a finite number is an error; else it is NaN or infinite.

    Raises:
        ValueError: an empty file, columns that are not there, a first row that is half text. While reading: a cell that
            is missing or not a finite number, a row of another length; rows are lines of the file, counted from 1.
    """

    num_rows: int | None = None

    def __init__(
        self,
        path: pathlib.Path,
        columns: Columns = None,
        *,
        header: bool | None = None,
        delimiter: str = ",",
        finite: bool = True,
    ) -> None:
        self.path = path
        self.delimiter = delimiter
        self.finite = finite
        first = next(self._lines(), None)
        if first is None:
            raise ValueError(f"{path}: expected rows of numbers; received an empty file")
        self.width = len(first[1])
        if header is None:
            header = _is_header(path, first[1], named=any(isinstance(c, str) for c in columns or ()))
        self.header = header
        self.names = [name.strip() for name in first[1]] if header else None
        self.columns = pick_columns(path, columns, self.names, self.width)
        self.event_shape: tuple[int, ...] = (len(self.columns),)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        blank = 0
        with open(self.path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            try:
                for cells in reader:
                    if not any(cells) and len(cells) < 2:
                        blank = blank or reader.line_num
                        continue
                    if blank and len(cells) == 1:  # In a table of one column an empty line is a missing cell.
                        raise ValueError(f"{self.path}: row {blank} is empty; expected a number")
                    yield reader.line_num, cells
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{self.path}: expected a text table; row {reader.line_num + 1}: {error}") from error

    def count_rows(self) -> int:
        """Reads the file to count its rows."""
        return sum(1 for _ in self._lines()) - int(self.header)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        lines = itertools.islice(self._lines(), int(self.header) + start, None)
        while part := list(itertools.islice(lines, chunk_rows((self.width,)))):
            yield self._parse(part)

    def _parse(self, lines: list[tuple[int, list[str]]]) -> np.ndarray:
        for row, cells in lines:
            if len(cells) != self.width:
                raise ValueError(
                    f"{self.path}: expected {self.width} cells as in the first row; row {row} has {len(cells)}"
                )
        try:
            with np.errstate(over="ignore"):
                values = np.array([[cells[c] for c in self.columns] for _, cells in lines], np.float64).astype(
                    np.float32
                )
        except ValueError:
            values = None
        if self.finite and (values is None or not np.isfinite(values).all()):
            raise self._first_error(lines)
        if values is None:
            numbers = [[_number_or_nan(cells[c]) for c in self.columns] for _, cells in lines]
            values = as_float32(np.array(numbers), self.path, 0, finite=False)
        return values

    def _first_error(self, lines: list[tuple[int, list[str]]]) -> ValueError:
        for (row, cells), column in itertools.product(lines, self.columns):
            if not _is_finite(cells[column]):
                name = repr(self.names[column]) if self.names else str(column)
                received = f"received {cells[column]!r}" if cells[column].strip() else "the cell is empty"
                return ValueError(f"{self.path}: expected a finite number in row {row}, column {name}; {received}")
        return ValueError(f"{self.path}: expected numbers in rows {lines[0][0]} to {lines[-1][0]}")


class ParquetReader:
    """A Parquet table of numbers, read by row groups.

    Args:
        path: pathlib.Path.
        columns: names or indices of the columns to keep, in that order; None keeps all.
        finite: bool. Whether a cell that is missing or not a finite number is an error; else it is NaN or infinite.

    Raises:
        ValueError: not a Parquet file, columns that are not there or not numbers; while reading, a missing cell.
        ImportError: pyarrow is not installed.
    """

    def __init__(self, path: pathlib.Path, columns: Columns = None, *, finite: bool = True) -> None:
        arrow = require("pyarrow")
        self.path = path
        self.finite = finite
        try:
            with require("pyarrow.parquet").ParquetFile(path) as file:
                schema, self.num_rows = file.schema_arrow, file.metadata.num_rows
        except arrow.ArrowInvalid as error:
            raise ValueError(f"{path}: expected a Parquet file: {error}") from error
        if len(set(schema.names)) < len(schema.names):
            raise ValueError(f"{path}: expected columns of different names; received {', '.join(schema.names)}")
        kept = pick_columns(path, columns, schema.names, len(schema.names))
        self.names = [schema.names[c] for c in kept]
        for index, name in zip(kept, self.names, strict=True):
            kind = schema.field(index).type
            if not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)):
                raise ValueError(f"{path}: expected numbers; column {name!r} holds {kind}. Choose others by columns=…")
        self.event_shape: tuple[int, ...] = (len(self.names),)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        if start >= self.num_rows:
            return  # pyarrow 18 asks a file for its row groups even where none is wanted
        # Buffered ahead, all row groups would stay in memory until the pass ends.
        with require("pyarrow.parquet").ParquetFile(self.path, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = list(itertools.accumulate(sizes))
            groups = [i for i, end in enumerate(ends) if end > start]
            first_row = ends[groups[0]] - sizes[groups[0]]
            for batch in file.iter_batches(chunk_rows(self.event_shape), row_groups=groups, columns=self.names):
                skipped = min(max(start - first_row, 0), len(batch))
                if skipped < len(batch):
                    first = first_row + skipped
                    yield as_float32(self._table(batch.slice(skipped), first), self.path, first, self.finite)
                first_row += len(batch)

    def _table(self, batch: Any, first_row: int) -> np.ndarray:
        columns = [batch.column(batch.schema.get_field_index(name)) for name in self.names]
        for name, column in zip(self.names, columns, strict=True):
            if self.finite and column.null_count:
                row = first_row + column.is_null().to_numpy(zero_copy_only=False).argmax()
                raise ValueError(f"{self.path}: row {row} (counted from 0), column {name!r} is missing")
        # A column of booleans with gaps comes as objects, of which None becomes NaN.
        return np.stack([np.asarray(c.to_numpy(zero_copy_only=False)) for c in columns], axis=-1)


def pick_columns(path: pathlib.Path, columns: Columns, names: Sequence[str] | None, width: int) -> list[int]:
    """Turns names and indices of columns into indices.

    Raises:
        ValueError: no column, or one that is not there; lists those that are.
    """
    if columns is None:
        return list(range(width))
    if isinstance(columns, (str, int)) or not len(columns):
        raise ValueError(f"columns must be a list of at least one name or index; received {columns!r}")
    picked = []
    for column in columns:
        if isinstance(column, str) and names is not None and column in names:
            if list(names).count(column) > 1:
                raise ValueError(f"{path}: several columns are named {column!r}: choose by index")
            picked.append(list(names).index(column))
        elif not isinstance(column, (str, bool)) and 0 <= column < width:
            picked.append(int(column))
        else:
            there = f"the names {', '.join(names)}" if names is not None else "no names"
            raise ValueError(f"{path}: there is no column {column!r}; it has indices 0 to {width - 1} and {there}")
    return picked


def _is_finite(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and abs(float(cell)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number_or_nan(cell: str) -> float:
    return float(cell) if _is_number(cell) else math.nan


def _is_header(path: pathlib.Path, cells: list[str], named: bool) -> bool:
    """A header has no number. A first row that mixes both could be either, and guessing would lose a row."""
    filled = [cell for cell in cells if cell.strip()]
    numbers = sum(_is_number(cell) for cell in filled)
    if named or numbers == 0:
        return True
    if numbers < len(filled):
        text = next(cell for cell in filled if not _is_number(cell))
        raise ValueError(
            f"{path}: row 1 mixes numbers and text ({text!r} in column {cells.index(text)}): pass header=True if it "
            "names the columns, header=False if it is data"
        )
    return False
