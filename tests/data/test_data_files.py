"""`from_files`: formats, splits, the chosen head, and the errors of invalid files."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from data_tables import NO_SPLIT, TABLE, rows, text, write

from tfar.data import from_files, load
from tfar.data.hashing import split_of_rows

# ---- Reading ----


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "parquet"])
def test_every_format_gives_the_rows_in_file_order(tmp_path, kind):
    splits = from_files(write(tmp_path, kind), batch_size=64, **NO_SPLIT)
    batches = list(splits.train)
    assert [len(batch) for batch in batches] == [64, 64, 64, 8]
    assert batches[0].dtype == tf.float32
    np.testing.assert_array_equal(rows(splits.train), TABLE)
    np.testing.assert_array_equal(rows(splits.train), TABLE)  # a second pass reads the file again
    assert (splits.event_shape, splits.num_train, splits.name) == ((3,), 200, "table")
    assert (splits.valid, splits.num_valid, splits.test, splits.num_test) == (None, 0, None, 0)
    assert splits.train.cardinality() == 4


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "parquet"])
def test_every_format_is_split_alike_and_every_row_is_used_once(tmp_path, kind):
    splits = from_files(write(tmp_path, kind), batch_size=64, valid_fraction=0.2, test_fraction=0.3, seed=5)
    part = split_of_rows(5, 0, 200, 0.2, 0.3)
    for index, name in enumerate(("train", "valid", "test")):
        np.testing.assert_array_equal(rows(getattr(splits, name)), TABLE[part == index])
        np.testing.assert_array_equal(splits.arrays(name), TABLE[part == index])
        assert getattr(splits, f"num_{name}") == (part == index).sum() > 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("columns", [["c", "a"], [2, 0]])
def test_columns_by_name_or_index_in_the_order_asked_for(tmp_path, kind, columns):
    splits = from_files(write(tmp_path, kind), columns=columns, **NO_SPLIT)
    np.testing.assert_array_equal(rows(splits.train), TABLE[:, [2, 0]])


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_columns_of_arrays_are_indices(tmp_path, kind):
    splits = from_files(write(tmp_path, kind), columns=[1], **NO_SPLIT)
    np.testing.assert_array_equal(rows(splits.train), TABLE[:, [1]])
    with pytest.raises(ValueError, match="no column 'a'; it has indices 0 to 2 and no names"):
        from_files(tmp_path / f"table.{kind}", columns=["a"])


def test_arrays_of_any_rank(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros([30, 4, 5, 3], np.uint8))
    np.save(tmp_path / "line.npy", np.zeros([30]))
    assert from_files(tmp_path / "images.npy").event_shape == (4, 5, 3)
    assert from_files(tmp_path / "line.npy").event_shape == (1,)
    with pytest.raises(ValueError, match=r"columns need a table \[N, D\]; received an array of shape \(30, 4, 5, 3\)"):
        from_files(tmp_path / "images.npy", columns=[0])


def test_a_pattern_reads_the_files_one_after_the_other(tmp_path):
    for i, part in enumerate(np.split(TABLE, 4)):
        np.save(tmp_path / f"part_{i}.npy", part)
    splits = from_files(tmp_path / "part_*.npy", batch_size=30, seed=5)
    np.testing.assert_array_equal(rows(splits.train), TABLE[split_of_rows(5, 0, 200, 0.1, 0.1) == 0])


def test_npz_keeps_the_splits_it_has_and_carves_the_others_from_train(tmp_path):
    path = tmp_path / "sets.npz"
    np.savez(path, train=TABLE, test=TABLE[:7] + 1)
    splits = from_files(path, valid_fraction=0.25, seed=1)
    np.testing.assert_array_equal(rows(splits.test), TABLE[:7] + 1)
    part = split_of_rows(1, 0, 200, 0.25, 0.0)
    np.testing.assert_array_equal(rows(splits.train), TABLE[part == 0])
    np.testing.assert_array_equal(rows(splits.valid), TABLE[part == 1])
    np.savez(path, train=TABLE, valid=TABLE[:5], test=TABLE[:7])
    splits = from_files(path)
    assert (splits.num_train, splits.num_valid, splits.num_test) == (200, 5, 7)


def test_npz_key(tmp_path):
    path = tmp_path / "two.npz"
    np.savez(path, first=TABLE, second=TABLE + 1)
    np.testing.assert_array_equal(rows(from_files(path, key="second", **NO_SPLIT).train), TABLE + 1)
    with pytest.raises(ValueError, match="no array 'third'; the file holds first, second"):
        from_files(path, key="third")
    with pytest.raises(ValueError, match=r"or x_train and x_test, or key=… \(--key\); the file holds first, second"):
        from_files(path)
    with pytest.raises(ValueError, match=r"key='x' names an array of an .npz file; received"):
        from_files(write(tmp_path, "npy"), key="x")


def test_load_takes_a_path(tmp_path):
    write(tmp_path, "npy")
    for splits in (load(str(tmp_path / "table.npy"), seed=3), load("table.npy", data_dir=tmp_path, seed=3)):
        np.testing.assert_array_equal(rows(splits.train), TABLE[split_of_rows(3, 0, 200, 0.1, 0.1) == 0])


# ---- CSV dialects ----


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("1,2\n3,4\n", {}),
        ("x,y\n1,2\n3,4", {}),
        ('"x, really",y\r\n1,2\r\n\r\n3,4\r\n\r\n', {}),
        ("\ufeffx,y\n 1 , 2e0\n+3,4.\n", {}),
        ("x;y\n1;2\n3;4\n", {"delimiter": ";"}),
        ("2019,2020\n1,2\n3,4\n", {"header": True}),
        ("who,x,y\nann,1,2\nbob,3,4\n", {"columns": ["x", "y"]}),
        ("ann,1,2\nbob,3,4\n", {"columns": [1, 2], "header": False}),
        ("id,2019,2020\n0,1,2\n0,3,4\n", {"columns": ["2019", "2020"]}),
    ],
)
def test_csv_dialects(tmp_path, content, options):
    splits = from_files(text(tmp_path, content), **options, **NO_SPLIT)
    assert rows(splits.train).tolist() == [[1, 2], [3, 4]]


def test_csv_of_one_column(tmp_path):
    assert rows(from_files(text(tmp_path, "1\n2\n\n\n"), **NO_SPLIT).train).tolist() == [[1], [2]]
    with pytest.raises(ValueError, match="row 2 is empty; expected a number"):
        from_files(text(tmp_path, "1\n\n2\n"), **NO_SPLIT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,red\n", r"table.csv: expected a finite number in row 3, column 'b'; received 'red'"),
        ("1,2\nred,3\n", r"row 2, column 0; received 'red'"),
        ("a,b\n1,2\n3,\n", r"row 3, column 'b'; the cell is empty"),
        ("a,b\n1,nan\n", r"row 2, column 'b'; received 'nan'"),
        ("a,b\n1,-inf\n", r"row 2, column 'b'; received '-inf'"),
        ("a,b\n1,1e39\n", r"row 2, column 'b'; received '1e39'"),
        ("a,b\n1,2\n3,4,5\n", r"expected 2 cells as in the first row; row 3 has 3"),
        ("a,b\n1,2\n3\n", r"expected 2 cells as in the first row; row 3 has 1"),
        ("ann,1\nbob,2\n", r"row 1 mixes numbers and text \('ann' in column 0\): pass header=True"),
        ("", r"expected rows of numbers; received an empty file"),
        ("\n\n", r"expected rows of numbers; received an empty file"),
        ("a,b\n", r"expected rows of numbers; received none"),
        ('a,b\n1,"2\n', r"expected a text table; row"),
    ],
)
def test_bad_csv_names_the_file_the_row_and_the_column(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_files(text(tmp_path, content), **NO_SPLIT)
    assert str(tmp_path) in str(caught.value)


def test_a_bad_cell_far_down_is_found_with_its_row(tmp_path):
    content = "a,b\n" + "1,2\n" * 9000 + "1,oops\n"
    with pytest.raises(ValueError, match="row 9002, column 'b'; received 'oops'"):
        from_files(text(tmp_path, content))


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(b"1,2\n"))
    with pytest.raises(ValueError, match="expected a text table"):
        from_files(path)


# ---- Other bad files ----


def test_missing_files_name_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gone.csv"))):
        from_files(tmp_path / "gone.csv")
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gone_*.npy"))):
        load(str(tmp_path / "gone_*.npy"))
    with pytest.raises(FileNotFoundError, match=r"is a folder without \.png files: name its other files"):
        from_files(tmp_path)


def test_suffixes(tmp_path):
    with pytest.raises(ValueError, match=r"one of .npy, .npz, .csv, .parquet, .png; received .txt"):
        from_files(text(tmp_path, "1", "table.txt"))
    write(tmp_path, "npy")
    with pytest.raises(ValueError, match=r"files of one suffix.*received .npy, .txt"):
        from_files(tmp_path / "table.*")


def test_files_of_one_pattern_must_agree(tmp_path):
    text(tmp_path, "a,b\n1,2\n", "1.csv")
    text(tmp_path, "b,a\n1,2\n", "2.csv")
    with pytest.raises(
        ValueError, match=r"expected columns \['a', 'b'\], as in .*1.csv; received \['b', 'a'\] in .*2.csv"
    ):
        from_files(tmp_path / "*.csv")
    text(tmp_path, "a,b,c\n1,2,3\n", "2.csv")
    with pytest.raises(ValueError, match=r"expected rows of shape \(2,\), as in .*1.csv; received \(3,\) in .*2.csv"):
        from_files(tmp_path / "*.csv")
    for name in ("1.npz", "2.npz"):
        np.savez(tmp_path / name, x=TABLE)
    with pytest.raises(ValueError, match=r"expected one .npz file; received 2"):
        from_files(tmp_path / "*.npz")


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_nan_is_found_with_its_row_and_column(tmp_path, kind):
    table = np.zeros([10_000, 3], np.float32)
    table[9150, 1] = np.nan
    with pytest.raises(ValueError, match=r"table.*expected finite numbers.*received nan in row 9150, column 1"):
        from_files(write(tmp_path, kind, table))


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_files_that_are_not_what_their_suffix_says(tmp_path, kind):
    for content in ("", "hello there"):
        with pytest.raises(ValueError, match=f"table.{kind}"):
            from_files(text(tmp_path, content, f"table.{kind}"))


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_files_without_rows(tmp_path, kind):
    with pytest.raises(ValueError, match="expected rows of numbers; received none"):
        from_files(write(tmp_path, kind, TABLE[:0]))


@pytest.mark.parametrize("array", [np.array(["a", "b"]), np.array([{}, {}]), np.float32(1)])
def test_arrays_that_are_not_rows_of_numbers(tmp_path, array):
    np.save(tmp_path / "table.npy", array)
    with pytest.raises(ValueError, match=r"table.npy: expected an array"):
        from_files(tmp_path / "table.npy")


def test_parquet_with_missing_cells_or_text(tmp_path):
    path = tmp_path / "table.parquet"
    late = [1.0] * 5000 + [None]
    pq.write_table(pa.table({"a": [1.0] * 5001, "b": late, "c": ["x"] * 5001}), path, row_group_size=2000)
    with pytest.raises(ValueError, match=r"column 'c' holds string. Encode text as whole numbers .* by columns="):
        from_files(path)
    with pytest.raises(ValueError, match=r"row 5000 \(counted from 0\), column 'b' is missing"):
        from_files(path, columns=["a", "b"])
    with pytest.raises(ValueError, match=r"no column 'd'; it has indices 0 to 2 and the names a, b, c"):
        from_files(path, columns=["d"])


def test_columns_of_one_name(tmp_path):
    path = text(tmp_path, "a,a\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="several columns are named 'a': choose by index"):
        from_files(path, columns=["a"])
    assert rows(from_files(path, columns=[1], **NO_SPLIT).train).tolist() == [[2], [4]]
    path = tmp_path / "table.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1.0])] * 2, names=["a", "a"]), path)
    with pytest.raises(ValueError, match="expected columns of different names; received a, a"):
        from_files(path)


@pytest.mark.parametrize("columns", [[], "a", [True], [3], [-1]])
def test_bad_columns(tmp_path, columns):
    with pytest.raises(ValueError, match="column"):
        from_files(write(tmp_path, "csv"), columns=columns)


# ---- Arguments ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1; received 0"),
        ({"seed": -1}, "seed must be an integer of at least 0; received -1"),
        ({"valid_fraction": -0.1}, r"valid_fraction must be a number in \[0, 1\); received -0.1"),
        ({"test_fraction": 1.0}, r"test_fraction must be a number in \[0, 1\); received 1.0"),
        ({"valid_fraction": 0.5, "test_fraction": 0.5}, "must be below 1.*received 0.5 \\+ 0.5"),
        ({"head_config": {}}, "head_config requires head="),
        ({"scan": False}, "scan=False cannot choose the head"),
        ({"head": 3}, "head must be the name of a head.*received 3 and None"),
        ({"head": "NormalMixture", "head_config": 3}, "head_config a dict or None; received 'NormalMixture' and 3"),
        ({"memory_limit": "1GB"}, "memory_limit must be an integer of at least 1; received '1GB'"),
        ({"head": "Categorical"}, "Categorical requires non-negative whole numbers"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        from_files(write(tmp_path, "npy"), **options)


def test_a_split_that_stays_empty_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"the split .* of 3 rows is empty: add rows"):
        from_files(write(tmp_path, "npy", TABLE[:3]), valid_fraction=0.01)


# ---- The chosen head ----


@pytest.mark.parametrize(
    ("values", "head", "config"),
    [
        ([0, 1, 1], "Bernoulli", {}),
        ([0, 0, 0], "Bernoulli", {}),
        ([0, 2, 5], "Categorical", {"num_classes": 6}),
        ([0, 1, 255], "Categorical", {"num_classes": 256}),
        ([0, 1, 256], "NormalMixture", {"num_components": 10}),
        ([-1, 0, 1], "NormalMixture", {"num_components": 10}),
        ([0, 0.5, 1], "NormalMixture", {"num_components": 10}),
    ],
)
def test_the_head_suits_all_the_values(tmp_path, values, head, config):
    splits = from_files(write(tmp_path, "npy", np.array(values, np.float32)[:, None]), **NO_SPLIT)
    assert (splits.head, splits.head_config) == (head, config)


def test_the_user_may_override_the_head(tmp_path):
    path = write(tmp_path, "npy", np.array([[0.0], [3.0]]))
    for head, given, config in (
        ("Categorical", None, {"num_classes": 4}),
        ("Categorical", {"num_classes": 9}, {"num_classes": 9}),
        ("NormalMixture", None, {"num_components": 10}),
        ("NormalMixture", {"num_components": 3}, {"num_components": 3}),
        ("Ordinal", None, {}),
    ):
        splits = from_files(path, head=head, head_config=given, **NO_SPLIT)
        assert (splits.head, splits.head_config) == (head, config)
