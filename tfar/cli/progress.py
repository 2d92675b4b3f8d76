"""Progress bars. This module imports Keras, so commands import it only after they have checked their options."""

import math
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tfar import private


class EpochBar(keras.callbacks.Callback):
    """Keras callback: one progress bar for all epochs, with the current and the best value of the metric `monitor`."""

    def __init__(self, epochs: int, monitor: str, console: Console, label: str = "Training") -> None:
        super().__init__()
        self.epochs, self.monitor, self.best = epochs, monitor, math.inf
        self.progress = bar(console)
        self.task = self.progress.add_task(label, total=epochs, note="starting")

    def on_train_begin(self, logs: Any = None) -> None:
        self.progress.start()
        self.progress.update(self.task, completed=min(private.initial_epoch(self.model), self.epochs))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = self.params.get("steps")
        if steps:
            self.progress.advance(self.task, 1.0 / steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = float((logs or {}).get(self.monitor, math.nan))
        self.best = min(self.best, value)
        name = self.monitor.removeprefix("val_")
        note = f"epoch {epoch + 1}/{self.epochs}  {name} {value:.3f}  best {self.best:.3f}"
        self.progress.update(self.task, completed=epoch + 1, note=note)

    def on_train_end(self, logs: Any = None) -> None:
        task = self.progress.tasks[self.task]
        if task.completed < self.epochs:
            self.progress.update(self.task, total=max(task.completed, 1), completed=max(task.completed, 1))
        self.progress.stop()


def bar(console: Console) -> Progress:
    """Returns a progress bar in the style of all commands, with a note at its end."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
    )
