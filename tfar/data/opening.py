"""The files that a path or a pattern names, each opened by the reader of its suffix."""

import glob
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from tfar.data.readers import ArrayReader, Columns, CSVReader, ParquetReader, Reader, open_npy
from tfar.data.splits import SPLIT_NAMES
from tfar.data.stored import open_stored

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")


def find_files(path_or_pattern: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Returns the files that a path or a pattern names, sorted by name.

    Raises:
        FileNotFoundError: none.
        ValueError: another suffix, or several.
    """
    text = os.path.expanduser(os.fspath(path_or_pattern))
    paths = [pathlib.Path(text)] if os.path.isfile(text) else sorted(pathlib.Path(p) for p in glob.glob(text))
    paths = [p for p in paths if p.is_file()]
    if not paths:
        what = "is a folder: name its files by a pattern such as" if os.path.isdir(text) else "does not exist, nor does"
        hint = os.path.join(text, "*.csv") if os.path.isdir(text) else "a file that fits it as a pattern"
        raise FileNotFoundError(f"{text} {what} {hint}")
    suffixes = sorted({p.suffix.lower() for p in paths})
    if len(suffixes) > 1 or suffixes[0] not in SUFFIXES:
        raise ValueError(f"expected files of one suffix, one of {', '.join(SUFFIXES)}; received {', '.join(suffixes)}")
    return paths


def open_files(
    paths: list[pathlib.Path],
    *,
    columns: Columns,
    key: str | None,
    header: bool | None,
    delimiter: str,
    finite: bool = True,
) -> dict[str, list[Reader]]:
    """Opens files of one suffix.

    Args:
        paths: list of pathlib.Path.
        columns: list of names or indices, or None for all.
        key: str or None. Which array of an .npz file.
        header: bool or None. Whether a .csv file starts with names; None finds out.
        delimiter: str, of .csv files.
        finite: bool. Whether a cell that is not a finite number is an error. Where it is not, the rows are meant for one
            pass: arrays are read from the file as the pass goes on, those of an .npz file too, which is else in memory.

    Returns:
        The readers of each split that the files name; "all" where they name none.

    Raises:
        ValueError: the files differ in shape, or an option does not fit their suffix.
    """
    suffix = paths[0].suffix.lower()
    if key is not None and suffix != ".npz":
        raise ValueError(f"key={key!r} names an array of an .npz file; received {paths[0]}")
    if suffix == ".npz":
        if len(paths) > 1:
            raise ValueError(f"expected one .npz file; received {len(paths)}, from {paths[0]} to {paths[-1]}")
        readers = _open_npz(paths[0], columns, key, finite)
    elif suffix == ".npy":
        readers = {"all": [open_npy(p, columns) if finite else open_stored(p, columns) for p in paths]}
    elif suffix == ".csv":
        readers = {"all": [CSVReader(p, columns, header=header, delimiter=delimiter, finite=finite) for p in paths]}
    else:
        readers = {"all": [ParquetReader(p, columns, finite=finite) for p in paths]}
    _check_alike([reader for group in readers.values() for reader in group])
    return readers


def _check_alike(readers: list[Any]) -> None:
    for reader in readers[1:]:
        for what in ("event_shape", "names"):
            first, other = getattr(readers[0], what, None), getattr(reader, what, None)
            if first != other:
                label = "rows of shape" if what == "event_shape" else "columns"
                raise ValueError(
                    f"expected {label} {first}, as in {readers[0].path}; received {other} in {reader.path}"
                )


def _open_npz(path: pathlib.Path, columns: Columns, key: str | None, finite: bool) -> dict[str, list[Reader]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            wanted = _wanted(file.files, key)
            arrays = {k: file[k] for k in wanted} if finite else {}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error
    named = key is None and "train" in wanted
    return {
        k if named else "all": [ArrayReader(path / k, arrays[k], columns) if finite else open_stored(path, columns, k)]
        for k in wanted
    }


def _wanted(present: list[str], key: str | None) -> list[str]:
    """Which arrays of an .npz file are rows."""
    shown = ", ".join(present) or "none"
    if key is not None and key not in present:
        raise ValueError(f"there is no array {key!r}; the file holds {shown}")
    wanted = [key] if key is not None else [k for k in SPLIT_NAMES if k in present]
    if not wanted and len(present) == 1:
        wanted = list(present)
    if key is None and "train" not in wanted and wanted != present:
        raise ValueError(f"expected the arrays train, valid and test, or key=…; the file holds {shown}")
    return wanted
