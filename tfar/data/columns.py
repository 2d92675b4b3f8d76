"""The columns of a table: their names, and their choice by name or index."""

import pathlib
from collections.abc import Sequence
from typing import Any

from tfar.optional import require

Columns = Sequence[str | int] | None


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


def names_of(
    path: pathlib.Path, header: bool | None = None, delimiter: str = ",", wanted: Sequence[str] = ()
) -> list[str] | None:
    """Returns the names of the columns of a file, or None if it has none.

    Args:
        path: a file. Only .csv and .parquet files have names.
        header: whether a .csv file starts with names. None detects it; a first row that has all of `wanted` is one.
        delimiter: delimiter of a .csv file.
        wanted: names that the first row of a .csv file may have.
    """
    if path.suffix.lower() == ".parquet":
        from tfar.model_files import reading

        with reading(path, "a Parquet file"):
            return list(require("pyarrow.parquet", "data").read_schema(path).names)
    if path.suffix.lower() != ".csv":
        return None
    from tfar.data.csv_reader import first_row, is_header

    cells = [cell.strip() for cell in first_row(path, delimiter)]
    if header is None:
        header = is_header(path, cells, named=bool(wanted) and set(wanted) <= set(cells))
    return cells if header else None


def matched(paths: Sequence[pathlib.Path], wanted: Sequence[str], **options: Any) -> list[str] | None:
    """Chooses by name the columns that a model was trained on, in its order.

    Args:
        paths: files of one suffix.
        wanted: the names of the columns of the model.
        **options: `header` and `delimiter` of `names_of`.

    Returns:
        `wanted`, or None if the files have no names, so that their columns are taken in the order of the file.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> path = pathlib.Path("wine.csv")
        >>> _ = path.write_text("alcohol,ph\\n9.5,3.2\\n")
        >>> matched([path], ["ph", "alcohol"])
        ['ph', 'alcohol']
    """
    for path in paths:
        names = names_of(path, wanted=wanted, **options)
        if names is None:
            return None
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(
                f"{path}: expected the columns {', '.join(wanted)}, as the model was trained on; missing "
                f"{', '.join(missing)}; received {', '.join(names)}"
            )
    return list(wanted)


def without_labels(path: pathlib.Path, columns: Columns, condition: str | None, **options: Any) -> Columns:
    """Returns the columns of the rows of a table: those that are given, or all but the labels `condition`."""
    if condition is None or columns is not None:
        return columns
    names = names_of(path, wanted=[condition], **options)
    return None if names is None else [name for name in names if name != condition]
