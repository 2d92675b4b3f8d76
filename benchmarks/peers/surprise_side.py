"""Matrix factorisation and neighbours of scikit-surprise, and a Gaussian around the former.

https://surpriselib.com. The settings of the matrix factorisation are the best of a search on split 1 of the case.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from benchmarks.cases import Unavailable
from benchmarks.ratings import NUM_RATINGS, Forecast, Method, Ratings, item_histogram

SVD = {"n_factors": 100, "n_epochs": 60, "lr_all": 0.01, "reg_all": 0.1, "random_state": 0}
KNN = {"k": 40, "sim_options": {"name": "pearson_baseline", "user_based": False}, "verbose": False}
# The deviations of the Gaussian that are compared on a tenth of the training ratings.
DEVIATIONS = np.arange(0.8, 1.21, 0.05)


def methods(_: Any = None) -> dict[str, Method]:
    """Returns the methods that stand beside CF-NADE."""
    return {
        "frequencies of the film": item_histogram,
        "Surprise BaselineOnly": functools.partial(_fitted, "BaselineOnly", {"verbose": False}),
        "Surprise KNNBaseline": functools.partial(_fitted, "KNNBaseline", KNN),
        "Surprise SVD": functools.partial(_fitted, "SVD", SVD),
        "Gaussian around SVD": gaussian_around_svd,
    }


def _surprise() -> Any:
    try:
        import surprise
    except ImportError as error:
        raise Unavailable("scikit-surprise is not installed (pip install scikit-surprise)") from error
    return surprise


def _fitted(algorithm: str, arguments: dict[str, Any], train: Ratings, test: Ratings) -> Forecast:
    """Trains an algorithm and returns its predictions."""
    surprise = _surprise()
    import pandas as pd

    frame = pd.DataFrame({"user": train.users, "item": train.items, "rating": train.ratings})
    rows = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, NUM_RATINGS))).build_full_trainset()
    model = getattr(surprise, algorithm)(**arguments)
    model.fit(rows)
    pairs = zip(test.users.tolist(), test.items.tolist(), strict=True)
    return Forecast(np.array([model.predict(user, item).est for user, item in pairs]), None)


def gaussian_around_svd(train: Ratings, test: Ratings) -> Forecast:
    """Returns the mass of a normal around the prediction in the interval of each rating; the outer intervals are open."""
    order = np.random.default_rng(0).permutation(len(train.users))
    held, kept = train.at(order[: len(order) // 10]), train.at(order[len(order) // 10 :])
    means = _fitted("SVD", SVD, kept, held).means
    own = np.arange(len(held.ratings)), held.ratings - 1
    losses = [-np.log(interval_masses(means, deviation)[own]).mean() for deviation in DEVIATIONS]
    best = float(DEVIATIONS[int(np.argmin(losses))])
    forecast = _fitted("SVD", SVD, train, test)
    return Forecast(forecast.means, interval_masses(forecast.means, best))


def interval_masses(means: np.ndarray, deviation: float) -> np.ndarray:
    """Returns the masses `[ratings, 5]` of normals in the intervals of half a star to either side of each rating.

    Example:
        >>> interval_masses(np.array([3.0]), 1.0).round(4).tolist()
        [[0.0668, 0.2417, 0.3829, 0.2417, 0.0668]]
    """
    edges = (np.arange(1.5, NUM_RATINGS) - means[:, None]) / deviation
    inner = 0.5 * (1.0 + np.vectorize(math.erf)(edges / math.sqrt(2.0)))
    ends = np.zeros([len(means), 1]), np.ones([len(means), 1])
    return np.diff(np.concatenate([ends[0], inner, ends[1]], axis=1), axis=1)
