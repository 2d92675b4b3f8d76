"""`tfar score`: its output, its errors, and processes that are killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar


@pytest.fixture(scope="module")
def dist() -> Any:
    return tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), seed=1)


@pytest.fixture(scope="module")
def export(dist: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tfar.serving.export_saved_model(dist, tmp_path_factory.mktemp("exported") / "wine").parent


def words(result: Any) -> str:
    return " ".join(result.output.split())


def test_a_table_with_other_columns_and_gaps(export: Path, dist: Any, invoke: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=[30, 3])
    lines = [f"{i},{','.join(map(repr, row.tolist()))},red" for i, row in enumerate(rows)]
    lines[4] = "4,0.5,,1.5,white"
    (tmp_path / "wine.csv").write_text("id,ph,alcohol,sugar,kind\n" + "\n".join(lines) + "\n")
    out = tmp_path / "scores.csv"
    result = invoke("score", export, tmp_path / "wine.csv", "--out", out, "--columns", "ph,2,sugar", "--batch-size", 7)
    assert "Wrote the log_prob of 30 rows to" in words(result)
    assert "The log_prob of 1 rows is NaN" in words(result) and "the first is row 4." in words(result)
    scores = np.loadtxt(out, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(scores[:, 0], np.arange(30))
    assert np.isnan(scores[4, 1])
    kept = np.arange(30) != 4
    np.testing.assert_allclose(scores[kept, 1], dist.log_prob(rows[kept]), rtol=1e-5)


def test_no_nan_is_said_too(export: Path, invoke: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", a=np.zeros([5, 3]), b=np.ones([6, 3]))
    result = invoke("score", export, tmp_path / "rows.npz", "--key", "b", "--out", tmp_path / "s.npy")
    assert "the log_prob of 6 rows" in words(result) and "The log_prob of 0 rows is NaN." in words(result)


@pytest.mark.parametrize("arguments", ["--no-header", "--header"])
def test_a_header_that_looks_like_numbers(arguments: str, export: Path, invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "years.csv").write_text("2019,2020,2021\n1,2,3\n")
    result = invoke("score", export, tmp_path / "years.csv", arguments, "--out", tmp_path / "s.npy")
    assert f"the log_prob of {1 if arguments == '--header' else 2} rows" in words(result)


def test_what_cannot_be_scored_is_one_line(export: Path, invoke: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros([5, 3]))
    np.save(tmp_path / "wide.npy", np.zeros([5, 4]))

    def refused(*arguments: Any) -> str:
        result = invoke("score", *arguments, code=1)
        (line,) = [line for line in result.stderr.splitlines() if line.strip()]
        assert line.startswith("error: ")
        return line

    out = ("--out", tmp_path / "s.npy")
    assert "does not exist: expected the folder of an exported" in refused(
        tmp_path / "none", tmp_path / "rows.npy", *out
    )
    assert "none.npy does not exist" in refused(export, tmp_path / "none.npy", *out)
    assert "as the model takes; received (4,)" in refused(export, tmp_path / "wide.npy", *out)
    assert "ends with .csv, .npy, .parquet" in refused(export, tmp_path / "rows.npy", "--out", tmp_path / "s.png")
    message = refused(export, tmp_path / "rows.npy", "--out", tmp_path / "rows.npy")
    assert "is one of the files to score" in message
    assert sorted(os.listdir(tmp_path)) == ["rows.npy", "wide.npy"]


def test_a_conditional_export_is_refused(invoke: Any, tmp_path: Path) -> None:
    dist = tfar.MADE([3], [4], conditional_shape=[2], seed=1)
    path = tfar.serving.export_saved_model(dist, tmp_path / "made")
    np.save(tmp_path / "rows.npy", np.zeros([5, 3]))
    message = invoke("score", path, tmp_path / "rows.npy", "--out", tmp_path / "s.npy", code=1).stderr
    assert "needs the input conditional_input, which `tfar score` cannot read from files" in message
    assert "pass tfar.serving.score a tf.data.Dataset of dicts" in message


@pytest.mark.slow
def test_a_killed_command_goes_on(export: Path, invoke: Any, tmp_path: Path) -> None:
    """The rows are text, which is read slowly enough that the process is killed in the middle."""
    rows = np.random.default_rng(0).normal(size=[600_000, 3]).astype(np.float32)
    with open(tmp_path / "rows.csv", "w") as file:
        file.writelines(f"{a:.4f},{b:.4f},{c:.4f}\n" for a, b, c in rows)
    out, journal = tmp_path / "scores.csv", tmp_path / ".scores.csv.part" / "journal.json"
    command = [sys.executable, "-m", "tfar.cli", "score", str(export), str(tmp_path / "rows.csv"), "--out", str(out)]
    command += ["--batch-size", "200"]
    before = 0
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline and rows_in(journal) <= before:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
        assert not out.exists() and rows_in(journal) > before
        before = rows_in(journal)
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert f"{before:,} of them in an earlier run" in done.stdout
    invoke("score", export, tmp_path / "rows.csv", "--batch-size", 200, "--out", tmp_path / "unbroken.csv")
    assert out.read_bytes() == (tmp_path / "unbroken.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "scores.csv", "unbroken.csv"]


def rows_in(journal: Path) -> int:
    found = re.search(r'"rows": (\d+)', journal.read_text()) if journal.exists() else None
    return int(found[1]) if found else 0


def test_an_export_without_log_prob_is_refused_in_words(invoke: Any, tmp_path: Path) -> None:
    version = tmp_path / "darn" / "1"
    (version / "assets.extra").mkdir(parents=True)
    (version / "saved_model.pb").touch()
    description = {"sha256": {}, "versions": {}, "signatures": {"elbo": {}, "encode": {}}}
    (version / "assets.extra" / "tfar.json").write_text(json.dumps(description))
    np.save(tmp_path / "rows.npy", np.zeros([2, 3]))
    result = invoke("score", version.parent, tmp_path / "rows.npy", "--out", tmp_path / "s.npy", code=1)
    assert "expected an export with the signature log_prob; it has elbo, encode" in words(result)
    assert "tfar evaluate" in words(result)
