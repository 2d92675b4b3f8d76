"""What the estimators share that score rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tfar.sklearn.base import TableEstimator
from tfar.tables import Schema


class ScoringEstimator(TableEstimator):
    """Base of the estimators that score rows by their log-density."""

    def __init__(
        self,
        *,
        network: str = "orderless",
        schema: Schema | None = None,
        missing: str = "marginalise",
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
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fits the model to the rows of `X`.

        Args:
            X: DataFrame, or array `[rows, columns]`.
            y: ignored.

        Raises:
            ValueError: If a parameter is out of range, a column has no cells, or the network cannot leave unobserved what is
                missing.
        """
        df = self._table(X, reset=True)
        self._train(df, self._schema_of(df, self.missing))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Returns the log-density of each row in nats, float64 `[rows]`; of its observed cells if some are missing."""
        return self._scores(self._table(X))

    def _scores(self, df: Any) -> NDArray[np.float64]:
        return self.model_.log_prob(df).to_numpy()
