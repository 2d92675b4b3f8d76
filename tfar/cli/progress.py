"""A progress bar for `fit`. Imports Keras: import it late."""

import math
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class EpochBar(keras.callbacks.Callback):
    """One bar over the batches of all epochs, with the loss, the monitored metric and its best value.

    Args:
        epochs: int. Most epochs of the run.
        monitor: str. Which metric to show.
        console: where to draw.
        label: what stands before the bar.
    """

    def __init__(self, epochs: int, monitor: str, console: Console, label: str = "Training") -> None:
        super().__init__()
        self.epochs, self.monitor, self.best = epochs, monitor, math.inf
        self.progress = bar(console)
        self.task = self.progress.add_task(label, total=epochs, note="starting")

    def on_train_begin(self, logs: Any = None) -> None:
        self.progress.start()
        self.progress.update(self.task, completed=min(self.model._initial_epoch or 0, self.epochs))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = self.params.get("steps")
        if steps:
            self.progress.advance(self.task, 1.0 / steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        value = float(logs.get(self.monitor, math.nan))
        self.best = min(self.best, value)
        note = f"epoch {epoch + 1}/{self.epochs}  loss {float(logs.get('loss', math.nan)):.3f}"
        if self.monitor != "loss":
            note += f"  {self.monitor} {value:.3f}"
        self.progress.update(self.task, completed=epoch + 1, note=f"{note}  best {self.best:.3f}")

    def on_train_end(self, logs: Any = None) -> None:
        task = self.progress.tasks[self.task]
        if task.completed < self.epochs:
            self.progress.update(self.task, total=max(task.completed, 1), completed=max(task.completed, 1))
        self.progress.stop()


def bar(console: Console) -> Progress:
    """A progress bar with a note at its end, in the one style of all commands."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
    )
