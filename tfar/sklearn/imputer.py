"""Imputation of missing cells."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from tfar import random
from tfar.heads.base import check_positive_int
from tfar.optional import require
from tfar.sklearn.base import TableEstimator
from tfar.tables import ConstantColumn, OrdinalColumn, Schema

STRATEGIES = ("draw", "median")
# Rows that are drawn in one call of the model.
MAX_ROWS = 10_000


class Imputer(OneToOneFeatureMixin, TransformerMixin, TableEstimator):
    """Fills missing cells given the other cells of their row, for tables with columns of several kinds and for arrays.

    With strategy="draw", `transform` draws the missing cells of a row jointly from their conditional, so that filled
    columns keep their distribution and their dependencies. `draws` returns several completions, as multiple imputation needs
    them. With strategy="median", `transform` returns the (lower) median of several draws for numbers, times and ordinal
    classes, and the most frequent category for the others.

    A category is drawn among those of the schema. DataFrames in, DataFrames out; arrays in, arrays out, and `set_output`
    chooses otherwise.

    Args:
        strategy: "draw" or "median".
        num_samples: int. Number of draws of which the median is taken.
        network, schema, hidden_units, num_components, network_arguments, epochs, batch_size, learning_rate,
            validation_fraction, patience, verbose, random_state: see `DensityEstimator`. Missing cells are not observed,
            whatever their meaning in the schema. `random_state` also determines what `transform` draws.

    Attributes:
        model_, schema_, history_, n_iter_, n_features_in_, feature_names_in_: see `DensityEstimator`.

    Example:
        >>> import pandas as pd, tfar.sklearn
        >>> df = pd.DataFrame({"age": [31, 44, None, 58] * 25, "sex": ["F", "M", "F", None] * 25})
        >>> imputer = tfar.sklearn.Imputer(hidden_units=[16], epochs=2, random_state=0)
        >>> int(imputer.fit_transform(df).isna().sum().sum())
        0
        >>> len(imputer.draws(df, 3))
        3
    """

    def __init__(
        self,
        *,
        strategy: str = "draw",
        num_samples: int = 20,
        network: str = "orderless",
        schema: Schema | None = None,
        hidden_units: Sequence[int] | None = None,
        num_components: int = 5,
        network_arguments: Mapping[str, Any] | None = None,
        epochs: int = 100,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        validation_fraction: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            network=network,
            schema=schema,
            hidden_units=hidden_units,
            num_components=num_components,
            network_arguments=network_arguments,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation_fraction=validation_fraction,
            patience=patience,
            verbose=verbose,
            random_state=random_state,
        )
        self.strategy = strategy
        self.num_samples = num_samples

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fits the model to the rows of `X`, which may have missing cells.

        Args:
            X: DataFrame, or array `[rows, columns]`.
            y: ignored.

        Raises:
            ValueError: If a parameter is out of range, or a column has no cells.
        """
        if self.strategy not in STRATEGIES:
            raise ValueError(f"Expected `strategy` to be one of {STRATEGIES}; received {self.strategy!r}.")
        check_positive_int("num_samples", self.num_samples)
        df = self._table(X, reset=True)
        self._train(df, self._schema_of(df, "marginalise").with_missing("marginalise"))
        return self

    def transform(self, X: Any) -> Any:
        """Returns `X` with its missing cells filled, in the same form; equal calls give equal results.

        Raises:
            ValueError: If the columns are not those of `fit`, or the network cannot leave unobserved what is missing.
        """
        df, is_drawn = self._table(X), self.strategy == "draw"
        frames = self._completions(df, 1 if is_drawn else self.num_samples, self._seed)
        return self._like(X, frames[0] if is_drawn else medians(frames, self.schema_))

    def draws(self, X: Any, num_samples: int, seed: Any = None) -> list[Any]:
        """Returns several completions of `X`, each in the form of `X`.

        Args:
            X: DataFrame, or array `[rows, columns]`.
            num_samples: int.
            seed: None or int.

        Raises:
            ValueError: If the columns are not those of `fit`, or the network cannot leave unobserved what is missing.
        """
        df, count = self._table(X), check_positive_int("num_samples", num_samples)
        return [self._like(X, frame) for frame in self._completions(df, count, seed)]

    def _like(self, X: Any, df: Any) -> Any:
        """Returns a completed table in the form of `X`."""
        if isinstance(X, require("pandas", "sklearn").DataFrame):
            return df.set_axis(X.columns, axis=1)
        return df.to_numpy(np.float64)

    def _completions(self, df: Any, count: int, seed: Any) -> list[Any]:
        """Returns completed tables; only the rows with missing cells are drawn."""
        pandas = require("pandas", "sklearn")
        rows = _with_constants(df.reset_index(drop=True), self.schema_)
        lacking = rows.isna()[self._modelled()].any(axis=1)
        if not lacking.any():
            return [rows.set_axis(df.index, axis=0) for _ in range(count)]
        whole, repeated = rows[~lacking], pandas.concat([rows[lacking]] * count, keys=range(count))
        filled = self._drawn(repeated, seed)
        # Completed cells may need other dtypes, such as one with more categories.
        whole = whole.astype(filled.dtypes)
        frames = [pandas.concat([whole, filled.loc[draw]]).sort_index() for draw in range(count)]
        return [frame.set_axis(df.index, axis=0) for frame in frames]

    def _modelled(self) -> list[str]:
        return [column.name for column in self.schema_.columns if column.num_sites]

    def _drawn(self, rows: Any, seed: Any) -> Any:
        """Completes each row once, in several calls of the model if there are many."""
        parts = [rows.iloc[i : i + MAX_ROWS] for i in range(0, len(rows), MAX_ROWS)]
        seeds = random.row_seeds(seed, len(parts))
        drawn = [self.model_.complete(part, seed=own) for part, own in zip(parts, seeds, strict=True)]
        return require("pandas", "sklearn").concat(drawn)


def _with_constants(df: Any, schema: Schema) -> Any:
    """Returns a table in which the missing cells of constant columns have their value."""
    constants = [column for column in schema.columns if isinstance(column, ConstantColumn) and column.value is not None]
    lacking = {column.name: column.value for column in constants if df[column.name].isna().any()}
    return df.fillna(lacking) if lacking else df


def medians(frames: Sequence[Any], schema: Schema) -> Any:
    """Returns the lower median over tables of each cell, or its most frequent value for categories without an order.

    Args:
        frames: DataFrames of one shape, index and columns.
        schema: the schema, whose kinds of columns decide.
    """
    pandas, found = require("pandas", "sklearn"), frames[0].copy()
    for column in schema.columns:
        cells = pandas.concat([frame[column.name].reset_index(drop=True) for frame in frames])
        if cells.isna().any():  # a constant column without a value
            continue
        # Numbers of the different values, in their order.
        codes, values = cells.factorize(sort=True)
        if isinstance(column, OrdinalColumn):
            values = pandas.Index(column.categories)
            codes = values.get_indexer(cells)
        codes = np.sort(np.asarray(codes).reshape(len(frames), -1), axis=0)
        if column.kind == "categorical":
            chosen = np.array([np.bincount(of_cell).argmax() for of_cell in codes.T])
        else:
            chosen = codes[(len(frames) - 1) // 2]
        found[column.name] = pandas.Series(values.take(chosen), index=found.index).astype(found[column.name].dtype)
    return found
