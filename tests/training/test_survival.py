"""Runs that are killed, runs on two devices, and the callbacks that make a run resumable."""

import os
import re
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfar
from tests.parameters import few_by_default
from tfar import files
from tfar.training import Backup, DensityModel, MetricsLog, ResumableEarlyStopping, run_folder


@pytest.mark.slow(ci=True)
def test_two_devices_equal_one(start_script, finish):
    """Batches of 8 with last batches of 8, 3 and 1 rows: with 1 the second device has none."""
    assert "equal" in finish(start_script("mirrored_script.py"))


@pytest.mark.parametrize(
    "way",
    [
        pytest.param("backup", marks=pytest.mark.slow(ci=True)),
        *[pytest.param(way, marks=pytest.mark.slow) for way in ("keras", "stopping")],
    ],
)
def test_a_run_resumed_after_kill_9_equals_an_unbroken_one(way, start_script, finish, tmp_path):
    unbroken = start_script("killed_script.py", way, tmp_path / "a", -1, tmp_path / "a.npz")
    finish(start_script("killed_script.py", way, tmp_path / "b", 3, tmp_path / "b.npz"), -signal.SIGKILL)
    assert not (tmp_path / "b.npz").exists()
    finish(start_script("killed_script.py", way, tmp_path / "b", -1, tmp_path / "b.npz"))
    finish(unbroken)
    expected, resumed = np.load(tmp_path / "a.npz"), np.load(tmp_path / "b.npz")
    assert resumed["epochs"][0] == 3 and resumed["epochs"][-1] == expected["epochs"][-1]
    assert sorted(expected) == sorted(resumed)
    for name in set(expected) - {"epochs"}:
        np.testing.assert_allclose(resumed[name], expected[name], atol=1e-6)
    if way == "stopping":
        assert expected["epochs"][-1] < 11, "the run must stop early"
        left, right = (run_folder.read_journal(tmp_path / f)["callbacks"]["ResumableEarlyStopping"] for f in "ab")
        np.testing.assert_allclose(left["values"], right["values"], rtol=1e-6)


# The callbacks in one process -----------------------------------------------------------------------------------------


def make():
    model = DensityModel(tfar.MADE([6], [8], num_masks=2, degrees="random", jit_compile=False), seed=1)
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    return model


def weights(model):
    return [np.asarray(v) for v in [*model.dist.variables, *(v.value for v in model.optimizer.variables)]]


@pytest.mark.slow(ci=True)
def test_backup_keeps_one_epoch_and_resumes(tmp_path, rows):
    unbroken = make()
    unbroken.fit(rows, epochs=4, verbose=0)
    make().fit(rows, epochs=3, verbose=0, callbacks=[Backup(tmp_path, every=2)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch-2.weights.h5", "journal.json"]
    resumed = make()
    history = resumed.fit(rows, epochs=4, verbose=0, callbacks=[Backup(tmp_path, every=2)])
    assert history.epoch == [2, 3]
    for a, b in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_array_equal(a, b)
    assert make().fit(rows, epochs=4, verbose=0, callbacks=[Backup(tmp_path)]).epoch == []


def test_a_failing_backup_keeps_the_one_before(tmp_path, rows, monkeypatch):
    make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", fail)
        with pytest.raises(OSError, match=r"could not write .*epoch-2\.weights\.h5"):
            make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"epoch": 1}',
        b'{"epoch": 0, "weights": "epoch-1.weights.h5", "callbacks": {}}',
        b'{"epoch": 1, "weights": "../other/epoch-1.weights.h5", "callbacks": {}}',
        b'{"epoch": 1, "weights": "/etc/x.weights.h5", "callbacks": {}}',
        b'{"epoch": 1, "weights": 3, "callbacks": {}}',
        b'{"epoch": 1000000000000, "weights": "epoch-1.weights.h5", "callbacks": {}}',
    ],
)
def test_a_damaged_journal_is_named(content, tmp_path, rows):
    (tmp_path / "journal.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"journal\.json"):
        make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])


def test_damaged_weights_are_named(tmp_path, rows):
    make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])
    path = tmp_path / "epoch-1.weights.h5"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: expected weights"):
        make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"epoch-1\.weights\.h5"):
        make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])


@pytest.mark.slow(ci=True)
def test_damaged_best_weights_are_named(tmp_path, rows):
    callbacks = lambda: [Backup(tmp_path), ResumableEarlyStopping(tmp_path, "loss")]  # noqa: E731
    make().fit(rows, epochs=1, verbose=0, callbacks=callbacks())
    (tmp_path / "best-1.weights.h5").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"best-1\.weights\.h5: expected weights"):
        make().fit(rows, epochs=1, verbose=0, callbacks=callbacks())


@pytest.mark.parametrize(
    ("name", "state"),
    few_by_default(
        [
            ("ResumableEarlyStopping", 3),
            ("ResumableEarlyStopping", None),
            ("ResumableEarlyStopping", {"values": [1.0]}),
            ("ResumableEarlyStopping", {"values": [], "weights": "a.weights.h5"}),
            ("ResumableEarlyStopping", {"values": "x", "weights": "a.weights.h5"}),
            ("ResumableEarlyStopping", {"values": [1.0], "weights": "../a.weights.h5"}),
            ("MetricsLog", "x"),
            ("MetricsLog", [1]),
            ("MetricsLog", [{"loss": "1.0"}]),
        ],
        count=2,
    ),
)
def test_a_damaged_state_of_a_callback_is_named(name, state, tmp_path, rows):
    made = lambda: [ResumableEarlyStopping(tmp_path, monitor="loss"), MetricsLog(tmp_path / "a.csv")]  # noqa: E731
    make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path), *made()])
    journal = run_folder.read_journal(tmp_path)
    files.write_json(tmp_path / "journal.json", {**journal, "callbacks": {**journal["callbacks"], name: state}})
    with pytest.raises(ValueError, match=rf"journal\.json: expected the state of {name} after 1 epochs") as refused:
        make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path), *made()])
    assert "\n" not in str(refused.value)


def test_files_that_another_run_is_writing_stay(tmp_path, rows):
    """Two runs may log into one folder: each removes what a killed run left of its own log alone."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / f".{name}.0123abcd.part").write_bytes(b"half")
    make().fit(rows, epochs=1, verbose=0, callbacks=[MetricsLog(tmp_path / "a.csv")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.csv.0123abcd.part", "a.csv"]


HOLDER = """
import sys, time
from tfar import files
with files.locked(sys.argv[1]):
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.mark.slow(ci=True)
def test_one_process_trains_in_a_folder(tmp_path, rows):
    """A second one is refused; a killed one leaves no lock."""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match="another process writes to"):
            make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])
    finally:
        holder.kill()
        holder.wait()
    make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch-1.weights.h5", "journal.json"]


def test_the_lock_is_released_after_an_error(tmp_path, rows):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("fails")

    with pytest.raises(RuntimeError, match="fails"):
        make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path), Fails()])
    assert not (tmp_path / ".lock").exists()


@pytest.mark.slow(ci=True)
def test_a_model_goes_on_where_it_is_told_after_a_resumed_run(tmp_path, rows):
    """The epoch that a Backup sets does not outlive its `fit`."""
    make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    model = make()
    assert model.fit(rows, epochs=3, verbose=0, callbacks=[Backup(tmp_path)]).epoch == [2]
    assert model.fit(rows, epochs=1, verbose=0).epoch == [0]


def test_callbacks_that_need_a_run_say_so(tmp_path, rows):
    with pytest.raises(ValueError, match="at most one Backup"):
        make().fit(rows, verbose=0, callbacks=[Backup(tmp_path), Backup(tmp_path)])
    with pytest.raises(ValueError, match="first 1 epochs"):
        make().fit(rows, epochs=2, initial_epoch=1, verbose=0, callbacks=[ResumableEarlyStopping(tmp_path, "loss")])
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.compile(loss="mse")
    with pytest.raises(ValueError, match="Expected a Backup in the callbacks of"):
        other.fit(np.zeros([2, 2]), np.zeros([2, 1]), verbose=0, callbacks=[Backup(tmp_path)])
    for make_callback in (lambda: Backup(tmp_path, every=0), lambda: ResumableEarlyStopping(tmp_path, patience=None)):
        with pytest.raises(ValueError, match="int of at least"):
            make_callback()


def test_two_callbacks_of_a_class_keep_their_own_state(tmp_path, rows):
    def fit(epochs):
        logs = [MetricsLog(tmp_path / "a.csv"), MetricsLog(tmp_path / "b.csv")]
        make().fit(rows, epochs=epochs, verbose=0, callbacks=[Backup(tmp_path), *logs])

    fit(1)
    (tmp_path / "b.csv").unlink()
    fit(2)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert sorted(run_folder.read_journal(tmp_path)["callbacks"]) == ["MetricsLog", "MetricsLog-2"]


class Scripted(keras.callbacks.Callback):
    """Replaces the metric by given values and remembers the weights of each epoch."""

    def __init__(self, values):
        super().__init__()
        self.values, self.weights = values, {}

    def on_epoch_end(self, epoch, logs=None):
        logs["val_nll"] = self.values[epoch]
        self.weights[epoch] = np.asarray(self.model.dist.variables[0])


VALUES = [5.0, 4.0, 3.0, 3.5, float("nan"), 3.1, 2.0, 1.0]


def test_early_stopping_stops_and_restores_the_best(tmp_path, rows):
    model, scripted = make(), Scripted(VALUES)
    stopping = ResumableEarlyStopping(tmp_path, patience=3)
    history = model.fit(rows, epochs=8, verbose=0, callbacks=[scripted, stopping])
    assert history.epoch == [0, 1, 2, 3, 4, 5] and stopping.best_epoch == 2
    np.testing.assert_array_equal(model.dist.variables[0], scripted.weights[2])
    assert np.any(scripted.weights[5] != scripted.weights[2])


@pytest.mark.parametrize(
    "killed_after, backed_up",
    [(3, 2), *[pytest.param(*own, marks=pytest.mark.slow) for own in ((2, 2), (5, 4), (6, 6))]],
)
def test_early_stopping_remembers(killed_after, backed_up, tmp_path, rows):
    """What it has seen beyond the backup, made every second epoch here, does not count."""

    def fit(epochs, folder):
        model = make()
        backup, stopping = Backup(folder, every=2), ResumableEarlyStopping(folder, patience=3)
        stopping.on_train_end = lambda logs=None: None if epochs < 8 else ResumableEarlyStopping.on_train_end(stopping)
        history = model.fit(rows, epochs=epochs, verbose=0, callbacks=[Scripted(VALUES), backup, stopping])
        return model, history.epoch, stopping

    unbroken, _, _ = fit(8, tmp_path / "a")
    fit(killed_after, tmp_path / "b")
    resumed, epochs, stopping = fit(8, tmp_path / "b")
    assert epochs == list(range(backed_up, 6)) and stopping.best_epoch == 2
    np.testing.assert_array_equal(resumed.dist.variables[0], unbroken.dist.variables[0])


def test_early_stopping_needs_its_metric(tmp_path, rows):
    with pytest.raises(ValueError, match="'val_nll'"):
        make().fit(rows, epochs=1, verbose=0, callbacks=[ResumableEarlyStopping(tmp_path)])
