"""Runs that are killed, runs on two devices, and the callbacks that make a run resumable."""

import json
import signal

import keras
import numpy as np
import pytest

import tfar
from tfar.training import Backup, DensityModel, ResumableEarlyStopping


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
        left, right = ((tmp_path / f / "early_stopping.json").read_text() for f in "ab")
        np.testing.assert_allclose(json.loads(left)["values"], json.loads(right)["values"], rtol=1e-6)


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup.json", "epoch-2.weights.h5"]
    resumed = make()
    history = resumed.fit(rows, epochs=4, verbose=0, callbacks=[Backup(tmp_path, every=2)])
    assert history.epoch == [2, 3]
    for a, b in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_array_equal(a, b)
    assert make().fit(rows, epochs=4, verbose=0, callbacks=[Backup(tmp_path)]).epoch == []


def test_a_failing_backup_keeps_the_one_before(tmp_path, rows, monkeypatch):
    make().fit(rows, epochs=1, verbose=0, callbacks=[Backup(tmp_path)])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save_weights", fail)
        with pytest.raises(OSError, match="could not write"):
            make().fit(rows, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


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
