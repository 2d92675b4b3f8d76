"""A run that is killed at any operation on its folder ends, when it is started again, like one that was not."""

import itertools
import shutil

import keras
import numpy as np
import pytest

import tfar
from tests.parameters import few_by_default
from tests.training.kill_points import contents, recorded
from tfar.training import Backup, DensityModel, MetricsLog, ResumableEarlyStopping, SampleGrid, run_folder

VALUES = [5.0, 3.0, 4.0, 2.0]
NAMES = ("backup", "stopping", "metrics", "grid")
EPOCHS = 4
LAST = 3  # Early stopping with a patience of 1 ends the run after the third epoch.


class Scripted(keras.callbacks.Callback):
    """Replaces the metric, so that early stopping acts in the middle of the run."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_nll"] = VALUES[epoch]


class Trainer:
    """Trains the same model again and again from its initial weights, as a new process would, but without compiling anew."""

    def __init__(self, board):
        self.board = board
        dist = tfar.MADE([2, 3], [4], num_masks=None, num_eval_masks=2, order="random", jit_compile=False)
        self.model = DensityModel(dist, seed=3)
        self.model.compile(keras.optimizers.Adam(0.1, use_ema=True), jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        self.initial = self.weights()
        self.rows = np.random.default_rng(0).integers(0, 2, (12, 2, 3)).astype(np.float32)

    def variables(self):
        return [*self.model.dist.variables, *(v.value for v in self.model.optimizer.variables)]

    def weights(self):
        return [np.asarray(variable) for variable in self.variables()]

    def run(self, folder, order=NAMES, epochs=EPOCHS, every=1):
        """Starts the run or goes on with it; returns the weights at its end."""
        for variable, value in zip(self.variables(), self.initial, strict=True):
            variable.assign(value)
        own = {
            "backup": Backup(folder, every=every),
            "stopping": ResumableEarlyStopping(folder, patience=1),
            "metrics": MetricsLog(folder / "metrics.csv"),
            "grid": SampleGrid(self.board, num_samples=2, pictures=folder / "pictures"),
        }
        callbacks = [Scripted(), *(own[name] for name in order)]
        self.epochs = self.model.fit(
            self.rows, validation_data=self.rows[:8], batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks
        ).epoch
        return self.weights()


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return Trainer(tmp_path_factory.mktemp("board"))


def differences(trainer, folder, expected, **how):
    """What differs between a run that is started again in a folder and one that was never killed."""
    weights, files = expected
    found = trainer.run(folder, **how)
    same = all(np.array_equal(a, b) for a, b in zip(found, weights, strict=True))
    now = contents(folder)
    return ([] if same else ["weights"]) + [n for n in {*files, *now} if files.get(n) != now.get(n)]


def failures(trainer, points, expected, **how):
    """The first kill point from which a run does not end like an unbroken one, with what differs or the error."""
    failed = {}
    for point in itertools.takewhile(lambda _: not failed, points):
        try:
            found = differences(trainer, point, expected, **how)
        except Exception as error:
            found = [repr(error)]
        if found:
            failed[point.name] = found
    return failed


def kill_points(trainer, tmp_path, **how):
    """The unbroken run and the states of its folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    with recorded(folder, tmp_path / "points") as recorder:
        weights = trainer.run(folder, **how)
    files = contents(folder)
    assert {folder / name for name in files} <= recorder.written, "a file was written that no kill point comes before"
    return recorder.points, (weights, files)


ORDERS = ["-".join(order) for order in [NAMES[::-1], *list(itertools.permutations(NAMES))[:-1]]]


@pytest.mark.parametrize("order", few_by_default(ORDERS, count=0, in_ci=1))
def test_a_run_killed_anywhere_equals_an_unbroken_one(order, trainer, tmp_path):
    order = order.split("-")
    points, expected = kill_points(trainer, tmp_path, order=order)
    assert len(points) > 4 * LAST, "saving, logging, drawing and committing change the folder several times an epoch"
    assert sorted(expected[1]) == [
        "best-2.weights.h5",
        f"epoch-{LAST}.weights.h5",
        "journal.json",
        "metrics.csv",
        *(f"pictures/epoch-{n:04d}.png" for n in range(1, LAST + 1)),
    ]
    table = expected[1]["metrics.csv"].decode().splitlines()
    assert [line.split(",")[0] for line in table] == ["epoch", *map(str, range(LAST))]
    assert failures(trainer, points, expected, order=order) == {}


@pytest.mark.slow(ci=True)
def test_a_resumed_run_killed_again_equals_an_unbroken_one(trainer, tmp_path):
    points, expected = kill_points(trainer, tmp_path)
    first = points[len(points) // 2]
    with recorded(first, tmp_path / "again") as recorder:
        assert differences(trainer, first, expected) == []
    assert len(recorder.points) > 5
    assert failures(trainer, recorder.points, expected) == {}


@pytest.mark.slow(ci=True)
def test_backups_of_every_second_epoch(trainer, tmp_path):
    points, expected = kill_points(trainer, tmp_path, every=2)
    assert any((point / "best-1.weights.h5").exists() and not (point / "journal.json").exists() for point in points)
    assert failures(trainer, points, expected, every=2) == {}


def before_the_second_commit(points):
    """The kill points of the second epoch, which has the best weights, after these are saved."""
    return [
        point
        for point in points
        if (point / "best-2.weights.h5").exists() and b'"epoch": 1' in (point / "journal.json").read_bytes()
    ]


@pytest.mark.slow(ci=True)
def test_a_shorter_run_forgets_what_was_not_committed(trainer, tmp_path):
    """Killed before the commit of the second epoch, which has the best weights, and started again for one epoch."""
    (tmp_path / "a").mkdir()
    _, expected = kill_points(trainer, tmp_path / "a", epochs=1)
    points, _ = kill_points(trainer, tmp_path)
    uncommitted = before_the_second_commit(points)
    assert len(uncommitted) > 2
    assert failures(trainer, uncommitted, expected, epochs=1) == {}


def test_an_error_in_a_callback_loses_nothing(trainer, tmp_path, monkeypatch):
    """Such as that of a full disk, in the epoch after the backup of the weights and before the commit."""
    _, expected = kill_points(trainer, tmp_path)
    folder = tmp_path / "b"
    with monkeypatch.context() as patch:
        write = MetricsLog._write

        def fail(self):
            if len(self.rows) == 2:
                raise OSError(28, "No space left on device")
            write(self)

        patch.setattr(MetricsLog, "_write", fail)
        with pytest.raises(OSError, match="No space"):
            trainer.run(folder)
    assert differences(trainer, folder, expected) == []
    assert trainer.epochs == [1, 2]


def remove_before_naming(patch):
    commit = Backup.commit
    patch.setattr(Backup, "commit", lambda self, *a: (self.remove_others(), commit(self, *a)))


def commit_before_the_callbacks(patch):
    init = run_folder.Run.__init__

    def wrong(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.callbacks.insert(1, self.callbacks.pop())

    patch.setattr(run_folder.Run, "__init__", wrong)


def forget_early_stopping(patch):
    restore = ResumableEarlyStopping.restore

    def wrong(self, state, epoch):
        restore(self, state and {**state, "values": state["values"][:-1]}, epoch)

    patch.setattr(ResumableEarlyStopping, "restore", wrong)


def remove_the_best_before_the_commit(patch):
    end = ResumableEarlyStopping.on_epoch_end

    def wrong(self, *args):
        end(self, *args)
        self.committed()

    patch.setattr(ResumableEarlyStopping, "on_epoch_end", wrong)


def leave_temporary_files(patch):
    patch.setattr(run_folder.files, "sweep", lambda *args: None)


@pytest.mark.parametrize(
    "fault",
    few_by_default(
        [
            commit_before_the_callbacks,
            remove_before_naming,
            forget_early_stopping,
            remove_the_best_before_the_commit,
            leave_temporary_files,
        ],
        count=0,
        in_ci=1,
    ),
)
def test_the_kill_points_find_planted_faults(fault, trainer, tmp_path, monkeypatch):
    _, expected = kill_points(trainer, tmp_path)
    (tmp_path / "a").mkdir()
    _, shorter = kill_points(trainer, tmp_path / "a", epochs=1)
    with monkeypatch.context() as patch:
        fault(patch)
        (tmp_path / "b").mkdir()
        points, _ = kill_points(trainer, tmp_path / "b")
        copies = [shutil.copytree(point, tmp_path / "c" / point.name) for point in before_the_second_commit(points)]
        found = failures(trainer, copies, shorter, epochs=1) or failures(trainer, points, expected)
    assert found != {}


def test_leftovers_of_a_killed_run_are_removed(trainer, tmp_path):
    expected = trainer.run(tmp_path / "a"), contents(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in (".journal.json.0123abcd.part", ".metrics.csv.0123abcd.part", "pictures/.epoch-2.png.0123abcd.part"):
        (tmp_path / "b" / name).write_bytes(b"half")
    (tmp_path / "b" / "epoch-9.weights.h5").write_bytes(b"x")
    (tmp_path / "b" / "best-9.weights.h5").write_bytes(b"x")
    (tmp_path / "b" / ".model.keras.0123abcd.part.keras").mkdir()
    assert differences(trainer, tmp_path / "b", expected) == []
    assert not (tmp_path / "b" / ".model.keras.0123abcd.part.keras").exists()
