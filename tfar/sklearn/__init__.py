"""Estimators for scikit-learn over `tfar.TableModel`; needs `pip install "tfar[sklearn]"`, and is imported by its own name."""

from tfar.optional import require

require("sklearn", "sklearn")
require("pandas", "sklearn")

from tfar.sklearn.density import DensityEstimator  # noqa: E402
from tfar.sklearn.imputer import Imputer  # noqa: E402
from tfar.sklearn.outliers import OutlierDetector  # noqa: E402

__all__ = ["DensityEstimator", "Imputer", "OutlierDetector"]
