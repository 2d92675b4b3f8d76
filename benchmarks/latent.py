"""Test results of a model with a latent variable: both bounds, and how much the latent says."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks import data, training
from benchmarks.cases import LikelihoodCase
from benchmarks.data import Splits

# Training rows of the linear probe.
NUM_PROBE_ROWS = 10_000


def evaluate(case: LikelihoodCase, dist: Any, splits: Splits) -> dict[str, Any]:
    """Returns the negative importance-weighted bound and the negative bound of the test rows, and the use of the latent.

    Every batch of rows has latents of its own.
    """
    from tfar.training.latents import ACTIVE_VARIANCE

    rows, count, seeds = splits.test[: case.eval_rows], case.settings.importance_samples, itertools.count()
    batch_size = 500 if rows.shape[1] < 500 else 100
    test, error = training.evaluate(
        lambda x: dist.importance_log_prob(x, count, seed=next(seeds)), rows, batch_size=batch_size
    )
    probe = {"probe_accuracy": round(probe_accuracy(case, dist, splits), 4)} if case.linear_probe else {}
    valid, _ = training.evaluate(lambda x: dist.elbo(x, seed=next(seeds)), splits.valid)
    bound, bound_error = training.evaluate(lambda x: dist.elbo(x, seed=next(seeds)), rows)
    terms = [dist.evaluate(part, seed=next(seeds)) for part in np.array_split(rows, -(-len(rows) // 500))]
    means = np.concatenate([np.asarray(part["latent_mean"]) for part in terms])
    divergence = np.concatenate([np.asarray(part["kl"]) for part in terms])
    return {
        "test_nll": round(test, 4),
        "standard_error": round(error, 4),
        "test_bound": round(bound, 4),
        "bound_standard_error": round(bound_error, 4),
        "valid_bound": round(valid, 4),
        "bound_gap": round(bound - test, 4),
        "kl": round(float(divergence.mean()), 4),
        "kl_per_bit": round(float(divergence.mean()) / means.shape[1], 4),
        "active_bits": int((means.var(axis=0) > ACTIVE_VARIANCE).sum()),
        **probe,
        **({} if case.eval_rows is None else {"test_rows": len(rows)}),
    }


def probe_accuracy(case: LikelihoodCase, dist: Any, splits: Splits) -> float:
    """Returns the share of test rows whose class a linear function of the latent finds.

    The function of the means of q(z | x) is the least-squares fit to the one-hot classes of the training rows.
    """
    classes = data.load(case.data, with_classes=True).classes or {}
    features = {}
    for split, rows in (("train", splits.train[:NUM_PROBE_ROWS]), ("test", splits.test)):
        parts = np.array_split(rows, -(-len(rows) // 500))
        means = np.concatenate([np.asarray(dist.evaluate(part)["latent_mean"]) for part in parts])
        features[split] = np.column_stack([np.ones(len(means)), means])
    weights = np.linalg.lstsq(features["train"], classes["train"][: len(features["train"])], rcond=None)[0]
    found = (features["test"] @ weights).argmax(axis=1)
    return float(np.mean(found == classes["test"][: len(found)].argmax(axis=1)))
