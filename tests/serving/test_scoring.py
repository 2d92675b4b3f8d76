"""Scores of rows larger than memory: what is written, how a broken run goes on, and what is refused."""

import csv
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar.data import open_rows
from tfar.exports import find_export
from tfar.serving import partial_scores, score
from tfar.serving.log_prob import SavedLogProb
from tfar.serving.partial_scores import PartialScores

ROOT = Path(__file__).parents[2]
ROWS = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
BAD = [17, 18, 499]


def export_of(dist, factory, name):
    """An export whose rows were not compared again: that has tests of its own."""
    return tfar.serving.export_saved_model(dist, factory.mktemp("exported") / name).parent


@pytest.fixture(scope="module")
def dist():
    return tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), seed=1)


@pytest.fixture(scope="module")
def export(dist, tmp_path_factory):
    return export_of(dist, tmp_path_factory, "made")


@pytest.fixture(scope="module")
def expected(dist):
    return np.asarray(dist.log_prob(ROWS))


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    return open_rows(tmp_path / "rows.npy", batch_size=40)


@pytest.fixture
def every_batch(monkeypatch):
    """Commits every batch, so that a run that breaks leaves something."""
    monkeypatch.setattr(partial_scores, "COMMIT_SECONDS", 0.0)


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        assert table.schema.names == ["row", "log_prob"]
        rows, scores = (table[name].to_numpy() for name in table.schema.names)
    else:
        with open(path, newline="") as file:
            header, *lines = csv.reader(file)
        assert header == ["row", "log_prob"]
        rows, scores = np.array(lines).T
    np.testing.assert_array_equal(np.asarray(rows, int), np.arange(len(rows)))
    return np.asarray(scores, np.float32)


@pytest.mark.parametrize("suffix", ["csv", "npy", "parquet"])
def test_each_row_gets_its_log_prob(suffix, export, data, expected, tmp_path):
    seen = []
    done = score(export, data, tmp_path / "new" / f"scores.{suffix}", progress=seen.append)
    assert (done.num_rows, done.num_resumed, done.num_nan, done.first_nan) == (500, 0, 0, -1)
    np.testing.assert_allclose(read(done.path), expected, rtol=1e-5)
    assert seen == [*range(0, 500, 40), 500]
    assert os.listdir(done.path.parent) == [f"scores.{suffix}"]


def test_the_three_forms_hold_the_same_floats(export, data, tmp_path):
    first, *others = (read(score(export, data, tmp_path / f"s.{kind}").path) for kind in ("npy", "csv", "parquet"))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_bad_rows_are_nan_and_only_they(export, expected, tmp_path):
    rows = ROWS.copy()
    rows[BAD] = [[0, np.nan, 0], [np.inf, 0, 0], [0, 0, -np.inf]]
    np.save(tmp_path / "rows.npy", rows)
    done = score(export, open_rows(tmp_path / "rows.npy", batch_size=40), tmp_path / "scores.npy")
    assert (done.num_rows, done.num_nan, done.first_nan) == (500, 3, 17)
    scores = np.load(done.path)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(scores)), BAD)
    np.testing.assert_allclose(np.delete(scores, BAD), np.delete(expected, BAD), rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_rows_outside_the_support_and_flat_ones(tmp_path, tmp_path_factory):
    dist = tfar.MADE([2, 2], [8], seed=1)
    rows = np.array([[0, 1, 0, 1], [0, 2, 0, 0], [1, 1, 1, 1]], np.float32)
    np.save(tmp_path / "rows.npy", rows)
    done = score(export_of(dist, tmp_path_factory, "m"), open_rows(tmp_path / "rows.npy"), tmp_path / "s.npy")
    wanted = np.asarray(dist.log_prob(rows[[0, 2]].reshape([2, 2, 2])))
    np.testing.assert_allclose(np.load(done.path)[[0, 2]], wanted, rtol=1e-5)
    assert (done.num_nan, done.first_nan) == (1, 1)


@pytest.mark.parametrize("shape", few_by_default([{"speaker": (2,), "tone": (1,)}, [2]]), ids=["several", "one"])
def test_a_conditional_model_takes_a_dataset_of_dicts(shape, tmp_path, tmp_path_factory):
    dist = tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), conditional_shape=shape, seed=1)
    rng = np.random.default_rng(1)
    shapes = shape if isinstance(shape, dict) else {"": shape}
    condition = {name: rng.normal(size=(500, *s)).astype(np.float32) for name, s in shapes.items()}
    condition = condition if isinstance(shape, dict) else condition[""]
    folder = export_of(dist, tmp_path_factory, "conditional")
    dataset = tf.data.Dataset.from_tensor_slices({"value": ROWS, "conditional_input": condition}).batch(64)
    done = score(folder, dataset, tmp_path / "scores.npy")
    np.testing.assert_allclose(np.load(done.path), dist.log_prob(ROWS, conditional_input=condition), rtol=1e-5)
    with pytest.raises(ValueError, match=r"a conditional model with conditional_.*; received value"):
        score(folder, tf.data.Dataset.from_tensor_slices(ROWS).batch(64), tmp_path / "none.npy")
    assert os.listdir(tmp_path) == ["scores.npy"]


# ---- Runs that break ----


class Broken(Exception):
    """What a test throws in the middle of a run."""


def breaks_after(monkeypatch, batches):
    """Lets only so many batches be scored, and returns the list of the sizes of those that are."""
    call, scored = SavedLogProb.__call__, []

    def scores(self, batch):
        if len(scored) == batches:
            raise Broken
        scored.append(len(batch))
        return call(self, batch)

    monkeypatch.setattr(SavedLogProb, "__call__", scores)
    return scored


@pytest.mark.parametrize("suffix", few_by_default(["csv", "npy", "parquet"]))
def test_a_broken_run_goes_on_and_scores_no_row_again(suffix, export, data, tmp_path, monkeypatch, every_batch):
    unbroken = score(export, data, tmp_path / f"unbroken.{suffix}").path
    out = tmp_path / f"scores.{suffix}"
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(Broken):
            breaks_after(patch, 3)
            score(export, data, out)
        assert not out.exists()
    scored, seen = breaks_after(monkeypatch, 100), []
    done = score(export, data, out, progress=seen.append)
    assert scored == [40] * 6 + [20]
    assert (seen[0], done.num_resumed, done.num_rows) == (240, 240, 500)
    assert out.read_bytes() == unbroken.read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["rows.npy", f"scores.{suffix}", f"unbroken.{suffix}"])


@pytest.mark.slow(ci=True)
def test_what_is_beyond_the_journal_does_not_count(export, data, tmp_path, monkeypatch, every_batch):
    unbroken = score(export, data, tmp_path / "unbroken.npy").path
    with monkeypatch.context() as patch, pytest.raises(Broken):
        breaks_after(patch, 3)
        score(export, data, tmp_path / "scores.npy")
    folder = tmp_path / ".scores.npy.part"
    with open(folder / "log_prob.f32", "ab") as file:
        file.write(b"\x01" * 9999)  # More than the rest of the run will write.
    score(export, data, tmp_path / "scores.npy")
    assert (tmp_path / "scores.npy").read_bytes() == unbroken.read_bytes()


@pytest.mark.slow(ci=True)
def test_a_journal_never_names_what_is_not_synced(export, data, tmp_path, monkeypatch, every_batch):
    events, fsync, write_json = [], os.fsync, partial_scores.files.write_json
    monkeypatch.setattr(
        os, "fsync", lambda number: events.append(os.readlink(f"/proc/self/fd/{number}")) or fsync(number)
    )
    monkeypatch.setattr(
        partial_scores.files,
        "write_json",
        lambda path, content: events.append(content["rows"]) or write_json(path, content),
    )
    score(export, data, tmp_path / "scores.npy")
    counts = [event for event in events if isinstance(event, int)]
    assert counts == [*range(0, 500, 40), 500]
    for rows in counts[1:]:
        assert str(events[events.index(rows) - 1]).endswith("log_prob.f32"), (
            "scores are synced just before their journal"
        )


@pytest.mark.parametrize("what", few_by_default(["rows", "batch size", "model"], count=2))
def test_a_run_with_something_else_is_refused(
    what, export, dist, data, tmp_path, monkeypatch, tmp_path_factory, every_batch
):
    with monkeypatch.context() as patch, pytest.raises(Broken):
        breaks_after(patch, 3)
        score(export, data, tmp_path / "scores.npy")
    if what == "model":
        dist = tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), seed=2)
        export, message = export_of(dist, tmp_path_factory, "made"), "another model saved_model.pb"
    elif what == "rows":
        np.save(tmp_path / "rows.npy", ROWS + 1)
        data, message = (
            open_rows(tmp_path / "rows.npy", batch_size=40),
            r"another data files: expected \[\[\"rows.npy\"",
        )
    else:
        data = open_rows(tmp_path / "rows.npy", batch_size=41)
        message = "another data batch_size: expected 40; received 41"
    with pytest.raises(ValueError, match=rf"the first 120 scores of a run with {message}.*delete the folder"):
        score(export, data, tmp_path / "scores.npy")
    assert json.loads((tmp_path / ".scores.npy.part" / "journal.json").read_text())["rows"] == 120


def test_a_damaged_folder_is_told_so(export, data, tmp_path, monkeypatch, every_batch):
    with monkeypatch.context() as patch, pytest.raises(Broken):
        breaks_after(patch, 3)
        score(export, data, tmp_path / "scores.npy")
    folder = tmp_path / ".scores.npy.part"
    os.truncate(folder / "log_prob.f32", 100)
    with pytest.raises(ValueError, match=r"log_prob.f32 is damaged: expected 120 scores; delete"):
        score(export, data, tmp_path / "scores.npy")
    (folder / "journal.json").write_text('{"rows": 3')
    with pytest.raises(ValueError, match=r"journal.json: expected a journal of scores .delete .* to start again"):
        score(export, data, tmp_path / "scores.npy")


def test_two_runs_at_once_are_refused(tmp_path):
    identity = {"model": {}, "data": {}}
    with PartialScores(tmp_path / "s.npy", identity), pytest.raises(BlockingIOError, match="another process writes to"):
        PartialScores(tmp_path / "s.npy", identity)
    PartialScores(tmp_path / "s.npy", identity)


# ---- Disks that fill up ----


class FileSizeLimit:
    """Lets no file of this process grow beyond a size: the system then refuses to write, as on a full disk."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *error):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.mark.parametrize(
    ("limit", "path", "kept"),
    [(1111, ".scores.csv.part", 240), (3000, "scores.csv", 500)],
    ids=["scoring", "finishing"],
)
def test_a_full_disk_says_so_and_the_run_goes_on(limit, path, kept, export, data, tmp_path, every_batch):
    unbroken = score(export, data, tmp_path / "unbroken.csv").path
    message = rf"could not write .*/{re.escape(path)}: File too large; the first {kept} scores are kept"
    with FileSizeLimit(limit), pytest.raises(OSError, match=message) as caught:
        score(export, data, tmp_path / "scores.csv")
    assert caught.value.errno == errno.EFBIG
    assert not (tmp_path / "scores.csv").exists()
    assert score(export, data, tmp_path / "scores.csv").num_resumed == kept
    assert (tmp_path / "scores.csv").read_bytes() == unbroken.read_bytes()


@pytest.mark.slow(ci=True)
def test_a_full_disk_is_named(export, data, tmp_path, monkeypatch, every_batch):
    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"could not write .*\.part: No space left on device; the first 0 scores"):
            score(export, data, tmp_path / "scores.csv")
    assert score(export, data, tmp_path / "scores.csv").num_rows == 500


# ---- What is refused ----


def test_what_cannot_be_scored_is_refused_and_leaves_nothing(export, data, tmp_path):
    out = tmp_path / "out" / "scores.npy"
    with pytest.raises(ValueError, match=r"ends with .csv, .npy, .parquet; received .*scores.txt"):
        score(export, data, out.with_suffix(".txt"))
    with pytest.raises(ValueError, match=r"is a TFLite file|does not exist"), open(tmp_path / "m.tflite", "w"):
        score(tmp_path / "m.tflite", data, out)
    np.save(tmp_path / "wide.npy", np.zeros([4, 5]))
    with pytest.raises(
        ValueError, match=r"expected value with rows of shape \(3,\), as the model takes; received \(5,\)"
    ):
        score(export, open_rows(tmp_path / "wide.npy"), out)
    np.save(tmp_path / "empty.npy", np.zeros([0, 3]))
    with pytest.raises(ValueError, match="expected rows to score; received none"):
        score(export, open_rows(tmp_path / "empty.npy"), out)
    assert not out.parent.exists() or os.listdir(out.parent) == []
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ValueError, match=r"folder.npy is a folder"):
        score(export, data, tmp_path / "folder.npy")


@pytest.mark.slow(ci=True)
def test_a_damaged_export_is_refused(dist, data, tmp_path):
    version = tfar.serving.export_saved_model(dist, tmp_path / "made")
    assert find_export(version.parent).checksums()
    weights = version / "variables" / "variables.data-00000-of-00001"
    content = bytearray(weights.read_bytes())
    content[20] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"variables.data-.* is damaged: expected the checksum"):
        score(version, data, tmp_path / "scores.npy")


# ---- Processes ----


def run_script(*arguments, timeout=500):
    command = [sys.executable, str(ROOT / "tests" / "serving" / "scoring_script.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout, check=False)


@pytest.mark.slow
def test_runs_killed_at_every_moment_give_the_bytes_of_an_unbroken_one(export, data, tmp_path):
    unbroken = score(export, data, tmp_path / "unbroken.csv").path
    out = tmp_path / "scores.csv"
    done = run_script("killed", export, tmp_path / "rows.npy", out)
    assert done.returncode == 0, done.stderr[-3000:]
    ends = json.loads(done.stdout.splitlines()[-1])
    assert ends.count(-signal.SIGKILL) >= 8 and ends[-1] == 0 and set(ends) == {-signal.SIGKILL, 0}
    assert out.read_bytes() == unbroken.read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["rows.npy", out.name, unbroken.name])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "parquet"])
def test_memory_stays_constant(kind, export, tmp_path):
    """A file of 100 to 200 megabytes takes hardly more than one of a few."""
    done = run_script("memory", export, kind, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    megabytes, growth = map(float, done.stdout.splitlines()[-1].split())
    assert megabytes > 95
    assert growth < 30, f"{growth} megabytes for a file of {megabytes}"
