"""Distributions of single columns of an encoded table, which the peers of `benchmarks.table_likelihood` build upon.

The values are those of `tfar.tables.Schema.encode`, so a peer has the base measure of the model: counting measure for classes,
whole numbers and the atoms of real columns, Lebesgue measure for other real numbers.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from scipy import special

# Components of the mixture of normals of a column of numbers.
COMPONENTS = 10
# Pseudo-rows of the smooth part among frequencies of whole numbers; the validation rows decide.
PSEUDO_ROWS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
# Bins of a column of numbers, apart from its atoms.
BINS = 30


class Marginal(abc.ABC):
    """The distribution of a column, and a division of its values into codes 0 .. num_codes - 1.

    Attributes:
        num_codes: int.
        is_density: whether it has a density away from its atoms.
    """

    num_codes: int
    is_density = False

    @abc.abstractmethod
    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Returns the log-probability or log-density of values, `[rows]`."""

    @abc.abstractmethod
    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns P(X < x) and P(X <= x); classes without an order are ordered by their frequencies."""

    @abc.abstractmethod
    def codes(self, x: np.ndarray) -> np.ndarray:
        """Returns the code of values, int `[rows]`."""

    @property
    @abc.abstractmethod
    def code_probs(self) -> np.ndarray:
        """The probability of each code."""

    def within(self, x: np.ndarray) -> np.ndarray:
        """Returns the log-probability or log-density of values given their codes."""
        return self.log_prob(x) - np.log(self.code_probs[self.codes(x)])


class ClassMarginal(Marginal):
    """Frequencies of classes; all classes together have one pseudo-row."""

    def __init__(self, x: np.ndarray, num_classes: int, *, has_order: bool) -> None:
        counts = np.bincount(x.astype(int), minlength=num_classes) + 1.0 / num_classes
        self.num_codes = num_classes
        self._probs = counts / counts.sum()
        order = np.arange(num_classes) if has_order else np.argsort(-counts, kind="stable")
        self._upper = np.zeros(num_classes)
        self._upper[order] = np.cumsum(self._probs[order])

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        return np.log(self._probs[x.astype(int)])

    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        upper = self._upper[x.astype(int)]
        return upper - self._probs[x.astype(int)], upper

    def codes(self, x: np.ndarray) -> np.ndarray:
        return x.astype(int)

    @property
    def code_probs(self) -> np.ndarray:
        return self._probs


class NormalMixture:
    """A mixture of normals of one column, fitted by EM."""

    def __init__(self, x: np.ndarray, loc: float, scale: float) -> None:
        from sklearn.mixture import GaussianMixture

        count = min(COMPONENTS, len(np.unique(x)) // 2)
        self.weights, self.loc, self.scale = np.ones(1), np.full(1, loc), np.full(1, scale)
        if count:
            fitted = GaussianMixture(count, reg_covar=1e-6, random_state=0).fit((x[:, None] - loc) / scale)
            self.weights = fitted.weights_
            self.loc = loc + scale * fitted.means_[:, 0]
            self.scale = scale * np.sqrt(fitted.covariances_[:, 0, 0])

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        z = (x[:, None] - self.loc) / self.scale
        return special.logsumexp(-0.5 * (z**2 + np.log(2.0 * np.pi)) - np.log(self.scale), axis=1, b=self.weights)

    def cdf(self, x: Any) -> np.ndarray:
        return special.ndtr((np.asarray(x)[..., None] - self.loc) / self.scale) @ self.weights


class WholeNumbers:
    """Frequencies of whole numbers, with pseudo-rows of a mixture of normals that is rounded and has no mass below `low`."""

    def __init__(self, x: np.ndarray, valid: np.ndarray, mixture: NormalMixture, low: float) -> None:
        self._mixture, self._low, self._below = mixture, low, mixture.cdf(low - 0.5)
        self._values, self._counts = np.unique(x, return_counts=True)
        self._before = np.concatenate([[0], np.cumsum(self._counts)])
        scores = {}
        for self._pseudo in PSEUDO_ROWS:
            scores[self._pseudo] = self.log_prob(valid).mean() if len(valid) else 0.0
        self._pseudo = max(scores, key=scores.__getitem__)

    def cdf(self, x: Any) -> np.ndarray:
        """Returns P(X <= x)."""
        x = np.floor(x)
        smooth = np.maximum(self._mixture.cdf(x + 0.5) - self._below, 0.0) / (1.0 - self._below)
        counted = self._before[np.searchsorted(self._values, x, side="right")]
        return (counted + self._pseudo * smooth) / (self._before[-1] + self._pseudo)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        smooth = np.maximum(self._mixture.cdf(x + 0.5) - self._mixture.cdf(x - 0.5), 1e-12) / (1.0 - self._below)
        at = np.minimum(np.searchsorted(self._values, x), max(len(self._values) - 1, 0))
        counted = np.where(self._values[at] == x, self._counts[at], 0) if len(self._values) else 0
        return np.log((counted + self._pseudo * smooth) / (self._before[-1] + self._pseudo))


class NumberMarginal(Marginal):
    """Masses at the atoms of a column, and for the rest frequencies of whole numbers or the density of a mixture of normals.

        p(x) = w_a [x = a] + w_rest r(x)

    Args:
        x, valid: training and validation values.
        atoms: values with a mass of their own.
        low: the lowest whole number, or None for real numbers.
        loc, scale: of the values that are not atoms, roughly.
    """

    def __init__(
        self, x: np.ndarray, valid: np.ndarray, atoms: np.ndarray, low: float | None, loc: float, scale: float
    ) -> None:
        self.is_density, self._atoms = low is None, np.sort(np.asarray(atoms, np.float64))
        rest, rest_valid = (part[~np.isin(part, self._atoms)] for part in (x, valid))
        counts = np.array([(x == atom).sum() for atom in self._atoms] + [len(rest)]) + 1.0 / (len(self._atoms) + 1)
        self._weights = counts / counts.sum()
        mixture = NormalMixture(rest, loc, scale)
        self._rest: Any = mixture if low is None else WholeNumbers(rest, rest_valid, mixture, low)
        edges = np.unique(np.quantile(rest, np.arange(1, BINS) / BINS)) if len(rest) else np.zeros(0)
        self._edges = edges if low is None else np.unique(np.floor(edges))
        self.num_codes = len(self._atoms) + len(self._edges) + 1

    def _of_rest(self, x: np.ndarray) -> np.ndarray:
        return np.log(self._weights[-1]) + self._rest.log_prob(x)

    def _of_atoms(self, x: np.ndarray) -> np.ndarray:
        return (x[:, None] == self._atoms) @ self._weights[:-1]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        mass = self._of_atoms(x)
        rest = np.where(self.is_density & (mass > 0), 0.0, np.exp(self._of_rest(x)))
        return np.log(mass + rest)

    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        before = (x[:, None] > self._atoms) @ self._weights[:-1]
        lower = before + self._weights[-1] * self._rest.cdf(x if self.is_density else x - 1.0)
        return lower, before + self._of_atoms(x) + self._weights[-1] * self._rest.cdf(x)

    def codes(self, x: np.ndarray) -> np.ndarray:
        is_atom = x[:, None] == self._atoms
        return np.where(
            is_atom.any(axis=1),
            is_atom @ np.arange(len(self._atoms)),
            len(self._atoms) + np.searchsorted(self._edges, x),
        )

    @property
    def code_probs(self) -> np.ndarray:
        inner = np.exp(self._of_rest(self._atoms)) * (not self.is_density)  # what the rest gives to the atoms
        cumulative = np.concatenate([[0.0], self._rest.cdf(self._edges), [1.0]])
        bins = self._weights[-1] * np.diff(cumulative)
        np.subtract.at(bins, np.searchsorted(self._edges, self._atoms), inner)
        return np.concatenate([self._weights[:-1] + inner, np.maximum(bins, 1e-300)])


def marginals(schema: Any, train: np.ndarray, valid: np.ndarray) -> list[Marginal]:
    """Returns the distribution of each site of a schema, whose columns have one site at most, from encoded rows."""
    from tfar.tables.column import MISSING

    found: list[Marginal] = []
    for column in schema.columns:
        x, held_out = (part[:, schema.sites(column.name)].astype(np.float64) for part in (train, valid))
        if column.num_sites != 1:
            raise ValueError(f"Expected columns of one site. Received: {column!r} of {column.num_sites} sites.")
        x, held_out = x[:, 0], held_out[:, 0]
        if column.kind in ("categorical", "ordinal"):
            (head,) = column.heads(1)
            found.append(ClassMarginal(x, head.support().num_values, has_order=column.kind == "ordinal"))
            continue
        atoms = [*column.atoms, *([MISSING] if column.missing else [])]
        if column.kind == "real":
            found.append(NumberMarginal(x, held_out, atoms, None, 0.0, 1.0))
        else:
            low = -np.inf if column.low is None else float(column.low)
            found.append(NumberMarginal(x, held_out, atoms, low, column.loc, column.scale))
    return found
