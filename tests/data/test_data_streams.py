"""Streamed files: when they are read, how much memory they take, and how rows are split by a hash."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from data_tables import text, write

from tfar.data import csv_reader, from_files
from tfar.data.hashing import row_fractions, split_of_rows
from tfar.data.sources import rebatch

ROOT = Path(__file__).parents[2]

# ---- Streaming ----


def test_without_a_scan_nothing_is_read_before_the_first_batch(tmp_path, monkeypatch):
    path = text(tmp_path, "1,2\n" * 50_000)
    parsed = []
    parse = csv_reader.CSVReader._parse
    monkeypatch.setattr(
        csv_reader.CSVReader, "_parse", lambda self, part: parsed.append(len(part)) or parse(self, part)
    )
    splits = from_files(path, batch_size=10, head="NormalMixture", scan=False)
    assert parsed == [] and splits.num_train is None and splits.arrays("train") is None
    assert next(iter(splits.train)).shape == (10, 2)
    assert 0 < sum(parsed) < 50_000
    text(tmp_path, "1,2\n" * 50 + "1,red\n")
    with pytest.raises(tf.errors.InvalidArgumentError, match="row 51, column 1; received 'red'"):
        list(splits.train)


SCAN = """
import os, sys, tracemalloc
from tfar.data import from_files
from tfar.data.sources import rebatch
tracemalloc.start()
splits = from_files(sys.argv[1], batch_size=1000, memory_limit=10**6)
count = sum(len(batch) for batch in rebatch(splits.sources["train"].read(), 1000))
print(count == splits.num_train, splits.arrays("train"), tracemalloc.get_traced_memory()[1], flush=True)
os._exit(0)  # To stop tracemalloc while threads of TensorFlow allocate ends a process.
"""


@pytest.mark.slow(ci=True)
def test_the_scan_reads_each_chunk_and_keeps_none(tmp_path):
    path = write(tmp_path, "npy", np.zeros([400_000, 20], np.float32))  # 32 MB
    done = subprocess.run([sys.executable, "-c", SCAN, path], cwd=ROOT, capture_output=True, text=True, check=True)
    is_counted, arrays, peak = done.stdout.split()
    assert (is_counted, arrays) == ("True", "None")
    assert int(peak) < 8e6


def test_arrays_are_read_once_and_only_below_the_limit(tmp_path):
    path = write(tmp_path, "csv")
    splits = from_files(path, memory_limit=1500)
    assert splits.num_train * 12 > 1500
    assert splits.arrays("train") is None
    valid = splits.arrays("valid")
    assert len(valid) == splits.num_valid
    path.unlink()
    assert splits.arrays("valid") is valid
    with pytest.raises(ValueError, match="one of train, valid, test; received 'dev'"):
        splits.arrays("dev")


# ---- The hash ----


def test_the_hash_is_pinned():
    """A change of these values would move rows between the train and test sets of every user."""
    np.testing.assert_array_equal(
        split_of_rows(0, 0, 20, 0.25, 0.25), [0, 0, 1, 0, 0, 2, 0, 1, 1, 0, 1, 2, 2, 0, 0, 1, 0, 0, 0, 2]
    )
    np.testing.assert_array_equal(row_fractions(7, 100, 50), row_fractions(7, 0, 150)[100:])


def test_the_hash_is_uniform_and_independent_between_seeds():
    u = np.stack([row_fractions(seed, 0, 20_000) for seed in range(5)])
    assert ((u >= 0) & (u < 1)).all()
    for row in u:
        counts = np.histogram(row, bins=20, range=(0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 60  # chi-square, 19 degrees of freedom: p < 1e-5
    correlations = np.corrcoef(u) - np.eye(5)
    assert abs(correlations).max() < 0.05


def test_appended_rows_leave_the_split_of_the_others_alone():
    np.testing.assert_array_equal(split_of_rows(3, 0, 1000, 0.1, 0.1)[:600], split_of_rows(3, 0, 600, 0.1, 0.1))


def test_rebatch_takes_chunks_of_any_length():
    chunks = [np.arange(0, 5), np.arange(5, 5), np.arange(5, 6), np.arange(6, 20)]
    batches = list(rebatch(chunks, 4))
    assert [len(b) for b in batches] == [4, 4, 4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(batches), np.arange(20))
