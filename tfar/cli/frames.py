"""DataFrames of the commands: reading the files of tables with columns of several kinds, and writing them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfar import files
from tfar.optional import require

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read(path: str | Path, *, columns: Sequence[str | int] | None = None, schema: Any = None) -> Any:
    """Reads a .csv, .csv.gz or .parquet file as a DataFrame.

    Args:
        path: path of the file.
        columns: names or indices; None for those of the schema, or without one for all.
        schema: None, or the `tfar.tables.Schema` that says which columns are text. Without one, columns of dates in the
            format of ISO 8601 become datetimes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another suffix, or a column is missing.
    """
    pandas, path = require("pandas", "tables"), _checked(path)
    if path.suffix == ".parquet":
        require("pyarrow", "data")
        df = pandas.read_parquet(path)
    else:
        df = pandas.read_csv(path, dtype=_texts(schema), skipinitialspace=True)
    df = df.set_axis([str(name) for name in df.columns], axis=1)
    df = _chosen(df, columns, path) if schema is None or columns is not None else _of_schema(df, schema, path)
    return _with_dates(df) if schema is None else df


def chunks(path: str | Path, schema: Any, rows: int) -> Iterator[Any]:
    """Yields the rows of a file in DataFrames of at most `rows`; a .csv file is never read whole."""
    pandas, found = require("pandas", "tables"), _checked(path)
    if found.suffix == ".parquet":
        df = read(found, schema=schema)
        yield from (df.iloc[i : i + rows] for i in range(0, len(df), rows))
        return
    with pandas.read_csv(found, dtype=_texts(schema), skipinitialspace=True, chunksize=rows) as parts:
        for part in parts:
            yield _of_schema(part.set_axis([str(name) for name in part.columns], axis=1), schema, found)


def write(path: Path, df: Any) -> None:
    """Writes a DataFrame to a .csv or .parquet file, without its index. The file appears when it is complete."""
    with files.replacing(path, path.suffix) as temporary:
        df.to_csv(temporary, index=False) if path.suffix == ".csv" else df.to_parquet(temporary, index=False)


def _checked(path: str | Path) -> Path:
    found = Path(path).expanduser()
    if not str(found).endswith(SUFFIXES):
        raise ValueError(f"expected a table, {', '.join(SUFFIXES)}; received {path}")
    if not found.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return found


def _texts(schema: Any) -> dict[str, Any] | None:
    """Returns the columns to be read as text: a category such as "007" is no number."""
    if schema is None:
        return None
    categories = {column.name: getattr(column, "categories", ()) for column in schema.columns}
    return {name: str for name, found in categories.items() if found and all(isinstance(c, str) for c in found)}


def _chosen(df: Any, columns: Sequence[str | int] | None, path: Path) -> Any:
    if columns is None:
        return df
    from tfar.data.columns import pick_columns

    return df.iloc[:, pick_columns(path, columns, list(df.columns), df.shape[1])]


def _of_schema(df: Any, schema: Any, path: Path) -> Any:
    """Returns the columns of the schema; others in the file are left out."""
    lacking = [name for name in schema.names if name not in df.columns]
    if lacking:
        raise ValueError(f"{path}: expected the columns {', '.join(schema.names)}; missing {', '.join(lacking)}")
    return df[schema.names]


def _with_dates(df: Any) -> Any:
    """Converts the columns of text in which every cell is a date or a time."""
    pandas, found = require("pandas", "tables"), {}
    for name in df.columns:
        types, cells = pandas.api.types, df[name]
        if (types.is_object_dtype(cells.dtype) or types.is_string_dtype(cells.dtype)) and cells.notna().any():
            times = pandas.to_datetime(cells, format="ISO8601", errors="coerce")
            found.update({name: times} if times.notna().eq(cells.notna()).all() else {})
    return df.assign(**found)
