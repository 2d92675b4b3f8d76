"""Finds the files of a path or pattern and opens each with the reader of its suffix."""

import glob
import os
import pathlib
from typing import Any

import numpy as np

from tfar.data.columns import Columns
from tfar.data.csv_reader import CSVReader
from tfar.data.pictures import FrameReader, PictureReader
from tfar.data.readers import ArrayReader, Cells, ParquetReader, Reader, open_npy
from tfar.data.splits import SPLIT_NAMES
from tfar.data.stored import StoredArrayReader, open_stored
from tfar.model_files import check_archive, reading

# Images of bits compress about tenfold and sparse tables up to hundredfold; zeros, a thousandfold.
NPZ_FREE_BYTES, NPZ_MAX_EXPANSION = 1 << 28, 200
SUFFIXES = (".npy", ".npz", ".csv", ".parquet", ".png")
# The names of the arrays of an .npz file that holds splits: ours, and those of the files of Keras.
_SPLIT_ARRAYS = ({k: k for k in SPLIT_NAMES}, {"train": "x_train", "valid": "x_val", "test": "x_test"})


def find_files(path_or_pattern: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Returns the files of a path or pattern, sorted by name, which must have one supported suffix.

    A folder stands for the PNG files in it and in its subfolders.
    """
    text = os.path.expanduser(os.fspath(path_or_pattern))
    paths = [pathlib.Path(text)] if os.path.isfile(text) else sorted(pathlib.Path(p) for p in glob.glob(text))
    if os.path.isdir(text):
        paths = sorted(pathlib.Path(text).rglob("*.png"))
    paths = [p for p in paths if p.is_file()]
    if not paths and os.path.isdir(text):
        pattern = os.path.join(text, "*.csv")
        raise FileNotFoundError(
            f"{text} is a folder without .png files: name its other files by a pattern such as {pattern}"
        )
    if not paths:
        raise FileNotFoundError(f"{text} does not exist, nor does a file that matches it as a pattern")
    suffixes = sorted({p.suffix.lower() for p in paths})
    if len(suffixes) > 1 or suffixes[0] not in SUFFIXES:
        raise ValueError(f"expected files of one suffix, one of {', '.join(SUFFIXES)}; received {', '.join(suffixes)}")
    return paths


def is_files(name: str) -> bool:
    """Whether a name is the path or pattern of files that can be read, by its suffix, or a folder of pictures."""
    folder = pathlib.Path(name).expanduser()
    return folder.suffix.lower() in SUFFIXES or (folder.is_dir() and any(folder.rglob("*.png")))


def open_files(
    paths: list[pathlib.Path],
    *,
    columns: Columns,
    key: str | None,
    header: bool | None,
    delimiter: str,
    cells: Cells = "finite",
    frames: int | None = None,
) -> dict[str, list[Reader]]:
    """Opens files of one suffix, with the options of `from_files`.

    `cells` says which cells are accepted. With "any", and if the rows have three axes or more, as images and videos have, the
    arrays of an .npz file are read chunk by chunk in each pass; otherwise they are read into memory.

    Returns:
        The readers of each split that the files name, or of "all" if they name none.

    Raises:
        ValueError: If the files differ in shape, or an option does not apply to their suffix.
    """
    suffix = paths[0].suffix.lower()
    if key is not None and suffix != ".npz":
        raise ValueError(f"key={key!r} names an array of an .npz file; received {paths[0]}")
    if frames is not None and suffix != ".png":
        raise ValueError(f"frames={frames} is for videos in folders of .png files; received {paths[0]}")
    if suffix == ".npz":
        if len(paths) > 1:
            raise ValueError(f"expected one .npz file; received {len(paths)}, from {paths[0]} to {paths[-1]}")
        readers = _open_npz(paths[0], columns, key, cells)
    elif suffix == ".npy":
        readers = {
            "all": [open_stored(p, columns) if cells == "any" else open_npy(p, columns, cells=cells) for p in paths]
        }
    elif suffix == ".csv":
        readers = {"all": [CSVReader(p, columns, header=header, delimiter=delimiter, cells=cells) for p in paths]}
    elif suffix == ".png":
        if columns is not None:
            raise ValueError(f"columns need a table; received pictures, such as {paths[0]}")
        readers = {"all": [PictureReader(paths) if frames is None else FrameReader(paths, frames)]}
    else:
        readers = {"all": [ParquetReader(p, columns, cells=cells) for p in paths]}
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


def _open_npz(path: pathlib.Path, columns: Columns, key: str | None, cells: Cells) -> dict[str, list[Reader]]:
    with reading(path, "arrays in NumPy's .npz format"):
        if cells != "any":  # Otherwise a pass takes constant memory, whatever the archive unpacks to.
            check_archive(path, NPZ_FREE_BYTES, NPZ_MAX_EXPANSION)
        present = array_names(path)
    try:
        members = split_arrays(present, key)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return open_arrays(path, members, columns, cells)


def array_names(path: pathlib.Path) -> list[str]:
    """Returns the names of the arrays of an .npz file."""
    with np.load(path, allow_pickle=False) as file:
        return list(file.files)


def open_arrays(path: pathlib.Path, members: dict[str, str], columns: Columns, cells: Cells) -> dict[str, list[Reader]]:
    """Opens arrays of an .npz file, given their names by split."""
    return {split: [_open_array(path, k, columns, cells)] for split, k in members.items()}


def _open_array(path: pathlib.Path, name: str, columns: Columns, cells: Cells) -> Reader:
    stored = StoredArrayReader(path, columns, name, cells)
    if cells == "any" or len(stored.event_shape) >= 3:
        return open_stored(path, columns, name, cells)
    return ArrayReader(path / name, StoredArrayReader(path, member=name).load(), columns, cells=cells)


def split_arrays(present: list[str], key: str | None) -> dict[str, str]:
    """Returns the names of the arrays of an .npz file that are rows, by split, or by "all" for one array.

    Example:
        >>> split_arrays(["x_train", "y_train", "x_test", "y_test"], None)
        {'train': 'x_train', 'test': 'x_test'}
    """
    shown = ", ".join(present) or "none"
    if key is not None and key not in present:
        raise ValueError(f"there is no array {key!r}; the file holds {shown}")
    if key is not None or len(present) == 1:
        return {"all": key or present[0]}
    for names in _SPLIT_ARRAYS:
        if names["train"] in present:
            return {split: name for split, name in names.items() if name in present}
    raise ValueError(
        f"expected the arrays train, valid and test, or x_train and x_test, or key=… (--key); the file holds {shown}"
    )
