"""`open_rows`: the order of the rows, passes that start at any batch, and invalid cells."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfar.data import open_rows

TABLE = np.random.default_rng(0).normal(size=(900, 3)).astype(np.float32)
KINDS = ("npy", "fortran.npy", "npz", "compressed.npz", "fortran.npz", "csv", "parquet")


def write(folder, kind, table=TABLE, name="table"):
    path = folder / f"{name}.{kind}"
    if "fortran" in kind:
        table = np.asfortranarray(table)
    if kind.endswith("npy"):
        np.save(path, table)
    elif kind.endswith("npz"):
        (np.savez_compressed if "compressed" in kind else np.savez)(path, x=table)
    elif kind == "csv":
        path.write_text("a,b,c\n" + "".join(",".join(repr(float(v)) for v in row) + "\n" for row in table))
    else:
        pq.write_table(pa.table({n: table[:, i] for i, n in enumerate("abc")}), path, row_group_size=70)
    return path


def read(rows, skip=0):
    return np.concatenate([np.empty([0, *rows.event_shape], np.float32), *rows.batches(skip)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_from_any_batch_on(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tfar.data.readers.CHUNK_BYTES", 1000)  # Many chunks, whose ends are not the ends of batches.
    rows = open_rows(write(tmp_path, kind), batch_size=64)
    assert rows.event_shape == (3,)
    assert [len(batch) for batch in rows.batches(12)] == [64, 64, 4]
    for skip in (0, 1, 2, 7, 13, 14, 15, 100):
        np.testing.assert_array_equal(read(rows, skip), TABLE[64 * skip :])


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet"])
def test_the_files_of_a_pattern_from_any_batch_on(kind, tmp_path):
    for index, part in enumerate(np.split(TABLE, [5, 400])):
        write(tmp_path, kind, part, name=f"part_{index}")
    rows = open_rows(tmp_path / f"part_*.{kind}", batch_size=50)
    assert [path.name for path in rows.paths] == [f"part_{i}.{kind}" for i in range(3)]
    for skip in (0, 1, 7, 8, 9, 18):
        np.testing.assert_array_equal(read(rows, skip), TABLE[50 * skip :])


def test_the_splits_of_an_npz_file_come_one_after_the_other(tmp_path):
    np.savez(tmp_path / "sets.npz", test=TABLE[800:], train=TABLE[:700], valid=TABLE[700:800])
    np.testing.assert_array_equal(read(open_rows(tmp_path / "sets.npz")), TABLE)
    np.testing.assert_array_equal(read(open_rows(tmp_path / "sets.npz", key="valid")), TABLE[700:800])


def test_columns(tmp_path):
    for kind, columns in (("csv", ["c", "a"]), ("parquet", ["c", 0]), ("npy", [2, 0]), ("npz", [2, 0])):
        rows = open_rows(write(tmp_path, kind), columns=columns, batch_size=100)
        np.testing.assert_array_equal(read(rows, 1), TABLE[100:, [2, 0]])


def test_cells_that_are_no_finite_numbers_are_kept_and_the_others_too(tmp_path):
    (tmp_path / "table.csv").write_text("1,2\n,3\nred,nan\n1e60,4\n-inf,5\n")
    expected = [[1, 2], [np.nan, 3], [np.inf, np.nan], [np.inf, 4], [-np.inf, 5]]
    np.testing.assert_array_equal(read(open_rows(tmp_path / "table.csv")), expected)
    table = pa.table({"a": [True, None, False], "b": [1, None, 3], "c": [1.5, None, np.inf]})
    pq.write_table(table, tmp_path / "table.parquet")
    np.testing.assert_array_equal(
        read(open_rows(tmp_path / "table.parquet")), [[1, 1, 1.5], [np.nan] * 3, [0, 3, np.inf]]
    )
    np.save(tmp_path / "table.npy", np.array([[1e300, np.nan]]))
    np.testing.assert_array_equal(read(open_rows(tmp_path / "table.npy")), [[np.inf, np.nan]])


def test_a_row_of_another_length_is_an_error_as_it_is_met(tmp_path):
    (tmp_path / "table.csv").write_text("1,2\n" * 30 + "1,2,3\n")
    batches = open_rows(tmp_path / "table.csv", batch_size=10).batches()
    with pytest.raises(ValueError, match=r"^.*table.csv: expected 2 cells as in the first row; row 31 has 3$"):
        list(batches)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_file_that_ends_early_is_told_so(kind, tmp_path):
    path = write(tmp_path, "npy")
    path.write_bytes(path.read_bytes()[:-25])  # Two rows and a byte.
    if kind == "npz":
        import zipfile

        with zipfile.ZipFile(tmp_path / "table.npz", "w") as archive:
            archive.write(path, "x.npy")
    with pytest.raises(ValueError, match=r"expected 900 rows according to its header; the file ends in row 897"):
        read(open_rows(tmp_path / f"table.{kind}"))


@pytest.mark.parametrize("content", [b"", b"hello there", np.lib.format.magic(3, 0) + b"\x00" * 40])
def test_a_file_that_is_no_array_is_told_so(content, tmp_path):
    (tmp_path / "table.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"table.npy: expected an array of numbers in NumPy's .npy format"):
        open_rows(tmp_path / "table.npy")


def test_arrays_that_are_no_rows_of_numbers(tmp_path):
    for array in (np.array(["a", "b"]), np.float32(1.0)):
        np.save(tmp_path / "table.npy", array)
        with pytest.raises(ValueError, match=r"table.npy: expected an array"):
            open_rows(tmp_path / "table.npy")
    np.save(tmp_path / "line.npy", np.arange(5))
    assert read(open_rows(tmp_path / "line.npy")).tolist() == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("skip", [-1, 1.5, "x"])
def test_bad_numbers_of_batches_to_skip(skip, tmp_path):
    with pytest.raises(ValueError, match="skip must be an integer of at least 0; received"):
        list(open_rows(write(tmp_path, "npy")).batches(skip))


def test_expected_rows(tmp_path):
    assert all(open_rows(write(tmp_path, kind)).expected_rows == 900 for kind in KINDS)
    path = write(tmp_path, "csv", np.tile(TABLE, [60, 1]))
    assert path.stat().st_size > 2 << 20
    assert abs(open_rows(path).expected_rows - 54_000) < 600


def test_the_identity_tells_other_rows(tmp_path):
    path = write(tmp_path, "npy")
    first = open_rows(path).identity
    assert open_rows(path).identity == first
    assert open_rows(path, batch_size=7).identity != first
    assert open_rows(path, columns=[0]).identity != first
    os.utime(path, ns=(0, 0))
    assert open_rows(path).identity != first
