"""Early stopping that survives a kill."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfar import private
from tfar.training.arguments import check_int
from tfar.training.run_folder import Resumable, file_name


class ResumableEarlyStopping(Resumable):
    """Stops when a metric no longer falls, keeps the best weights in a folder and loads them at the end.

    With a `Backup` in the same `fit`, a resumed run stops where a run that was never killed would.

    Args:
        folder: folder for the best weights, `best-3.weights.h5` after three epochs.
        monitor: str. The metric; lower is better.
        patience: int. Number of epochs without a better value before the run stops.

    Raises:
        ValueError: If `patience` is negative; in `fit`, if there is no such metric, or if the run starts at a later epoch
            and no Backup has kept the values of the epochs before.
    """

    def __init__(self, folder: Any, monitor: str = "val_nll", patience: int = 10) -> None:
        super().__init__()
        self.folder, self.monitor, self.patience = Path(folder), monitor, check_int("patience", patience, 0)
        self.replaced = (self.folder / "best-*.weights.h5",)
        self.values: list[float] = []
        self.weights: str | None = None

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest value, from 0."""
        return int(np.argmin(self.values))

    @property
    def _is_exhausted(self) -> bool:
        return bool(self.values) and len(self.values) - 1 - self.best_epoch >= self.patience

    def restore(self, state: Any, epoch: int) -> None:
        if state is None and epoch > 0:
            raise ValueError(
                f"Expected the values of {self.monitor!r} of the first {epoch} epochs, which a Backup in the same `fit` "
                "keeps; received none."
            )
        try:
            self.values = [] if state is None else [float(value) for value in state["values"]]
            self.weights = None if state is None else file_name(state["weights"])
            if len(self.values) != epoch:
                raise ValueError(f"{len(self.values)} values")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Expected the state of early stopping; the journal contains {state!r}.") from error
        self.committed()
        if self._is_exhausted:
            private.set_initial_epoch(self.model, sys.maxsize)

    def state(self) -> Any:
        return {"values": self.values, "weights": self.weights}

    def committed(self) -> None:
        for path in self.folder.glob("best-*.weights.h5"):
            if path.name != self.weights:
                path.unlink(missing_ok=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            raise ValueError(f"Expected the metric {self.monitor!r}; received {sorted(logs or {})}.")
        self.values.append(float(value) if math.isfinite(value) else sys.float_info.max)
        if self.best_epoch == len(self.values) - 1:
            self.weights = f"best-{epoch + 1}.weights.h5"
            self.model.save_weights(self.folder / self.weights)
        if self._is_exhausted:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.weights is not None:
            self.model.load_weights(self.folder / self.weights)
