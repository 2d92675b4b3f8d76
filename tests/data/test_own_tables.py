"""Tables with names, gaps and labels, files of Keras, and folders of pictures."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfar.data import from_files, load, open_rows
from tfar.data.columns import matched
from tfar.data.hashing import split_of_rows
from tfar.data.readers import MissingCellError

NO_SPLIT: dict[str, Any] = {"valid_fraction": 0.0, "test_fraction": 0.0}
VALUES = np.array([[1.5, np.nan, 0], [np.nan, 2.0, 1], [3.0, 4.0, 0]])


def gaps(folder: Path, kind: str) -> Path:
    path = folder / f"gaps.{kind}"
    if kind == "csv":
        path.write_text("a,b,label\n1.5,,0\nnan,2,1\n3,4,0\n")
    elif kind == "parquet":
        columns = {"a": [1.5, None, 3.0], "b": [None, 2.0, 4.0], "label": [0, 1, 0]}
        pq.write_table(pa.table(columns), path)
    else:
        np.save(path, VALUES)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
def test_missing_values_are_nan_where_they_are_allowed(kind: str, tmp_path: Path) -> None:
    path = gaps(tmp_path, kind)
    splits = from_files(path, missing=True, **NO_SPLIT)
    np.testing.assert_array_equal(splits.arrays("train"), VALUES)
    assert splits.missing
    np.testing.assert_allclose(splits.units[0], np.nanmean(VALUES, axis=0))
    np.testing.assert_allclose(splits.units[1], np.nanstd(VALUES, axis=0))
    with pytest.raises(MissingCellError, match=re.escape(str(path))):
        from_files(path, **NO_SPLIT)


def test_text_is_no_missing_value_and_its_error_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,\n2,red\n")
    with pytest.raises(ValueError, match=r"row 3, column 'b'; received 'red'\. Encode text as whole numbers") as caught:
        from_files(path, missing=True, **NO_SPLIT)
    assert not isinstance(caught.value, MissingCellError)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_labels_is_split_as_the_rows_and_no_part_of_them(kind: str, tmp_path: Path) -> None:
    labels, path = np.arange(200) % 3, tmp_path / f"table.{kind}"
    columns = {"x": np.arange(200.0), "label": labels, "y": -np.arange(200.0)}
    if kind == "csv":
        lines = [f"{x},{label},{y}" for x, label, y in zip(*columns.values(), strict=True)]
        path.write_text("\n".join(["x,label,y", *lines]))
    else:
        pq.write_table(pa.table(columns), path)
    splits = from_files(path, condition="label", seed=4)
    assert splits.columns == ("x", "y") and splits.labels.num_classes == 3
    part = split_of_rows(4, 0, 200, 0.1, 0.1)
    for number, name in enumerate(("train", "valid", "test")):
        np.testing.assert_array_equal(splits.labels.splits[name], labels[part == number])
        np.testing.assert_array_equal(splits.arrays(name)[:, 0] % 3, labels[part == number])
    rows = open_rows(path, condition="label", batch_size=70)
    np.testing.assert_array_equal(np.concatenate(list(rows.labels.batches(1)))[:, 0], labels[70:])
    assert rows.event_shape == (2,)


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,kind\n1,0\n2,0.5\n")
    with pytest.raises(ValueError, match=r"the labels 'kind' to be whole numbers 0, 1, 2, .*; received 0\.5"):
        from_files(tmp_path / "table.csv", condition="kind", **NO_SPLIT)


def test_a_file_of_keras_has_its_splits_and_labels(tmp_path: Path) -> None:
    x, y = np.arange(200, dtype=np.uint8).reshape([50, 2, 2]), np.arange(50) % 5
    np.savez(tmp_path / "mnist.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    splits = from_files(tmp_path / "mnist.npz", condition="y", valid_fraction=0.0)
    np.testing.assert_array_equal(splits.arrays("train"), x[:40])
    np.testing.assert_array_equal(splits.arrays("test"), x[40:])
    np.testing.assert_array_equal(splits.labels.splits["test"], y[40:])
    assert from_files(tmp_path / "mnist.npz", valid_fraction=0.0).labels is None
    with pytest.raises(ValueError, match=r"expected the labels in z_train, z_test; the file holds x_train, y_train"):
        from_files(tmp_path / "mnist.npz", condition="z")


def pictures(folder: Path, sizes: dict[str, int]) -> np.ndarray:
    levels = np.random.default_rng(0).integers(0, 200, [sum(sizes.values()), 3, 4, 1]).astype(np.uint8)
    rest = iter(levels)
    for name, count in sizes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i:02}.png").write_bytes(tf.io.encode_png(next(rest)).numpy())
    return levels


def test_labels_are_one_number_for_each_row(tmp_path: Path) -> None:
    rows = {"x_train": np.zeros([60, 4]), "x_test": np.ones([20, 4])}
    np.savez(tmp_path / "a.npz", **rows, y_train=np.eye(3)[np.arange(60) % 3], y_test=np.eye(3)[np.arange(20) % 3])
    with pytest.raises(ValueError, match=r"the labels 'y' to be one number for each row; received an array \[N, 3\]"):
        from_files(tmp_path / "a.npz", condition="y")


def test_a_folder_of_pictures_has_its_folders_as_labels(tmp_path: Path) -> None:
    levels = pictures(tmp_path / "animals", {"ants": 30, "bees": 20})
    splits = load(str(tmp_path / "animals"), condition="folder", **NO_SPLIT)
    np.testing.assert_array_equal(splits.arrays("train"), levels)
    assert (splits.head, splits.head_config) == ("Categorical", {"num_classes": 256})
    assert splits.labels.classes == ("ants", "bees")
    assert splits.labels.splits["train"].tolist() == [0] * 30 + [1] * 20
    # A model that knows more classes keeps their numbers.
    labels = load(str(tmp_path / "animals"), condition="folder", classes=["bats", "bees", "ants"], **NO_SPLIT).labels
    assert labels.num_classes == 3 and labels.splits["train"].tolist() == [2] * 30 + [1] * 20
    with pytest.raises(ValueError, match="expected files in the folders ants; received bees"):
        load(str(tmp_path / "animals"), condition="folder", classes=["ants"], **NO_SPLIT)
    (tmp_path / "animals" / "bees" / "x.png").write_bytes(tf.io.encode_png(np.zeros([2, 2, 1], np.uint8)).numpy())
    with pytest.raises(ValueError, match=r"x\.png: expected a picture of shape \(3, 4, 1\)"):
        load(str(tmp_path / "animals"), **NO_SPLIT)


def test_columns_are_matched_by_name_or_refused(tmp_path: Path) -> None:
    table, numbers = tmp_path / "table.csv", tmp_path / "numbers.csv"
    table.write_text("b,2019,a\n1,2,3\n")
    numbers.write_text("1,2,3\n")
    assert matched([table], ["a", "2019", "b"]) == ["a", "2019", "b"]
    assert matched([numbers], ["a", "b"]) is None
    with pytest.raises(ValueError, match=r"expected the columns a, c, .*; missing c; received b, 2019, a"):
        matched([table], ["a", "c"], header=True)
