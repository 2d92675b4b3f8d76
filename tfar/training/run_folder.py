"""The folder of a training run: one journal that names the epoch to resume from and everything that belongs to it."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import keras

from tfar import files, model_files, private
from tfar.training.arguments import check_int

JOURNAL = "journal.json"


class Resumable(keras.callbacks.Callback):
    """A callback whose state is committed in the journal of a `Backup`, together with the weights of the same epoch.

    `DensityModel.fit` calls the methods below; the position of the callback among the others does not matter.
    """

    replaced: Sequence[Path] = ()
    """The files that the callback replaces; their names may be patterns. What a kill left of them is removed."""

    def restore(self, state: Any, epoch: int) -> None:
        """Prepares the callback for a run of which `epoch` epochs are finished.

        `state` is what `state()` returned at the end of the last committed epoch, or None if nothing was committed.
        """

    def state(self) -> Any:
        """Returns what the callback needs to continue, as plain JSON."""
        return None

    def committed(self) -> None:
        """Removes files that only an earlier commit needed."""


class Backup(keras.callbacks.Callback):
    """Saves weights and optimizer after every epoch; `fit` continues from there when it is started again.

    The state of every other callback of this module in the same `fit` is committed together with the weights:

        epoch-3.weights.h5   model and optimizer
        journal.json         the epoch, the name of the weights file and the state of the other callbacks

    The weights are saved before any callback sees the end of the epoch, and the journal is replaced after all callbacks
    have seen it. A run that is killed at any moment therefore continues from the last epoch that is complete, and ends like
    a run that was never killed. Callbacks that change the optimizer at the end of an epoch and keep their state to
    themselves, such as `keras.callbacks.ReduceLROnPlateau`, are not covered; nor is `keras.callbacks.EarlyStopping`, for which
    `ResumableEarlyStopping` is the replacement. Other files named `epoch-*.weights.h5` in the folder are removed.

    Args:
        folder: folder of the run. One process at a time can train in it.
        every: int. Number of epochs from one backup to the next.

    Raises:
        ValueError: If `every` is below 1; in `fit`, if the journal or the weights are damaged.
        BlockingIOError: In `fit`, if another process trains in the folder.
    """

    def __init__(self, folder: Any, every: int = 1) -> None:
        super().__init__()
        self.folder, self.every = Path(folder), check_int("every", every, 1)
        self.is_in_run = False
        self.weights: str | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.is_in_run:
            raise ValueError("Expected a Backup in the callbacks of `DensityModel.fit`; received it in another loop.")

    def load(self) -> dict[str, Any] | None:
        """Loads the weights that the journal names into the model; returns the journal, or None if there is none."""
        journal = read_journal(self.folder)
        if journal is None:
            return None
        self.weights = journal["weights"]
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self.model.load_weights(self.folder / journal["weights"])
        return journal

    def save(self, epoch: int) -> None:
        """Saves the weights; nothing refers to them before `commit`."""
        self.weights = f"epoch-{epoch}.weights.h5"
        self.model.save_weights(self.folder / self.weights)

    def commit(self, epoch: int, states: dict[str, Any]) -> None:
        """Replaces the journal: from here on a run resumes from this epoch."""
        journal = {"epoch": epoch, "weights": self.weights, "callbacks": states}
        files.write_json(self.folder / JOURNAL, journal)
        files.sync_folder(self.folder)
        self.remove_others()

    def remove_others(self) -> None:
        """Removes weights that the journal does not name."""
        for path in self.folder.glob("epoch-*.weights.h5"):
            if path.name != self.weights:
                path.unlink(missing_ok=True)


def read_journal(folder: Path) -> dict[str, Any] | None:
    """Reads the journal of a run, or returns None if there is none; ValueError with the path if it is damaged.

    It is a dict of `epoch`, the number of finished epochs, `weights`, the name of a file in the folder, and `callbacks`, the
    state of each callback by name.
    """
    path = Path(folder) / JOURNAL
    if not path.exists():
        return None
    with model_files.reading(path, "the journal of a training run"):
        journal = model_files.read_json(path, "the journal of a training run")
        epoch, callbacks = check_int("epoch", journal["epoch"], 1), dict(journal["callbacks"])
        if epoch >= 2**31:
            raise ValueError(f"expected an epoch below 2**31; received {epoch}")
        return {"epoch": epoch, "weights": file_name(journal["weights"]), "callbacks": callbacks}


def file_name(value: Any) -> str:
    """Returns the name of a weights file, or raises ValueError if it is not one or lies in another folder."""
    if not isinstance(value, str) or not value.endswith(".weights.h5") or Path(value).name != value or "\0" in value:
        raise ValueError(f"expected the name of a weights file; received {value!r}")
    return value


class Run:
    """Joins the resumable callbacks of one `fit` to its `Backup`; a context manager that holds the lock of the folder.

    `callbacks` are the given ones between one that opens the run and one that commits every epoch. With `is_writer` False, as on
    workers, the run reads the backup and leaves writing to the first worker.
    """

    def __init__(self, model: Any, callbacks: Sequence[Any], first_epoch: int = 0, is_writer: bool = True) -> None:
        backups = [callback for callback in callbacks if isinstance(callback, Backup)]
        if len(backups) > 1:
            raise ValueError(f"Expected at most one Backup in the callbacks; received {len(backups)}.")
        self.model, self.first_epoch, self.is_writer = model, first_epoch, is_writer
        self.backup = backups[0] if backups else None
        self.members = _named([callback for callback in callbacks if isinstance(callback, Resumable)])
        opening = keras.callbacks.LambdaCallback(on_train_begin=self._open, on_epoch_end=self._save)
        closing = keras.callbacks.LambdaCallback(on_train_begin=self._begin, on_epoch_end=self._commit)
        self.callbacks = [opening, *callbacks, closing]
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> "Run":
        if self.backup is not None:
            if self.is_writer:
                self._lock.enter_context(files.locked(self.backup.folder))
            self.backup.is_in_run = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        private.set_initial_epoch(self.model, 0)
        if self.backup is not None:
            self.backup.is_in_run = False
        self._lock.close()

    def _open(self, logs: Any) -> None:
        """Restores the run before any other callback sees its beginning."""
        if self.is_writer:
            for path in {path for member in self.members.values() for path in member.replaced}:
                files.sweep(path.parent, path.name)
        if self.backup is None:
            return
        journal = self.backup.load() or {"epoch": self.first_epoch, "callbacks": {}}
        if self.is_writer:
            files.sweep(self.backup.folder)
            self.backup.remove_others()
        private.set_initial_epoch(self.model, journal["epoch"])
        for name in self.members:
            self._restore(name, journal, self.backup.folder / JOURNAL)

    def _restore(self, name: str, journal: dict[str, Any], path: Path) -> None:
        """Restores a callback; an error that is not one of the disk names the journal."""
        try:
            self.members[name].restore(journal["callbacks"].get(name), journal["epoch"])
        except OSError:
            raise
        except Exception as error:
            received = model_files.shortened(" ".join(f"{type(error).__name__}: {error}".split()))
            raise ValueError(
                f"{path}: expected the state of {name} after {journal['epoch']} epochs; received {received}"
            ) from error

    def _begin(self, logs: Any) -> None:
        """Prepares the callbacks of a run without a Backup, which another callback may have started at a later epoch."""
        if self.backup is None:
            for member in self.members.values():
                member.restore(None, private.initial_epoch(self.model) or self.first_epoch)

    def _save(self, epoch: int, logs: Any) -> None:
        if self.backup is None or not self._is_due(self.backup, epoch):
            return
        if self.is_writer:
            self.backup.save(epoch + 1)
        else:  # All workers read the variables, as this can be a collective operation; the first one alone keeps them.
            with tempfile.TemporaryDirectory() as elsewhere:
                self.model.save_weights(Path(elsewhere) / "unused.weights.h5")

    def _commit(self, epoch: int, logs: Any) -> None:
        if self.backup is not None:
            if not (self.is_writer and self._is_due(self.backup, epoch)):
                return
            self.backup.commit(epoch + 1, {name: member.state() for name, member in self.members.items()})
        if self.is_writer:
            for member in self.members.values():
                member.committed()

    def _is_due(self, backup: Backup, epoch: int) -> bool:
        return (epoch + 1) % backup.every == 0


def _named(members: Sequence[Resumable]) -> dict[str, Resumable]:
    """The callbacks by the names under which the journal keeps their states: the class, numbered if it comes twice."""
    named: dict[str, Resumable] = {}
    for member in members:
        name, count = type(member).__name__, 1
        while (key := name if count == 1 else f"{name}-{count}") in named:
            count += 1
        named[key] = member
    return named
