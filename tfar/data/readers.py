"""Readers of one file each: they check its columns and yield its rows in chunks of float32.

A pass holds one chunk at a time (of a Parquet file: one row group). Every cell must be a finite number; otherwise a ValueError
names the file, the row and the column. With `finite=False` such a cell becomes NaN or infinite instead.
"""

import contextlib
import csv
import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from tfar.model_files import reading
from tfar.optional import require

Columns = Sequence[str | int] | None
CHUNK_BYTES = 2**20
NPY = "an array of numbers in NumPy's .npy format"


class Reader(Protocol):
    """One file of rows."""

    path: pathlib.Path
    event_shape: tuple[int, ...]
    num_rows: int | None  # None if it takes a pass over the file to count them.

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """Yields chunks of rows, float32 `[n, *event_shape]`, in file order from row `start` on."""


def chunk_rows(event_shape: tuple[int, ...]) -> int:
    """Returns the number of rows to read at once, which take about a megabyte."""
    return int(np.clip(CHUNK_BYTES // (4 * max(math.prod(event_shape), 1)), 1, 4096))


def as_float32(chunk: np.ndarray, path: pathlib.Path, first_row: int, finite: bool = True) -> np.ndarray:
    """Casts a chunk to float32; if `finite`, raises ValueError if a cell is not finite in float32. Rows are counted from 0."""
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
    """Reads an array `[N, ...]` that is in memory or mapped from a .npy file. An array `[N]` is read as one column.

    Args:
        path: pathlib.Path, for messages.
        array: np.ndarray of numbers, with values in each row.
        columns: indices of the columns to keep, of a table `[N, D]`. None keeps all.
        finite: bool. Whether a number that is not finite is an error.
    """

    def __init__(self, path: pathlib.Path, array: np.ndarray, columns: Columns = None, *, finite: bool = True) -> None:
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path}: expected an array of numbers; received {array.dtype}")
        if array.ndim == 0:
            raise ValueError(f"{path}: expected an array [N, …]; received a scalar")
        if 0 in array.shape[1:]:
            # Such an array takes no bytes for any number of rows, so a pass over a tiny file could last for ever.
            raise ValueError(f"{path}: expected rows with values; received an array of shape {array.shape}")
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
    """Maps a .npy file into memory, so that a pass loads only the chunk that it reads."""
    with reading(path, NPY):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return ArrayReader(path, array, columns, finite=finite)


class CSVReader:
    """Reads a text table of numbers. Errors count lines of the file from 1.

    A cell is a decimal number such as `-1.5e3`. Python's other spellings, such as `1_000`, are text.

    Args:
        path: pathlib.Path.
        columns: names (which need a header) or indices of the columns to keep, in this order. None keeps all.
        header: whether the first row names the columns. None detects it: the first row is a header if no cell is a number.
        delimiter: str.
        finite: bool. Whether a cell that is missing or not a finite number is an error; otherwise it becomes NaN or infinite.
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
                    if blank and len(cells) == 1:  # In a table of one column, an empty line is a missing cell.
                        raise ValueError(f"{self.path}: row {blank} is empty; expected a number")
                    yield reader.line_num, cells
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{self.path}: expected a text table; row {reader.line_num + 1}: {error}") from error

    def count_rows(self) -> int:
        """Counts the rows in a pass over the file."""
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
        kept = [[cells[c] for c in self.columns] for _, cells in lines]
        values = None
        if all(map(_is_plain, map("".join, kept))):
            with contextlib.suppress(ValueError), np.errstate(over="ignore"):
                values = np.array(kept, np.float64).astype(np.float32)
        if self.finite and (values is None or not np.isfinite(values).all()):
            raise self._first_error(lines)
        if values is None:
            numbers = [list(map(_number_or_nan, cells)) for cells in kept]
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
    """Reads a Parquet table of numbers by row groups; `columns` and `finite` are as in `CSVReader`."""

    def __init__(self, path: pathlib.Path, columns: Columns = None, *, finite: bool = True) -> None:
        arrow = require("pyarrow", "data")
        self.path = path
        self.finite = finite
        parquet = require("pyarrow.parquet", "data")
        with reading(path, "a Parquet file"), parquet.ParquetFile(path) as file:
            schema, self.num_rows = file.schema_arrow, file.metadata.num_rows
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
            return  # pyarrow 18 fails to read a file without row groups.
        parquet = require("pyarrow.parquet", "data")
        # With pre_buffer, all row groups would stay in memory until the pass ends. pyarrow's own errors name no file.
        with reading(self.path, "a Parquet file"), parquet.ParquetFile(self.path, pre_buffer=False) as file:
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
        # A column of booleans with missing cells is an array of objects, in which None becomes NaN.
        return np.stack([np.asarray(c.to_numpy(zero_copy_only=False)) for c in columns], axis=-1)


def pick_columns(path: pathlib.Path, columns: Columns, names: Sequence[str] | None, width: int) -> list[int]:
    """Converts names and indices of columns to indices, or raises a ValueError that lists the existing ones."""
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
    return abs(_number_or_nan(cell)) <= float(np.finfo(np.float32).max)


def _is_plain(text: str) -> bool:
    """Whether text has no character that Python, but no other reader of tables, takes for a part of a number."""
    return "_" not in text and text.isascii()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return _is_plain(cell.strip())


def _number_or_nan(cell: str) -> float:
    return float(cell) if _is_number(cell) else math.nan


def _is_header(path: pathlib.Path, cells: list[str], named: bool) -> bool:
    """Returns whether the first row names columns; a row that mixes numbers and text is refused because it could be data."""
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
