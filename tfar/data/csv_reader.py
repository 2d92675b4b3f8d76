"""Reader of text tables."""

import contextlib
import csv
import itertools
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from tfar.data.columns import Columns, pick_columns
from tfar.data.readers import WAY_OUT, Cells, MissingCellError, as_float32, chunk_rows


class CSVReader:
    """Reads a text table of numbers. Errors count lines of the file from 1.

    A cell is a decimal number such as `-1.5e3`. Python's other spellings, such as `1_000`, are text.

    Args:
        path: pathlib.Path.
        columns: names (which need a header) or indices of the columns to keep, in this order. None keeps all.
        header: whether the first row names the columns. None detects it: the first row is a header if no cell is a number.
        delimiter: str.
        cells: which cells are accepted. With "any", an empty cell becomes NaN and text infinite.
    """

    num_rows: int | None = None

    def __init__(
        self,
        path: pathlib.Path,
        columns: Columns = None,
        *,
        header: bool | None = None,
        delimiter: str = ",",
        cells: Cells = "finite",
    ) -> None:
        self.path = path
        self.delimiter = delimiter
        self.cells: Cells = cells
        first = first_row(path, delimiter)
        self.width = len(first)
        if header is None:
            header = is_header(path, first, named=any(isinstance(c, str) for c in columns or ()))
        self.header = header
        names = [name.strip() for name in first] if header else None
        self.columns = pick_columns(path, columns, names, self.width)
        self.names = None if names is None else [names[c] for c in self.columns]
        self.event_shape: tuple[int, ...] = (len(self.columns),)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        return lines_of(self.path, self.delimiter)

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
        if values is not None and (self.cells == "any" or np.isfinite(values).all()):
            return values
        if self.cells != "any":
            self._check(lines)
        numbers = [list(map(_number, cells)) for cells in kept]
        return as_float32(np.array(numbers), self.path, 0, "any")

    def _check(self, lines: list[tuple[int, list[str]]]) -> None:
        """Raises ValueError if a cell is not accepted."""
        for (row, cells), column in itertools.product(lines, self.columns):
            cell = cells[column]
            if _is_finite(cell) or (self.cells == "missing" and _is_missing(cell)):
                continue
            name = repr(self.names[self.columns.index(column)]) if self.names else str(column)
            place = f"{self.path}: expected a finite number in row {row}, column {name}"
            if _is_missing(cell):
                raise MissingCellError(f"{place}; {f'received {cell!r}' if cell.strip() else 'the cell is empty'}")
            raise ValueError(f"{place}; received {cell!r}{'' if _is_number(cell) else '. ' + WAY_OUT}")


def _is_finite(cell: str) -> bool:
    return abs(_number(cell)) <= float(np.finfo(np.float32).max)


def _is_missing(cell: str) -> bool:
    """Whether a cell is empty or spells NaN."""
    return not cell.strip() or (_is_number(cell) and math.isnan(float(cell)))


def _is_plain(text: str) -> bool:
    """Whether text has no character that Python, but no other reader of tables, takes for a part of a number."""
    return "_" not in text and text.isascii()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return _is_plain(cell.strip())


def _number(cell: str) -> float:
    """Returns the number in a cell, NaN for an empty one, and infinity for text."""
    return float(cell) if _is_number(cell) else math.inf if cell.strip() else math.nan


def is_header(path: pathlib.Path, cells: list[str], named: bool) -> bool:
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


def lines_of(path: pathlib.Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number, from 1, and the cells of each row of a text table that is not blank."""
    blank = 0
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if not any(cells) and len(cells) < 2:
                    blank = blank or reader.line_num
                    continue
                if blank and len(cells) == 1:  # In a table of one column, an empty line is a missing cell.
                    raise ValueError(f"{path}: row {blank} is empty; expected a number")
                yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected a text table; row {reader.line_num + 1}: {error}") from error


def first_row(path: pathlib.Path, delimiter: str) -> list[str]:
    """Returns the cells of the first row of a text table."""
    first = next(lines_of(path, delimiter), None)
    if first is None:
        raise ValueError(f"{path}: expected rows of numbers; received an empty file")
    return first[1]
