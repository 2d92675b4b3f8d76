"""Callbacks that survive a kill: a backup after every epoch, and early stopping that remembers."""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfar import files


class Backup(keras.callbacks.Callback):
    """Saves weights, optimiser and epoch after every epoch; `fit` goes on from there when it is started again.

    Unlike `keras.callbacks.BackupAndRestore` there is no moment at which a kill leaves the weights of one epoch beside the
    number of another. It must come before callbacks that change the weights at the end of an epoch (SwapEMAWeights).

    Args:
        folder: where to keep the backup.
        every: int. Epochs between two backups.
    """

    def __init__(self, folder: Any, every: int = 1) -> None:
        super().__init__()
        self.folder, self.every = Path(folder), every

    def on_train_begin(self, logs: Any = None) -> None:
        state = read_json(self.folder / "backup.json")
        if state is not None:
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self.folder / state["weights"])
            self.model._initial_epoch = state["epoch"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every:
            return
        name = f"epoch-{epoch + 1}.weights.h5"
        self.model.save_weights(self.folder / name)
        files.write_json(self.folder / "backup.json", {"epoch": epoch + 1, "weights": name})
        for old in self.folder.glob("epoch-*.weights.h5"):
            if old.name != name:
                old.unlink(missing_ok=True)


class ResumableEarlyStopping(keras.callbacks.Callback):
    """Stops when a metric no longer falls, keeps the best weights in a folder and puts them back at the end.

    What it has seen lies in the folder, so that a run resumed from a backup stops where an unbroken one would.

    Args:
        folder: where to keep `best.weights.h5` and `early_stopping.json`.
        monitor: str. The metric, the lower the better.
        patience: int. Epochs without a better value before the run stops.
    """

    def __init__(self, folder: Any, monitor: str = "val_nll", patience: int = 10) -> None:
        super().__init__()
        self.folder, self.monitor, self.patience = Path(folder), monitor, patience
        self.values: list[float] = []

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest value, from 0."""
        return int(np.argmin(self.values))

    @property
    def _exhausted(self) -> bool:
        return bool(self.values) and len(self.values) - 1 - self.best_epoch >= self.patience

    def on_train_begin(self, logs: Any = None) -> None:
        first = self.model._initial_epoch or 0
        self.values = (read_json(self.folder / "early_stopping.json") or {"values": []})["values"][:first]
        if self._exhausted:
            self.model._initial_epoch = sys.maxsize

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            raise ValueError(f"Expected the metric {self.monitor!r}; received {sorted(logs or {})}.")
        self.values.append(float(value) if np.isfinite(value) else sys.float_info.max)
        if self.best_epoch == len(self.values) - 1:
            self.model.save_weights(self.folder / "best.weights.h5")
        files.write_json(self.folder / "early_stopping.json", {"values": self.values, "best_epoch": self.best_epoch})
        if self._exhausted:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.values:
            self.model.load_weights(self.folder / "best.weights.h5")


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
