"""A likelihood case over the folds of a data set of real values, in comparison with a Gaussian."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import data, results, training
from benchmarks.cases import LikelihoodCase
from benchmarks.data import Splits

LogProb = Callable[[np.ndarray], Any]


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Loads the folds, and trains and evaluates a case on each; with `options.quick` on the first rows of two of them."""
    folds = data.load_folds(case.data)
    folds = [fold.head(data.QUICK_ROWS) for fold in folds[:2]] if options.quick else folds
    return run_case(case, folds, options.folder, command, fresh=options.fresh)


def run_case(
    case: LikelihoodCase, folds: Sequence[Splits], folder: pathlib.Path, command: str, *, fresh: bool = False
) -> results.Result:
    """Trains and evaluates a case on each fold.

    The models are trained on the data in the units of the file, or on standardised data if `case.standardize` is True. Test
    log-likelihoods are reported in the units of the file, and for data standardised by the mean and the standard deviation of
    the training and validation rows of the fold.
    """
    scores, gaussians, epochs, refitted, parameters = [], [], [], [], 0
    for number, splits in enumerate(folds, 1):
        shown = standardized(splits) if case.standardize else splits
        place = training.case_folder(folder, case, shown, fresh=fresh)
        dist, progress = training.train(case, shown, place)
        units = log_units(splits) if case.standardize else 0.0
        valid = -training.evaluate(dist.log_prob, shown.valid)[0] - units
        if case.refit:
            dist, again = training.refit(case, shown, place, progress)
            refitted.append(again)
        scores.append([-training.evaluate(dist.log_prob, shown.test)[0] - units, valid])
        gaussians.append(float(np.mean(gaussian(_training_rows(splits))(splits.test))))
        epochs.append(progress)
        parameters = int(sum(np.prod(v.shape) for v in dist.trainable_variables))
        print(f"fold {number}: {scores[-1][0] + log_units(splits):.3f} after {len(progress)} epochs", flush=True)
    figures = {
        **summary(np.array(scores)[:, 0], folds),
        "valid_log_likelihood": summary(np.array(scores)[:, 1], folds)["test_log_likelihood"],
        "gaussian": summary(np.array(gaussians), folds),
        "epochs": [len(progress) for progress in epochs],
        **({"refitted_epochs": [len(progress) for progress in refitted]} if case.refit else {}),
        "train_seconds": round(sum(epoch["seconds"] for progress in epochs + refitted for epoch in progress), 1),
        "parameters": parameters,
    }
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=case.settings.seed,
        data=describe(folds),
        settings=dataclasses.asdict(case.settings) | {"hidden_units": list(case.settings.hidden_units)},
        figures=figures,
        paper={} if case.paper is None else {"test_log_likelihood": case.paper, "source": case.source},
        targets=case.check(figures["test_log_likelihood"]),
    )


def summary(log_likelihoods: np.ndarray, folds: Sequence[Splits]) -> dict[str, Any]:
    """Returns the mean over the folds in both units, and the standard error and the folds in standardised units."""
    standardized = log_likelihoods + [log_units(splits) for splits in folds]
    return {
        "test_log_likelihood": round(float(standardized.mean()), 4),
        "standard_error": round(float(standardized.std(ddof=1) / np.sqrt(len(folds))), 4),
        "test_log_likelihood_in_units": round(float(log_likelihoods.mean()), 4),
        "folds": [round(float(value), 4) for value in standardized],
    }


def standardized(splits: Splits) -> Splits:
    """Returns the rows standardised by the mean and the standard deviation of the training rows."""
    rows = _training_rows(splits)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    return dataclasses.replace(
        splits, **{name: ((part - mean) / deviation).astype(np.float32) for name, part in parts.items()}
    )


def log_units(splits: Splits) -> float:
    """Returns the amount that standardising adds to a log-likelihood: the sum of the logarithms of the standard deviations."""
    return float(np.log(_training_rows(splits).std(axis=0)).sum())


def gaussian(rows: np.ndarray) -> LogProb:
    """Returns the log-density of the Gaussian with the mean and the full covariance of the training rows."""
    mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False, bias=True)
    inverse, log_det = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]

    def log_prob(x: np.ndarray) -> np.ndarray:
        distance = np.einsum("ni,ij,nj->n", x - mean, inverse, x - mean)
        return -0.5 * (distance + log_det + len(mean) * np.log(2.0 * np.pi))

    return log_prob


def describe(folds: Sequence[Splits]) -> dict[str, Any]:
    """Returns the name, the sizes and the hashes of all folds for the result file."""
    parts = [splits.describe() for splits in folds]
    shared = {name: parts[0][name] for name in ("name", "event_size", "note")}
    return {**shared, "folds": [{name: part[name] for name in ("sizes", "sha256")} for part in parts]}


def _training_rows(splits: Splits) -> np.ndarray:
    return np.concatenate([splits.train, splits.valid]).astype(np.float64)
