"""What the estimators share: parameters, the way from arrays to tables, and training."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tfar import random
from tfar.optional import require
from tfar.tables import Schema, TableModel


class TableEstimator(BaseEstimator):
    """Base of the estimators: a `tfar.TableModel` that `fit` makes and trains.

    `X` is a DataFrame, whose columns may be of any kind that `tfar.tables.Schema.infer` finds; or an array of numbers, which are
    real columns. NaN is a missing cell.
    """

    def __init__(
        self,
        *,
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
        self.network = network
        self.schema = schema
        self.hidden_units = hidden_units
        self.num_components = num_components
        self.network_arguments = network_arguments
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.network != "made"
        return tags

    # Tables ----------------------------------------------------------------------------------------------------------

    def _table(self, X: Any, reset: bool = False) -> Any:
        """Returns `X` as a DataFrame with the columns of the schema; `reset` in `fit`, which notes their names."""
        pandas = require("pandas", "sklearn")
        if not reset:
            check_is_fitted(self)
        is_frame = isinstance(X, pandas.DataFrame)
        if is_frame:
            validate_data(self, X, skip_check_array=True, reset=reset)
            if not len(X):
                raise ValueError("Expected rows; found a DataFrame with 0 sample(s).")
        else:
            found = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
            X = pandas.DataFrame(found)
        if reset:
            self._is_frame = is_frame
            self._names = [str(name) for name in X.columns] if is_frame else [f"x{i}" for i in range(X.shape[1])]
        return X.set_axis(self._names, axis=1)

    def _schema_of(self, df: Any, missing: str) -> Schema:
        """Returns the schema of the parameters, or the one of the data: arrays have real columns."""
        if self.schema is not None:
            return self.schema
        kinds = None if self._is_frame else dict.fromkeys(self._names, "real")
        return Schema.infer(df, kinds=kinds, missing=missing)

    # Training --------------------------------------------------------------------------------------------------------

    def _train(self, df: Any, schema: Schema) -> None:
        """Makes `model_` and trains it; rows that are held out decide when to stop."""
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"Expected `validation_fraction` in [0, 1); received {self.validation_fraction!r}.")
        generator = check_random_state(self.random_state)
        self._seed = int(generator.randint(np.iinfo(np.int32).max))
        train, valid = self._split(self._training_rows(df), self.validation_fraction, salt=0)
        self.model_ = TableModel(
            schema,
            self.network,
            hidden_units=self.hidden_units,
            num_components=self.num_components,
            seed=self._seed,
            **(self.network_arguments or {}),
        )
        self.schema_ = self.model_.schema
        stop = keras.callbacks.EarlyStopping(
            monitor="val_nll", mode="min", patience=self.patience, restore_best_weights=True
        )
        self.history_ = self.model_.fit(
            train,
            validation_data=valid,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            verbose=self.verbose,
            callbacks=[] if valid is None else [stop],
        ).history
        self.n_iter_ = len(self.history_["loss"])

    def _training_rows(self, df: Any) -> Any:
        """Returns the rows that training may see."""
        return df

    def _split(self, df: Any, fraction: float, salt: int) -> tuple[Any, Any]:
        """Returns rows to train on and rows to hold out, None if these are too few to hold out one."""
        held_out = int(len(df) * fraction)
        if not held_out:
            return df, None
        shuffled = random.numpy_generator(self._seed, random.Stream.HELD_OUT, salt).permutation(len(df))
        return df.iloc[np.sort(shuffled[held_out:])], df.iloc[np.sort(shuffled[:held_out])]
