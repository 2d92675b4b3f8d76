"""Damaged and hostile files of rows: a ValueError of one line that names the file, without the memory that they ask for."""

import resource
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfar.data import from_files, open_rows


def whole_pass(path):
    return list(open_rows(path).batches())


def refusal(read, path):
    """The message of a file that is refused, without a peak of memory that a file of some bytes does not warrant.

    The peak is that of the process, so that it says most in a process of its own. tracemalloc ends the process if it stops while
    threads of TensorFlow allocate.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError) as refused:
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    message = str(refused.value)
    assert message.startswith(f"{path}") and "\n" not in message
    return message


def npy(header, content=b""):
    """A .npy file with a header of any text."""
    encoded = header.encode().ljust(118) + b"\n"
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(encoded)) + encoded + content


def of_shape(shape, descr="<f4", fortran_order=False):
    return repr({"descr": descr, "fortran_order": fortran_order, "shape": shape})


HEADERS = {
    "no values": of_shape((10**15, 0)),
    "no values, few rows": of_shape((3, 0)),
    "no values, other axis": of_shape((10**15, 4, 0)),
    "too many rows": of_shape((10**12, 4)),
    "too wide": of_shape((1, 10**12)),
    "beyond 64 bits": of_shape((10**30, 4)),
    "beyond 64 bits together": of_shape((10**10, 10**10)),
    "negative": of_shape((-1, 4)),
    "Fortran order": of_shape((10**12, 4), fortran_order=True),
    "objects": of_shape((4,), "|O"),
    "text": of_shape((4,), "<U100000000"),
    "records": of_shape((4,), [("a", "<f4")]),
    "code": "__import__('os').abort()",
    "deep": "(" * 100,
    "no dict": "3",
    "no shape": "{'descr': '<f4', 'fortran_order': False}",
    "booleans": of_shape((True, 4)),
}


@pytest.mark.parametrize("read", [from_files, whole_pass])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("name", HEADERS)
def test_an_array_that_its_file_does_not_hold(name, suffix, read, tmp_path):
    path = tmp_path / f"rows.{suffix}"
    content = npy(HEADERS[name], bytes(48))
    if suffix == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    refusal(read, path)


def test_an_npz_bomb_is_refused_and_read_in_a_pass(tmp_path):
    path = tmp_path / "zeros.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(npy(of_shape((400 << 20, 1), "|u1")))
        for _ in range(400):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 3 << 20
    assert "unpacks to 419,430," in refusal(from_files, path)
    batch = next(iter(open_rows(path, batch_size=7).batches()))
    assert batch.shape == (7, 1)


def test_an_npz_of_images_is_no_bomb(tmp_path):
    np.savez_compressed(tmp_path / "rows.npz", np.zeros([3000, 784], np.uint8))
    assert from_files(tmp_path / "rows.npz").event_shape == (784,)


@pytest.mark.parametrize("read", [from_files, whole_pass])
def test_a_damaged_member_of_an_npz(read, tmp_path):
    path = tmp_path / "rows.npz"
    np.savez_compressed(path, np.random.default_rng(0).random([1000, 4]))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    refusal(read, path)


def write_parquet(path):
    values = np.random.default_rng(0).random([1000])
    pq.write_table(
        pa.table({"a": values, "b": values}), path, use_dictionary=False, row_group_size=500, compression="gzip"
    )
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("read", [from_files, whole_pass])
@pytest.mark.parametrize("damage", ["cut", "page", "page header", "footer", "footer length", "empty", "text"])
def test_a_corrupt_parquet_file_is_named(damage, read, tmp_path):
    path = tmp_path / "rows.parquet"
    content = write_parquet(path)
    if damage == "cut":
        del content[len(content) // 2 : -100]
    elif damage == "page":
        content[500:1500] = b"\xff" * 1000
    elif damage == "page header":
        content[4:40] = b"\xff" * 36
    elif damage == "footer":
        content[-200:-100] = b"\xff" * 100
    elif damage == "footer length":
        content[-8:-4] = b"\xff\xff\xff\x7f"
    path.write_bytes({"empty": b"", "text": b"hello"}.get(damage, content))
    assert "expected a Parquet file" in refusal(read, path)


SPELLINGS = ["1_000", "1_0.5", "1e1_0", "١٢", "１２", "1\u00a0000"]  # noqa: RUF001


@pytest.mark.parametrize("cell", SPELLINGS)
def test_a_number_that_only_python_reads_is_text(cell, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 40 + f"3,{cell}\n", encoding="utf-8")
    message = refusal(from_files, path)
    assert f"expected a finite number in row 42, column 'b'; received {cell!r}" in message
    (batch,) = open_rows(path).batches()
    # Text is infinite, which no model has in its support; NaN is an empty cell.
    assert np.isinf(batch[40, 1]) and np.isfinite(batch).sum() == batch.size - 1


def test_a_column_that_is_not_read_may_hold_anything(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,a_b\n2,ü\n" * 20, encoding="utf-8")
    assert from_files(path, columns=[0], header=False).event_shape == (1,)
    path.write_text("1_0,2_0\n" + "1,2\n" * 40)
    assert from_files(path).event_shape == (2,)  # A first row without numbers names the columns.
