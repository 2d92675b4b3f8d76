"""The command in processes of its own: quick help, a run that is killed and resumed, the demo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar

TRAIN = ("--hidden-units", "16", "--epochs", "7", "--patience", "3", "--ema", "0.9", "--num-masks", "4")


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "tfar.cli", *map(str, arguments)]


def test_help_does_not_load_tensorflow() -> None:
    code = (
        "import sys; sys.argv = ['/usr/bin/tfar', '--help']; from tfar.cli import main\n"
        "try: main()\nexcept SystemExit: print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_is_one_line_and_a_code(tmp_path: Path) -> None:
    done = subprocess.run(
        command("sample", tmp_path / "none", "--out", "s.npy"), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


@pytest.mark.slow(ci=True)
def test_a_killed_and_resumed_run_equals_an_unbroken_one(tmp_path: Path, invoke: Any) -> None:
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    process = subprocess.Popen(
        command("train", "made", "--data", "digits", "--out", killed, *TRAIN),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if (killed / "metrics.csv").exists() and len((killed / "metrics.csv").read_text().splitlines()) >= 4:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert not (killed / "model.keras").exists()
    assert "64" in invoke("sample", killed, "--out", tmp_path / "early.npy").output  # The best weights so far.
    invoke("train", "made", "--out", killed, "--resume")
    invoke("train", "made", "--data", "digits", "--out", unbroken, *TRAIN)
    assert (killed / "metrics.csv").read_text() == (unbroken / "metrics.csv").read_text()
    assert (killed / "early_stopping.json").read_text() == (unbroken / "early_stopping.json").read_text()
    pair = [tfar.load(folder / "model.keras").trainable_variables for folder in (killed, unbroken)]
    for resumed, expected in zip(*pair, strict=True):
        np.testing.assert_array_equal(resumed, expected)
    before = (killed / "metrics.csv").read_text()
    invoke("train", "made", "--out", killed, "--resume")  # A finished run stays as it is.
    assert (killed / "metrics.csv").read_text() == before


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = subprocess.run(command("demo", "--out", out, "--quick"), capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    results = json.loads((out / "demo.json").read_text())
    assert len(results["test_nll"]) == 3
    assert set(results["largest_difference_of_log_prob"]) == {"SavedModel", "TFLite"}
    assert all(difference < 1e-3 for difference in results["largest_difference_of_log_prob"].values())
    for name in ("samples", "completions", "surprise"):
        assert (out / "pictures" / f"{name}.png").stat().st_size > 5000
    for nll in results["test_nll"].values():
        assert f"{nll:.2f}" in done.stdout
