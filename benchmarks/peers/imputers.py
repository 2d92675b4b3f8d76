"""Imputers of scikit-learn, miceforest and tfar on tables with columns of several kinds.

Each function takes training and test rows with missing cells, and returns a `Filled` of the test rows.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from benchmarks.real_tables import Indicators

NEIGHBOURS, MICE_ITERATIONS = 20, 3


@dataclasses.dataclass(frozen=True)
class Filled:
    """What an imputer says of all cells of the columns of a table, observed ones included.

    Attributes:
        weights: for each column of categories, float `[rows, categories]`: how often each category was drawn.
        draws: for each other column, float `[draws, rows]` in deviations of the training rows; one draw for a single value.
    """

    weights: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]


def of_arrays(arrays: Any, codec: Indicators) -> Filled:
    """Returns draws `[draws, rows, values]` of the array of a table: the largest indicator is the category."""
    arrays = np.asarray(arrays)
    weights = {}
    for name, categories in codec.categories.items():
        chosen = arrays[..., codec.slices[name]].argmax(axis=-1)
        weights[name] = (chosen[..., None] == np.arange(len(categories))).sum(axis=0).astype(np.float64)
    return Filled(weights, {name: arrays[..., codec.slices[name].start] for name in codec.units})


def of_means(array: np.ndarray, codec: Indicators, count: int) -> Filled:
    """Returns means `[rows, values]` over `count` rows: those of indicators are shares of categories."""
    weights = {name: count * array[:, codec.slices[name]] for name in codec.categories}
    return Filled(weights, {name: array[None, :, codec.slices[name].start] for name in codec.units})


def simple(codec: Indicators, train: Any, test: Any, draws: int, seed: int) -> Filled:
    """SimpleImputer: the median of numbers, and the shares of categories."""
    from sklearn.impute import SimpleImputer

    train, test = codec.encode(train), codec.encode(test)
    array = SimpleImputer(keep_empty_features=True).fit(train).transform(test)
    medians = SimpleImputer(strategy="median", keep_empty_features=True).fit(train).transform(test)
    for name in codec.units:
        array[:, codec.slices[name]] = medians[:, codec.slices[name]]
    return of_means(array, codec, draws)


def nearest(codec: Indicators, train: Any, test: Any, draws: int, seed: int) -> Filled:
    """KNNImputer: the means of the nearest rows."""
    from sklearn.impute import KNNImputer

    imputer = KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True).fit(codec.encode(train))
    return of_means(imputer.transform(codec.encode(test)), codec, NEIGHBOURS)


def iterative(codec: Indicators, train: Any, test: Any, draws: int, seed: int) -> Filled:
    """IterativeImputer with sample_posterior=True: draws of a linear regression of each column on the others.

    The most frequent category has no column: with all of them, a column would be regressed on the others of the same missing
    cell, which determine it in the training rows and are guesses themselves.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    train, test = codec.encode(train), codec.encode(test)
    left_out = {name: int(np.nanmean(train[:, codec.slices[name]], axis=0).argmax()) for name in codec.categories}
    kept = np.ones(train.shape[1], bool)
    kept[[codec.slices[name].start + category for name, category in left_out.items()]] = False
    imputer = IterativeImputer(sample_posterior=True, random_state=seed, keep_empty_features=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        imputer.fit(train[:, kept])
    arrays = np.zeros((draws, *test.shape))
    for array in arrays:
        array[:, kept] = imputer.transform(test[:, kept])
        for name, category in left_out.items():
            own = array[:, codec.slices[name]]
            own[:, category] = 1.0 - own.sum(axis=1)
    return of_arrays(arrays, codec)


def mice(codec: Indicators, train: Any, test: Any, draws: int, seed: int) -> Filled:
    """miceforest: chained gradient-boosted trees; numbers by predictive mean matching, categories by predicted probabilities.

    The test rows are imputed together with the training rows, because `impute_new_data` of version 6.0.5 begins every iteration
    with the random values of the first. Its default also matches categories by log-odds, which fails where a predicted
    probability is 0.
    """
    import miceforest
    import pandas as pd

    strategy = {name: "fast" if name in codec.categories else "normal" for name in codec.slices}
    rows = _categorised(pd.concat([train, test]), codec)
    how = {"num_datasets": draws, "mean_match_strategy": strategy, "random_state": seed}
    kernel = miceforest.ImputationKernel(rows, **how)
    kernel.mice(MICE_ITERATIONS, verbose=False, n_jobs=1)
    completed = (kernel.complete_data(number).iloc[len(train) :] for number in range(draws))
    return of_arrays([codec.encode(frame) for frame in completed], codec)


def _categorised(frame: Any, codec: Indicators) -> Any:
    """Returns the columns of a table with categories as such, in a form that miceforest takes."""
    import pandas as pd

    kept = frame[list(codec.slices)].copy()
    for name in codec.slices:
        if name in codec.categories:
            kept[name] = pd.Categorical(kept[name].astype(object), codec.categories[name])
        else:
            kept[name] = kept[name].astype(np.float64)
    return kept.reset_index(drop=True)


def ours(codec: Indicators, train: Any, test: Any, draws: int, seed: int, **arguments: Any) -> Filled:
    """`tfar.sklearn.Imputer`: joint draws of the missing cells of a row."""
    import tfar.sklearn

    imputer = tfar.sklearn.Imputer(random_state=seed, **arguments).fit(train)
    return of_arrays([codec.encode(frame) for frame in imputer.draws(test, draws, seed=seed)], codec)
