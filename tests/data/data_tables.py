"""Helpers of the data tests: writing files and reading rows."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NO_SPLIT = {"valid_fraction": 0, "test_fraction": 0}
TABLE = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


def rows(dataset) -> np.ndarray:
    return np.concatenate([batch.numpy() for batch in dataset])


def write(folder, kind: str, table: np.ndarray = TABLE):
    path = folder / f"table.{kind}"
    if kind == "npy":
        np.save(path, table)
    elif kind == "npz":
        np.savez(path, x=table)
    elif kind == "csv":
        lines = [",".join(repr(float(v)) for v in row) for row in table]
        path.write_text("\n".join(["a,b,c", *lines]) + "\n")
    else:
        pq.write_table(pa.table({n: table[:, i] for i, n in enumerate("abc")}), path, row_group_size=64)
    return path


def text(folder, content: str, name: str = "table.csv"):
    path = folder / name
    path.write_text(content)
    return path


def digest(x: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(x, np.uint8).tobytes()).hexdigest()[:16]
