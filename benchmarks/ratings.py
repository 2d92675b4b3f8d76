"""A likelihood case over five splits of the ratings of MovieLens 100K, in comparison with matrix factorisation and neighbours.

In each split a tenth of all ratings is held out, drawn with a fixed seed. Models are trained on the others, and predict the
ratings that are held out given those. Reported are the negative log-likelihood of a held-out rating and the root mean squared
error of its mean. `python -m benchmarks.likelihood cf_nade` runs it.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data, results, training
from benchmarks.cases import LikelihoodCase, Settings, Unavailable, check
from benchmarks.data import Splits

SEEDS = (1234, 2341, 3412, 4123, 1324)
TEST_SHARE = 0.1
NOTE = "a tenth of the ratings held out in each of five splits with fixed seeds; nats of a held-out rating"
NUM_RATINGS = 5
BATCH = 200
QUICK_USERS = 150
DATA = "movielens_100k"
RMSE_TARGET = 0.893


@dataclasses.dataclass(frozen=True)
class RatingSettings(Settings):
    """Settings of CF-NADE. `item_based`: rows are films and the events are the ratings of all users."""

    item_based: bool = True
    ordinal_weight: float = 0.0
    rank: int | None = None


class Ratings(NamedTuple):
    """Ratings, each of a user and a film; int arrays `[ratings]`."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray

    def at(self, index: Any) -> Ratings:
        """Returns a part of them."""
        return Ratings(*(part[index] for part in self))


class Forecast(NamedTuple):
    """What a method says about held-out ratings: means `[ratings]`, and probabilities `[ratings, 5]` or None."""

    means: np.ndarray
    probs: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class RatingSplits(Splits):
    """Matrices of ratings, in which 0 stands for none; the rows are films if the model is item-based."""

    def examples(self, split: str) -> Any:
        rows = getattr(self, split)
        return {"value": rows, "observed": rows > 0}


def load(quick: bool = False) -> Ratings:
    """Reads MovieLens 100K; `quick` leaves the first users."""
    found = Ratings(*(np.asarray(part, np.int64) for part in data.read(DATA, ("user", "item", "rating"))))
    return found.at(found.users < QUICK_USERS) if quick else found


def split(ratings: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """Returns the ratings for training and those that are held out."""
    order = np.random.default_rng(seed).permutation(len(ratings.users))
    count = int(TEST_SHARE * len(order))
    return ratings.at(np.sort(order[count:])), ratings.at(np.sort(order[:count]))


def matrices(train: Ratings, test: Ratings, *, item_based: bool) -> RatingSplits:
    """Returns the ratings as matrices of users and films, or of films and users."""
    shape = [1 + max(int(a.max()), int(b.max())) for a, b in ((train.users, test.users), (train.items, test.items))]
    parts = []
    for part in (train, test):
        matrix = np.zeros(shape, np.float32)
        matrix[part.users, part.items] = part.ratings
        parts.append(matrix.T.copy() if item_based else matrix)
    return RatingSplits(DATA, parts[0], parts[0][:0], parts[1], NOTE)


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case and its peers on each split; with `options.quick` on two splits of a few users."""
    ratings, seeds = load(options.quick), SEEDS[:2] if options.quick else SEEDS
    splits = [split(ratings, seed) for seed in seeds]
    scores, parts, seconds, epochs = [], [], 0.0, []
    for seed, (train, test) in zip(seeds, splits, strict=True):
        part = matrices(train, test, item_based=case.settings.item_based)
        place = training.case_folder(options.folder, case, part, fresh=options.fresh)
        forecast, progress = ours(case, part, test, place)
        scores.append(score(forecast, test.ratings))
        parts.append(part.describe())
        seconds += sum(epoch["seconds"] for epoch in progress)
        epochs.append(len(progress))
        print(f"split {seed}: {scores[-1]}", flush=True)
    figures = summary(scores)
    figures |= {"epochs": epochs, "train_seconds": round(seconds, 1), "beside": beside(case, splits)}
    target = check("RMSE", "<=", RMSE_TARGET, figures["rmse"])
    shared = {name: parts[0][name] for name in ("name", "event_size", "note")}
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=case.settings.seed,
        data={**shared, "splits": [{name: part[name] for name in ("sizes", "sha256")} for part in parts]},
        settings=case.settings.as_dict(),
        figures={**figures, "rmse_target": target},
        paper={},
        targets=case.check(figures["test_nll"]),
    )


def ours(
    case: LikelihoodCase, splits: RatingSplits, test: Ratings, folder: pathlib.Path
) -> tuple[Forecast, list[dict[str, float]]]:
    """Trains the model, and returns its forecast of the held-out ratings given all others, and the record of its epochs."""
    dist, progress = training.train(case, splits, folder)
    probs = np.concatenate(
        [
            np.asarray(dist.predict_ratings(rows, rows > 0).probs)
            for rows in np.split(splits.train, range(BATCH, len(splits.train), BATCH))
        ]
    )
    rows, columns = (test.items, test.users) if case.settings.item_based else (test.users, test.items)
    return forecast_of(probs[rows, columns]), progress


def forecast_of(probs: np.ndarray) -> Forecast:
    """Returns the forecast of probabilities `[ratings, 5]`."""
    return Forecast(probs @ np.arange(1.0, NUM_RATINGS + 1.0), probs)


def score(forecast: Forecast, ratings: np.ndarray) -> dict[str, float]:
    """Returns the root mean squared error of means, limited to 1 .. 5, and the mean negative log-likelihood."""
    errors = np.clip(forecast.means, 1.0, NUM_RATINGS) - ratings
    found = {"rmse": float(np.sqrt(np.mean(np.square(errors))))}
    if forecast.probs is not None:
        own = forecast.probs[np.arange(len(ratings)), ratings - 1]
        found["nll"] = float(-np.mean(np.log(np.maximum(own, 1e-12))))
    return {name: round(value, 4) for name, value in found.items()}


def summary(scores: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Returns means over the splits, their standard errors and the splits."""
    found: dict[str, Any] = {}
    names = {"rmse": ("rmse", "rmse_error"), "nll": ("test_nll", "standard_error")}
    for name, (mean, error) in names.items():
        values = np.array([own[name] for own in scores if name in own])
        if len(values):
            found[mean] = round(float(values.mean()), 4)
            found[error] = round(float(values.std(ddof=1) / np.sqrt(len(values))), 4)
            found[f"{name}_of_splits"] = values.tolist()
    return found


# Other methods -----------------------------------------------------------------------------------------------------------

Method = Callable[[Ratings, Ratings], Forecast]


def beside(case: LikelihoodCase, splits: Sequence[tuple[Ratings, Ratings]]) -> dict[str, Any]:
    """Returns the summaries of other methods on the same splits, with the seconds of all of them, or why one did not run."""
    found: dict[str, Any] = {}
    for name, method in dict(case.beside(None) if case.beside else {}).items():
        start = time.process_time()
        try:
            scores = [score(method(train, test), test.ratings) for train, test in splits]
        except Unavailable as error:
            found[name] = {"skipped": str(error)}
            continue
        found[name] = {**summary(scores), "seconds": round(time.process_time() - start, 1)}
        print(f"{name}: {found[name]}", flush=True)
    return found


def item_histogram(train: Ratings, test: Ratings) -> Forecast:
    """Returns the frequencies of the ratings of each film, with five ratings of the frequencies of all films added."""
    overall = np.bincount(train.ratings - 1, minlength=NUM_RATINGS) / len(train.ratings)
    counts = np.zeros([1 + max(train.items.max(), test.items.max()), NUM_RATINGS])
    np.add.at(counts, (train.items, train.ratings - 1), 1.0)
    counts += 5.0 * overall
    return forecast_of((counts / counts.sum(axis=1, keepdims=True))[test.items])
