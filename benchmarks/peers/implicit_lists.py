"""Recommendations of positive items by popularity, EASE, and ALS and BPR of the library implicit.

A method takes which items are positive, bool `[users, items]`, and returns scores `[users, items]`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.cases import Unavailable

Scores = Callable[[np.ndarray], np.ndarray]


def popularity(positive: np.ndarray) -> np.ndarray:
    """Returns the number of users of each item, for every user."""
    return np.tile(positive.sum(axis=0).astype(np.float64), [len(positive), 1])


def ease(positive: np.ndarray, regularization: float) -> np.ndarray:
    """Returns the scores of the linear autoencoder with a diagonal of zero, in closed form.

    Steck. Embarrassingly shallow autoencoders for sparse data. WWW 2019, equation 8.
    """
    x = positive.astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return x @ weights


def factors(positive: np.ndarray, model: str, alpha: float = 1.0, **arguments: Any) -> np.ndarray:
    """Returns the scores of a model of the library implicit, trained with `alpha` times the positive items."""
    try:
        import implicit
        from scipy import sparse
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise Unavailable("implicit is not installed (pip install implicit)") from error
    makers = {"als": implicit.als.AlternatingLeastSquares, "bpr": implicit.bpr.BayesianPersonalizedRanking}
    with threadpool_limits(1, "blas"):  # It has threads of its own.
        trained = makers[model](random_state=0, **arguments)
        trained.fit(sparse.csr_matrix(positive.astype(np.float32) * alpha), show_progress=False)
    return np.asarray(trained.user_factors) @ np.asarray(trained.item_factors).T


METHODS: Mapping[str, Scores] = {
    "popularity": popularity,
    "BPR": functools.partial(factors, model="bpr", factors=32, iterations=200),
    "ALS": functools.partial(factors, model="als", factors=64, regularization=20.0, alpha=5.0, iterations=15),
    "EASE": functools.partial(ease, regularization=250.0),
}
