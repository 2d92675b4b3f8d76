"""Density estimation."""

from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tfar.sklearn.scoring import ScoringEstimator


class DensityEstimator(DensityMixin, ScoringEstimator):
    """Density of the rows of a table or an array, as `sklearn.neighbors.KernelDensity` and `GaussianMixture` estimate it.

    The rows of `X` are those of a `tfar.TableModel`, in the units of the data. `fit` stops when the likelihood of rows that
    are held out no longer rises.

    Args:
        network: "orderless" or "transformer", for which any cells may be missing, or "made".
        schema: the `tfar.tables.Schema`, or None to infer it from the rows of `fit`. An array has real columns.
        missing: "marginalise": a missing cell is not observed; or "value": it is a value of its own. For a schema that is
            inferred.
        hidden_units: ints. Units of the hidden layers of "orderless" and "made". None: those of `tfar.TableModel`.
        num_components: int. Components of the mixtures for numbers.
        network_arguments: None, or a dict of further arguments of `tfar.TableModel`, such as the `units` of a transformer.
        epochs: int. Largest number of passes over the rows.
        batch_size: int.
        learning_rate: float. That of Adam.
        validation_fraction: float in [0, 1). Share of the rows that is held out; 0 to train on all for `epochs`.
        patience: int. Number of epochs without a better likelihood of the rows held out, after which training stops.
        verbose: 0, 1 or 2, as in `keras.Model.fit`.
        random_state: None, int or `numpy.random.RandomState`.

    Attributes:
        model_: the `tfar.TableModel`.
        schema_: its schema.
        history_: dict of lists. Loss and likelihoods of each epoch.
        n_iter_: int. Number of epochs.
        n_features_in_: int. Number of columns.
        feature_names_in_: names of the columns of a DataFrame.

    Example:
        >>> import numpy as np, tfar.sklearn
        >>> X = np.random.default_rng(0).normal(size=[200, 2])
        >>> density = tfar.sklearn.DensityEstimator(hidden_units=[16], epochs=2, random_state=0).fit(X)
        >>> density.score_samples(X).shape
        (200,)
    """

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the mean of the log-densities of the rows, as `sklearn.mixture.GaussianMixture` does."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draws rows: a DataFrame if `fit` got one, else an array `[n_samples, columns]`.

        Args:
            n_samples: int.
            random_state: None, int or `numpy.random.RandomState`.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        drawn = self.model_.sample(n_samples, seed=seed)
        return drawn if self._is_frame else drawn.to_numpy(np.float64)
