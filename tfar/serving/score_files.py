"""Writers of files of scores, one log_prob for each row, in chunks."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tfar.optional import require

Chunks = Iterable[tuple[int, NDArray[np.float32]]]


def _write_npy(file: BinaryIO, chunks: Chunks, num_rows: int) -> None:
    """Writes a float32 array `[N]`."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_rows,)}
    np.lib.format.write_array_header_1_0(file, header)
    for _, scores in chunks:
        file.write(scores.tobytes())


def _write_csv(file: BinaryIO, chunks: Chunks, num_rows: int) -> None:
    """Writes a table of `row`, from 0, and `log_prob`, with nine digits, which restore the float32, or `nan`."""
    file.write(b"row,log_prob\n")
    for first, scores in chunks:
        file.writelines(f"{row},{score:.9g}\n".encode() for row, score in enumerate(scores.tolist(), first))


def _write_parquet(file: BinaryIO, chunks: Chunks, num_rows: int) -> None:
    """Writes a table of `row`, int64 from 0, and `log_prob`, float32."""
    arrow, parquet = require("pyarrow", "data"), require("pyarrow.parquet", "data")
    schema = arrow.schema([("row", arrow.int64()), ("log_prob", arrow.float32())])
    with parquet.ParquetWriter(file, schema) as writer:
        for first, scores in chunks:
            writer.write_table(arrow.table([np.arange(first, first + len(scores)), scores], schema=schema))


WRITERS = {".csv": _write_csv, ".npy": _write_npy, ".parquet": _write_parquet}


def write(path: Path, chunks: Chunks, num_rows: int, suffix: str) -> None:
    """Writes a file of scores in the format of a suffix, and waits until it is on the disk."""
    with open(path, "wb") as file:
        WRITERS[suffix](file, chunks, num_rows)
        file.flush()
        os.fsync(file.fileno())


def check_out(out: Path) -> None:
    """Checks that a file of scores can be written, before the scores are computed."""
    if out.suffix not in WRITERS:
        raise ValueError(f"expected a file of scores that ends with {', '.join(WRITERS)}; received {out}")
    if out.is_dir():
        raise ValueError(f"expected a file of scores; {out} is a folder")
    if out.suffix == ".parquet":
        require("pyarrow.parquet", "data")
