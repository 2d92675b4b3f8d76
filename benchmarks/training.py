"""Training of a likelihood case: early stopping on the validation set, in a folder that survives a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from benchmarks import results
from benchmarks.cases import LikelihoodCase, Settings
from benchmarks.data import Splits

TRAINED = "trained.weights.h5"
PROGRESS = "progress.json"
DEFAULT_FOLDER = (
    pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tfar" / "benchmarks"
)


class Described(Protocol):
    """Data that can be told from others."""

    def describe(self) -> dict[str, Any]:
        """Returns names, sizes and checksums."""


def case_folder(base: pathlib.Path, case: LikelihoodCase, data: Described, *, fresh: bool = False) -> pathlib.Path:
    """Returns the folder of one case, empty if the run starts afresh.

    Other settings or other data go elsewhere, and are never resumed by mistake.
    """
    identity = json.dumps([case.settings.as_dict(), data.describe()], sort_keys=True)
    folder = base / f"{case.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def train(case: LikelihoodCase, splits: Splits, folder: pathlib.Path) -> tuple[Any, list[dict[str, float]]]:
    """Trains a case, or goes on where an earlier call was stopped, or loads what it finished.

    Returns:
        The distribution with its best weights, and a record of every epoch: losses, and seconds with validation.
    """
    settings = case.settings
    dist, model = case.build(settings, splits.event_size)
    if hasattr(dist, "adapt"):  # a model of real values takes their units out by itself
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
    """Trains a case afresh on its training and validation rows together, for the epochs that were best on validation.

    Args:
        case: the case.
        splits: what it was trained on.
        folder: where that lies; this training goes below it.
        epochs: the records of that training.

    Returns:
        As `train`.
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
        callbacks=make_callbacks(settings, folder, validates=validates, monitor=f"val_{model.score_name}"),
        verbose=0,
    )


def make_optimizer(settings: Settings) -> Any:
    """The Keras optimiser that the settings describe; Adam with weight decay is AdamW."""
    import keras

    average = {} if settings.ema_momentum is None else {"use_ema": True, "ema_momentum": settings.ema_momentum}
    limits = {"weight_decay": settings.weight_decay, "global_clipnorm": settings.clip_norm}
    config = {"learning_rate": settings.learning_rate, **limits, **average}
    return keras.optimizers.get({"class_name": settings.optimizer, "config": config})


def make_callbacks(
    settings: Settings, folder: pathlib.Path, *, validates: bool = True, monitor: str = "val_nll"
) -> list[Any]:
    """Returns the callbacks: backup, moving average of the weights, early stopping and the record of epochs.

    The backup contains the weights that training goes on with, not their average.
    """
    import keras

    import tfar

    callbacks: list[Any] = [tfar.training.Backup(folder / "backup")]
    if settings.ema_momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if settings.decay_epochs:
        callbacks.append(keras.callbacks.LearningRateScheduler(lambda epoch: learning_rate(settings, epoch)))
    if validates:
        callbacks.append(make_stopper(folder, settings, monitor))
    return [*callbacks, make_progress(folder, settings)]


def learning_rate(settings: Settings, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    num_decays = max(0, epoch + 1 - (settings.max_epochs - settings.decay_epochs))
    return settings.learning_rate * settings.decay_factor**num_decays


def make_stopper(folder: pathlib.Path, settings: Settings, monitor: str) -> Any:
    """Early stopping that keeps its best weights and its patience in the folder."""
    import tfar

    return tfar.training.ResumableEarlyStopping(str(folder / "best"), monitor=monitor, patience=settings.patience)


def make_progress(folder: pathlib.Path, settings: Settings) -> Any:
    """A callback that writes the losses and the seconds of every epoch as soon as it ends."""
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
    """The records of the epochs so far."""
    path = folder / PROGRESS
    return json.loads(path.read_text()) if path.exists() else []


def curve(epochs: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """What validation said after 1, 2, 4, 8, ... epochs and after the last, with the seconds until then."""
    seconds = np.cumsum([epoch["seconds"] for epoch in epochs])
    counts = [*(2**k for k in range(len(epochs).bit_length()) if 2**k < len(epochs)), len(epochs)]
    return [
        {"epochs": n, "seconds": round(float(seconds[n - 1]), 1), "valid_nll": round(_validation(epochs[n - 1]), 4)}
        for n in counts
    ]


def _validation(epoch: dict[str, float]) -> float:
    return epoch["val_nll"] if "val_nll" in epoch else epoch["val_neg_elbo"]


def evaluate(
    log_prob: Any, x: np.ndarray, batch_size: int = 500, condition: np.ndarray | None = None
) -> tuple[float, float]:
    """Mean negative log-likelihood of the rows of `x` in nats, given their conditions if there are any, and its standard error.

    Every batch has the same shape (the last is filled up with its first row), so that there is one compilation.
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
    """Mean negative log-likelihood and its standard error of growing numbers of the distribution's orders.

    Every order is evaluated once: larger ensembles hold the smaller ones.
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
    """The rows as a tensor, filled up with the first."""
    import tensorflow as tf

    return tf.constant(np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows), axis=0)]))
