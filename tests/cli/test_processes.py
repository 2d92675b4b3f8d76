"""The command in processes of its own: quick help, a run that is killed and resumed, the demo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

import tfar
from tests.parameters import few_by_default
from tests.training.kill_points import contents, recorded
from tfar.cli import train
from tfar.cli.settings import Settings

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
def test_each_command_reads_a_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_it = command("train", "made", "--data", "digits", "--out", run, "--hidden-units", 8, "--epochs", 1)
    subprocess.run(train_it, check=True, capture_output=True, timeout=300)
    for arguments in (
        ("evaluate", run, "--data", "digits"),
        ("sample", run, "--num-samples", 2, "--out", tmp_path / "samples.npy"),
        ("export", run, "--out", tmp_path / "exported"),
    ):
        done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (arguments, done.stderr)


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
    assert (killed / "journal.json").read_text() == (unbroken / "journal.json").read_text()
    assert contents(killed / "pictures") == contents(unbroken / "pictures")
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in unbroken.iterdir())
    pair = [tfar.load(folder / "model.keras").trainable_variables for folder in (killed, unbroken)]
    for resumed, expected in zip(*pair, strict=True):
        np.testing.assert_array_equal(resumed, expected)
    before = (killed / "metrics.csv").read_text()
    invoke("train", "made", "--out", killed, "--resume")  # A finished run stays as it is.
    assert (killed / "metrics.csv").read_text() == before


def train_settings(epochs: int = 3) -> Settings:
    return Settings(
        data="digits",
        hidden_units=(8,),
        epochs=epochs,
        batch_size=500,
        patience=1,
        ema=0.9,
        arguments={"jit_compile": False},
    )


def trained(out: Path) -> tuple[list[np.ndarray], dict[str, bytes]]:
    """Starts or resumes a run in this process; returns its weights, and its files without those that hold a date."""
    keras.utils.clear_session()  # Files contain names that Keras numbers within a process.
    train.run(train_settings(), out, resume=(out / "config.json").exists(), console=Console(quiet=True), hints=False)
    weights = [np.asarray(v) for v in tfar.load(out / "model.keras").variables]
    return weights, contents(out, besides=("tensorboard", "model.keras", "config.json"))


@pytest.fixture(scope="module")
def killed_runs(tmp_path_factory: Any) -> tuple[list[Path], Any]:
    """A run that was not killed, and its folder before every operation."""
    folder = tmp_path_factory.mktemp("runs")
    with recorded(folder / "unbroken", folder / "points") as recorder:
        expected = trained(folder / "unbroken")
    return recorder.points, expected


@pytest.mark.parametrize("part", few_by_default(range(9), count=0, in_ci=1))
def test_a_run_killed_anywhere_ends_like_an_unbroken_one(part: int, killed_runs: Any) -> None:
    """At every operation on its folder: writing a file, renaming it, removing an old one; a ninth of them at a time."""
    points, (weights, files) = killed_runs
    assert len(points) > 20 and {"journal.json", "metrics.csv", "pictures/epoch-0001.png"} < set(files)
    for point in points[len(points) - 1 - part :: -9]:
        found, own = trained(point)
        assert own == files, point.name
        for a, b in zip(found, weights, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=point.name)


@pytest.mark.slow(ci=True)
def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = command("train", "made", "--data", "digits", "--out", out, "--hidden-units", "16", "--epochs", "500")
    arguments += ["--patience", "500"]
    first = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        while not (out / "journal.json").exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        second = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, timeout=300)
        assert second.returncode == 1 and "another process writes to" in second.stderr
        assert first.poll() is None, first.stderr.read()
    finally:
        first.kill()
        first.wait()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_that_is_killed_twenty_times(tmp_path: Path) -> None:
    """It is killed at a random moment after its epochs have begun; every epoch stands in the log once, and nothing is left."""
    killed, generator = tmp_path / "killed", np.random.default_rng(0)
    options = ["--hidden-units", "16", "--epochs", "60", "--patience", "60", "--ema", "0.9", "--num-masks", "4"]
    arguments, kills = command("train", "made", "--data", "digits", "--out", killed, *options), 0
    while kills < 20:
        journal = killed / "journal.json"
        before = journal.read_text() if journal.exists() else ""
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        arguments = command("train", "made", "--out", killed, "--resume")
        while process.poll() is None and (not journal.exists() or journal.read_text() == before):
            time.sleep(0.005)
        time.sleep(generator.uniform(0.0, 0.3))
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
    assert kills >= 10
    subprocess.run(command("train", "made", "--out", killed, "--resume", "--epochs", 60), check=True, timeout=600)
    unbroken = tmp_path / "unbroken"
    subprocess.run(command("train", "made", "--data", "digits", "--out", unbroken, *options), check=True, timeout=600)
    table = (killed / "metrics.csv").read_text()
    assert [line.split(",")[0] for line in table.splitlines()] == ["epoch", *map(str, range(60))]
    besides = ("tensorboard", "model.keras", "config.json")
    assert contents(killed, besides) == contents(unbroken, besides)


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
