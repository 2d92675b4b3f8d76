"""Detection of outliers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin

from tfar.sklearn.scoring import ScoringEstimator
from tfar.tables import Schema

# Salt of the split that holds out rows for p-values.
CALIBRATION = 1


class OutlierDetector(OutlierMixin, ScoringEstimator):
    """Outliers among the rows of a table or an array: those of low density.

        score_samples(x) = log p(x),    predict(x) = -1 if log p(x) < offset_ else 1

    `explain` names the cells that surprise. `p_values` compares a row with rows that are held out: if a row comes from the
    distribution of the training rows, P(p value <= a) <= a whatever the model is.

    The density of a row with missing cells is that of the others, and is higher for that reason. If missing cells are
    signs of outliers, use missing="value".

    Args:
        contamination: float in (0, 0.5]. Share of the rows of `fit` for which `predict` is -1; it decides `offset_`.
        calibration_fraction: float in [0, 1). Share of the rows of `fit` that is held out for `p_values`.
        network, schema, missing, hidden_units, num_components, network_arguments, epochs, batch_size, learning_rate,
            validation_fraction, patience, verbose, random_state: see `DensityEstimator`.

    Attributes:
        offset_: float. `decision_function(X)` is `score_samples(X) - offset_`.
        calibration_scores_: float64, sorted. Scores of the rows that are held out.
        model_, schema_, history_, n_iter_, n_features_in_, feature_names_in_: see `DensityEstimator`.

    Example:
        >>> import numpy as np, tfar.sklearn
        >>> X = np.random.default_rng(0).normal(size=[200, 2])
        >>> detector = tfar.sklearn.OutlierDetector(hidden_units=[16], epochs=2, random_state=0).fit(X)
        >>> detector.predict([[30.0, -30.0]])
        array([-1])
        >>> detector.explain([[30.0, 0.0]]).columns.tolist()
        ['x0', 'x1']

    References:
        Bates et al. Testing for outliers with conformal p-values. Annals of Statistics 51, 2023, section 2.
        https://arxiv.org/abs/2104.08279
    """

    def __init__(
        self,
        *,
        contamination: float = 0.1,
        calibration_fraction: float = 0.1,
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
            missing=missing,
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
        self.contamination = contamination
        self.calibration_fraction = calibration_fraction

    def _train(self, df: Any, schema: Schema) -> None:
        if not 0.0 < self.contamination <= 0.5:
            raise ValueError(f"Expected `contamination` in (0, 0.5]; received {self.contamination!r}.")
        if not 0.0 <= self.calibration_fraction < 1.0:
            raise ValueError(f"Expected `calibration_fraction` in [0, 1); received {self.calibration_fraction!r}.")
        super()._train(df, schema)
        self.offset_ = float(np.percentile(self._scores(df), 100.0 * self.contamination))
        held_out = self._split(df, self.calibration_fraction, CALIBRATION)[1]
        scores = np.zeros(0) if held_out is None else self._scores(held_out)
        self.calibration_scores_ = np.sort(scores)

    def _training_rows(self, df: Any) -> Any:
        return self._split(df, self.calibration_fraction, CALIBRATION)[0]

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Returns `score_samples(X) - offset_`, which is negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Returns -1 for outliers and 1 for other rows, int64 `[rows]`."""
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def p_values(self, X: Any) -> NDArray[np.float64]:
        """Returns the conformal p-value of each row: small for outliers.

            p(x) = (1 + number of held-out rows with a score <= that of x) / (1 + number of held-out rows)

        Raises:
            ValueError: If no row was held out.
        """
        scores = self.score_samples(X)
        count = len(self.calibration_scores_)
        if not count:
            raise ValueError(
                f"Expected rows that were held out; there are none with calibration_fraction={self.calibration_fraction!r}. "
                "Raise it, or fit to more rows."
            )
        lower = np.searchsorted(self.calibration_scores_, scores, side="right").astype(np.float64)
        return (1.0 + lower) / (1.0 + count)

    def explain(self, X: Any, given: str = "before") -> Any:
        """Returns the surprise of each cell, its negative log-density in nats, as a DataFrame.

        Args:
            X: DataFrame or array.
            given: "before": given the columns before it; a row sums to minus its score. "others": given all other columns, which
                does not depend on the order of the columns, and needs network="orderless" or "transformer".

        Raises:
            ValueError: If the network has one order and `given` is "others".
        """
        df = self._table(X)
        return self.model_.explain(df, given)
