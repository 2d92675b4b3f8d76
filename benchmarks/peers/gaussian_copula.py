"""A Gaussian copula over columns with masses and densities.

Each cell is an interval of a standard normal variable, between the quantiles of P(X < x) and P(X <= x), or a point of it where
the column has a density. The correlations of the normal variables are fitted by stochastic EM: the variables are drawn
within their intervals given the others, and the correlations are those of the draws (Hoff 2007, section 2.2, without a prior).

The probability of a row with intervals is that of a box under a normal distribution. It is estimated column by column
(Geweke, Hajivassiliou and Keane), which is unbiased: the expected log-probability of this estimate is below the exact one.

References:
    Hoff. Extending the rank likelihood for semiparametric copula estimation. Annals of Applied Statistics 1, 2007.
    Geweke. Efficient simulation from the multivariate normal and Student-t distributions subject to linear constraints. 1991.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from benchmarks.peers.marginals import Marginal

SWEEPS, DRAWS, CHUNK = 40, 400, 250
# Share of independence in the correlations, without which columns that determine each other make them singular.
SHRINKAGE = 1e-3
_SMALLEST = 1e-12


class GaussianCopula:
    """Fits the correlations to rows `[rows, columns]`, given the distribution of each column."""

    def __init__(self, rows: np.ndarray, marginals: Sequence[Marginal], seed: int = 0) -> None:
        # Columns that have a density come first, so that the estimate of a row conditions on what it knows exactly.
        self._order = np.argsort([not marginal.is_density for marginal in marginals], kind="stable")
        self._marginals = [marginals[i] for i in self._order]
        self._generator = np.random.default_rng(seed)
        low, high = self._bounds(rows)
        self.correlations = self._fitted(low, high)

    def _bounds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ends of each cell as a standard normal variable; they are equal where the cell has a density."""
        ends = [m.interval(x) for m, x in zip(self._marginals, rows[:, self._order].T, strict=True)]
        low, high = (special.ndtri(np.clip(np.stack(end, axis=1), 0.0, 1.0)) for end in zip(*ends, strict=True))
        bound = -special.ndtri(_SMALLEST)
        is_point = low == high
        return np.where(is_point, np.clip(low, -bound, bound), low), np.where(
            is_point, np.clip(low, -bound, bound), high
        )

    def _fitted(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        z = special.ndtri(0.5 * (special.ndtr(low) + special.ndtr(high)))
        found = np.zeros((z.shape[1],) * 2)
        for sweep in range(SWEEPS):
            correlations = self._shrunk(np.corrcoef(z, rowvar=False))
            if sweep >= SWEEPS // 2:
                found += correlations / (SWEEPS - SWEEPS // 2)
            precision = np.linalg.inv(correlations)
            for d in range(z.shape[1]):
                scale = 1.0 / math.sqrt(precision[d, d])
                loc = z[:, d] - z @ precision[d] / precision[d, d]
                drawn = self._between((low[:, d] - loc) / scale, (high[:, d] - loc) / scale)[0]
                z[:, d] = np.where(
                    low[:, d] == high[:, d], z[:, d], np.clip(loc + scale * drawn, low[:, d], high[:, d])
                )
        return found

    @staticmethod
    def _shrunk(correlations: np.ndarray) -> np.ndarray:
        return (1.0 - SHRINKAGE) * correlations + SHRINKAGE * np.eye(len(correlations))

    def _between(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draws a standard normal variable between two ends; returns it and the probability of what lies between them."""
        mirrored = low > 0.0  # The lower tail is where `ndtr` is precise.
        low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
        below = special.ndtr(low)
        mass = np.maximum(special.ndtr(high) - below, 0.0)
        level = np.clip(below + self._generator.random(low.shape) * mass, 1e-300, 1.0 - 1e-16)
        drawn = np.clip(special.ndtri(level), low, high)
        return np.where(mirrored, -drawn, drawn), mass

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Returns the estimate of the log-probability or log-density of rows, `[rows]`."""
        parts = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
        return np.concatenate([self._of_chunk(part) for part in parts])

    def _of_chunk(self, rows: np.ndarray) -> np.ndarray:
        low, high = self._bounds(rows)
        factor = np.linalg.cholesky(self.correlations)
        noise = np.zeros((DRAWS, *low.shape))
        score = np.zeros((DRAWS, len(rows)))
        for d, marginal in enumerate(self._marginals):
            loc = noise[..., :d] @ factor[d, :d]
            drawn, mass = self._between((low[:, d] - loc) / factor[d, d], (high[:, d] - loc) / factor[d, d])
            is_point = low[:, d] == high[:, d]
            exact = np.where(is_point, low[:, d], 0.0)
            point = (exact - loc) / factor[d, d]
            noise[..., d] = np.where(is_point, point, drawn)
            # A point has the density of its column times that of the normal variable given the others over that alone.
            ratio = 0.5 * (exact**2 - point**2) - math.log(factor[d, d])
            density = marginal.log_prob(rows[:, self._order[d]]) + ratio
            score += np.where(is_point, density, np.log(np.maximum(mass, 1e-300)))
        return special.logsumexp(score, axis=0) - math.log(DRAWS)
