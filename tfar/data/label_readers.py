"""Readers of class labels: of a column of a table, an array of an .npz file, or the folders of pictures."""

import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tfar.data.opening import array_names, open_arrays, open_files, split_arrays
from tfar.data.pictures import folder_classes
from tfar.data.readers import ArrayReader, Cells, Reader

FOLDER = "folder"


def label_readers(
    paths: list[pathlib.Path],
    name: str,
    *,
    key: str | None = None,
    header: bool | None = None,
    delimiter: str = ",",
    classes: Sequence[str] | None = None,
    cells: Cells = "finite",
) -> dict[str, list[Reader]]:
    """Opens the labels of files, by split as `opening.open_files` opens their rows.

    Args:
        paths: the files.
        name: the column of a table; for an .npz file "y" for y_train and y_test beside x_train and x_test, else the name of an
            array; for pictures "folder".
        key, header, delimiter: as in `from_files`.
        classes: for pictures: the names of the folders in the order of their numbers. Default: those that exist, sorted.
        cells: which cells are accepted.

    Raises:
        ValueError: If there are no such labels.
    """
    suffix = paths[0].suffix.lower()
    if suffix in (".csv", ".parquet"):
        return open_files(paths, columns=[name], key=key, header=header, delimiter=delimiter, cells=cells)
    if suffix == ".npz":
        present = array_names(paths[0])
        rows = split_arrays(present, rows_key(paths[0], key, name))
        members = {split: name if split == "all" else f"{name}_{k.removeprefix('x_')}" for split, k in rows.items()}
        missing = [k for k in members.values() if k not in present]
        if missing:
            raise ValueError(
                f"{paths[0]}: expected the labels in {', '.join(members.values())}; the file holds {', '.join(present)}"
            )
        return open_arrays(paths[0], members, None, cells)
    if suffix == ".png":
        return {"all": [_of_folders(paths, name, classes)]}
    raise ValueError(
        f"{paths[0]} has no labels {name!r}: expected a column of a .csv or .parquet file, an array of an .npz file, or "
        f"{FOLDER!r} for the folders of pictures"
    )


def rows_key(path: pathlib.Path, key: str | None, condition: str | None) -> str | None:
    """Returns the array of rows of a file: `key`, or of an .npz file of two arrays the one that is not the labels."""
    if key is not None or condition is None or path.suffix.lower() != ".npz":
        return key
    present = array_names(path)
    return next(k for k in present if k != condition) if len(present) == 2 and condition in present else None


def _of_folders(paths: list[pathlib.Path], name: str, classes: Sequence[str] | None) -> Reader:
    if name != FOLDER:
        raise ValueError(f"expected {FOLDER!r} as the labels of pictures; received {name!r}")
    return ArrayReader(paths[0].parent, folder_labels(paths, classes)[1])


def folder_labels(
    paths: Sequence[pathlib.Path], classes: Sequence[str] | None = None
) -> tuple[list[str], NDArray[np.int64]]:
    """Returns the names of the classes, and the number of the class of each file: that of its folder.

    Args:
        paths: the files.
        classes: names of the folders in the order of their numbers. None means those that exist, sorted.

    Raises:
        ValueError: If a file is in another folder than `classes` names.
    """
    found, labels = folder_classes(paths)
    if classes is None:
        return found, labels
    unknown = sorted(set(found) - set(classes))
    if unknown:
        raise ValueError(f"expected files in the folders {', '.join(classes)}; received {', '.join(unknown)}")
    return list(classes), np.array([list(classes).index(found[label]) for label in labels])
