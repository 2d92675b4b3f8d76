"""Training of a likelihood case with early stopping and a folder from which it can be resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.cases import LikelihoodCase, Settings
from benchmarks.data import Splits

TRAINED = "trained.weights.h5"
PROGRESS = "progress.json"
DEFAULT_FOLDER = (
    pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tfar" / "benchmarks"
)


def case_folder(base: pathlib.Path, case: LikelihoodCase, splits: Splits) -> pathlib.Path:
    """Returns the folder of a case. Its name depends on the settings and the data, so that other runs use other folders."""
    identity = json.dumps([case.settings.as_dict(), splits.describe()], sort_keys=True)
    return base / f"{case.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def train(case: LikelihoodCase, splits: Splits, folder: pathlib.Path) -> tuple[Any, list[dict[str, float]]]:
    """Trains a case. It resumes an unfinished training and loads the result of a finished one.

    Returns:
        The distribution with its best weights, and a record of every epoch: losses, and seconds including validation.
    """
    settings = case.settings
    dist, model = case.build(settings, splits.event_size)
    if hasattr(dist, "adapt"):  # A model of real values standardises them itself.
        dist.adapt(splits.train)
    model.compile(optimizer=make_optimizer(settings), jit_compile=case.jit_compile)
    finished = folder / TRAINED
    if finished.exists():
        model.optimizer.build(model.trainable_variables)
        model.load_weights(finished)
    else:
        _fit(model, splits, settings, folder)
        partial = folder / f"partial.{TRAINED}"
        model.save_weights(partial)
        os.replace(partial, finished)
    return dist, read_progress(folder)


def refit(
    case: LikelihoodCase, splits: Splits, folder: pathlib.Path, epochs: Sequence[dict[str, float]]
) -> tuple[Any, list[dict[str, float]]]:
    """Trains a case again on training and validation rows together, for the number of epochs with the best validation loss.

    Args:
        case: the case.
        splits: the data of the first training.
        folder: the folder of the first training. This training uses a subfolder.
        epochs: the records of the first training.

    Returns:
        As in `train`.
    """
    best = 1 + int(np.argmin([epoch["val_nll"] for epoch in epochs]))
    constant = case.settings.max_epochs - case.settings.decay_epochs
    settings = dataclasses.replace(case.settings, max_epochs=best, decay_epochs=max(0, best - constant))
    case = dataclasses.replace(case, settings=settings)
    rows = np.concatenate([splits.train, splits.valid])
    return train(case, dataclasses.replace(splits, train=rows, valid=splits.valid[:0]), folder / "refit")


def _fit(model: Any, splits: Splits, settings: Settings, folder: pathlib.Path) -> None:
    """Trains with early stopping, or for all epochs if there are no validation rows."""
    folder.mkdir(parents=True, exist_ok=True)
    validates = len(splits.valid) > 0
    model.fit(
        splits.examples("train"),
        validation_data=splits.examples("valid") if validates else None,
        epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        callbacks=make_callbacks(settings, folder, validates=validates),
        verbose=0,
    )


def make_optimizer(settings: Settings) -> Any:
    """Returns the Keras optimiser of the settings. Adam with weight decay is AdamW."""
    import keras

    average = {} if settings.ema_momentum is None else {"use_ema": True, "ema_momentum": settings.ema_momentum}
    limits = {"weight_decay": settings.weight_decay, "global_clipnorm": settings.clip_norm}
    config = {"learning_rate": settings.learning_rate, **limits, **average}
    return keras.optimizers.get({"class_name": settings.optimizer, "config": config})


def make_callbacks(settings: Settings, folder: pathlib.Path, *, validates: bool = True) -> list[Any]:
    """Returns the callbacks: backup, moving average of the weights, early stopping and the record of epochs.

    The backup is the first, because it must save the weights themselves and not their moving average.
    """
    import keras

    callbacks = [
        keras.callbacks.BackupAndRestore(str(folder / "backup"), double_checkpoint=True, delete_checkpoint=False)
    ]
    if settings.ema_momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if settings.decay_epochs:
        callbacks.append(keras.callbacks.LearningRateScheduler(lambda epoch: learning_rate(settings, epoch)))
    if validates:
        callbacks.append(make_stopper(folder, settings))
    return [*callbacks, make_progress(folder, settings)]


def learning_rate(settings: Settings, epoch: int) -> float:
    """Returns the learning rate of an epoch, counted from 0."""
    num_decays = max(0, epoch + 1 - (settings.max_epochs - settings.decay_epochs))
    return settings.learning_rate * settings.decay_factor**num_decays


def make_stopper(folder: pathlib.Path, settings: Settings) -> Any:
    """Returns the callback for early stopping, which stores its best weights and its state in the folder."""
    import tfar

    return tfar.training.ResumableEarlyStopping(str(folder / "best"), patience=settings.patience)


def make_progress(folder: pathlib.Path, settings: Settings) -> Any:
    """Returns a callback that writes the losses and the seconds at the end of every epoch."""
    import keras

    class Progress(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            record = {"epoch": epoch, "seconds": round(time.perf_counter() - self.start, 3)}
            record |= {name: float(value) for name, value in (logs or {}).items()}
            results.write_json([*read_progress(folder)[:epoch], record], folder / PROGRESS)
            print(f"epoch {epoch + 1}/{settings.max_epochs}: {record}", flush=True)

    return Progress()


def read_progress(folder: pathlib.Path) -> list[dict[str, float]]:
    """Returns the records of the epochs so far."""
    path = folder / PROGRESS
    return json.loads(path.read_text()) if path.exists() else []


def curve(epochs: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Returns the validation losses after 1, 2, 4, 8, ... epochs and after the last epoch, with the seconds so far."""
    seconds = np.cumsum([epoch["seconds"] for epoch in epochs])
    counts = [*(2**k for k in range(len(epochs).bit_length()) if 2**k < len(epochs)), len(epochs)]
    return [
        {"epochs": n, "seconds": round(float(seconds[n - 1]), 1), "valid_nll": round(epochs[n - 1]["val_nll"], 4)}
        for n in counts
    ]


def evaluate(
    log_prob: Any, x: np.ndarray, batch_size: int = 500, condition: np.ndarray | None = None
) -> tuple[float, float]:
    """Returns the mean negative log-likelihood of the rows of `x` in nats, and its standard error.

    The last batch is padded with its first row to the size of the others, so that log_prob is compiled only once.
    """
    batch_size = min(batch_size, len(x))
    found = []
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        given = {} if condition is None else {"conditional_input": _padded(condition[part], batch_size)}
        scores = np.asarray(log_prob(_padded(x[part], batch_size), **given), np.float64)
        found.append(scores[: len(x[part])])
    nll = -np.concatenate(found)
    return float(nll.mean()), float(nll.std(ddof=1) / np.sqrt(len(nll)))


def evaluate_orders(
    dist: Any, x: np.ndarray, numbers: Sequence[int], batch_size: int = 100
) -> dict[int, tuple[float, float]]:
    """Returns the mean negative log-likelihood and its standard error for several numbers of orders.

    Every order is evaluated once, because a larger ensemble contains the orders of the smaller ones.
    """
    import tensorflow as tf

    member = tf.function(lambda rows, k: dist.law.member(k).log_prob(rows, None), jit_compile=dist.jit_compile)
    batch_size = min(batch_size, len(x))
    totals: dict[int, list[np.ndarray]] = {count: [] for count in numbers}
    for start in range(0, len(x), batch_size):
        rows = x[start : start + batch_size]
        padded = _padded(rows, batch_size)
        total = np.full(len(rows), -np.inf)
        for k in range(max(numbers)):
            total = np.logaddexp(total, np.asarray(member(padded, tf.constant(k)), np.float64)[: len(rows)])
            if k + 1 in totals:
                totals[k + 1].append(np.log(k + 1) - total)
    nll = {count: np.concatenate(parts) for count, parts in totals.items()}
    return {count: (float(v.mean()), float(v.std(ddof=1) / np.sqrt(len(v)))) for count, v in nll.items()}


def _padded(rows: np.ndarray, batch_size: int) -> Any:
    """Returns the rows as a tensor, padded with the first row to `batch_size` rows."""
    import tensorflow as tf

    return tf.constant(np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows), axis=0)]))
