"""Baseline densities for binary data, in NumPy: independent Bernoullis and a mixture of products of Bernoullis."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class BernoulliMixture:
    """Mixture of K products of Bernoullis. With K = 1 all dimensions are independent.

    p(x) = sum_k weights[k] prod_d means[k, d]^x_d (1 - means[k, d])^(1 - x_d)
    """

    weights: Floats
    means: Floats

    def joint_log_prob(self, x: Floats) -> Floats:
        """Returns log p(x, k) of shape `[N, K]` for binary rows `[N, D]`."""
        return x @ np.log(self.means).T + (1.0 - x) @ np.log1p(-self.means).T + np.log(self.weights)

    def log_prob(self, x: Floats) -> Floats:
        """Returns log p(x) of shape `[N]` for binary rows `[N, D]`."""
        return np.logaddexp.reduce(self.joint_log_prob(x), axis=1)


def fit_independent(x: Floats, smoothing: float = 1.0) -> BernoulliMixture:
    """Fits independent Bernoullis to binary rows `[N, D]` with Laplace smoothing.

        p_d = (sum_n x_nd + smoothing) / (N + 2 smoothing)

    Example:
        >>> fit_independent(np.array([[1.0, 0.0], [1.0, 1.0]])).means.tolist()
        [[0.75, 0.5]]
    """
    return _maximize(np.ones([len(x), 1]), x, smoothing)


def fit_mixture(
    x: Floats, num_components: int, seed: int = 0, num_steps: int = 60, smoothing: float = 1.0
) -> tuple[BernoulliMixture, list[float]]:
    """Fits a mixture by expectation maximisation (EM) from random responsibilities; also returns the objective of each step.

    The objective is the log-likelihood plus the log-density of a Beta(1 + smoothing, 1 + smoothing) prior on each mean and a
    Dirichlet(1 + smoothing) prior on the weights, without constants. EM never decreases it.
    """
    responsibilities = np.random.default_rng([seed, num_components]).dirichlet(np.ones(num_components), len(x))
    mixture = _maximize(responsibilities, x, smoothing)
    objectives = []
    for _ in range(num_steps):
        joint = mixture.joint_log_prob(x)
        log_prob = np.logaddexp.reduce(joint, axis=1, keepdims=True)
        objectives.append(float(log_prob.sum()) + smoothing * _log_prior(mixture))
        mixture = _maximize(np.exp(joint - log_prob), x, smoothing)
    return mixture, objectives


def choose_mixture(
    train: Floats,
    valid: Floats,
    num_components: Sequence[int],
    seed: int = 0,
    on_fit: Callable[[int], None] = lambda _: None,
) -> tuple[BernoulliMixture, int]:
    """Fits a mixture for each number of components; returns the one with the highest validation likelihood, and its number.

    `on_fit` is called with the number of components after each fit.
    """
    best: tuple[float, BernoulliMixture, int] | None = None
    for count in num_components:
        mixture, _ = fit_mixture(train, count, seed)
        score = float(mixture.log_prob(valid).mean())
        if best is None or score > best[0]:
            best = (score, mixture, count)
        on_fit(count)
    if best is None:
        raise ValueError("Expected at least one number of components; received none.")
    return best[1], best[2]


def _maximize(responsibilities: Floats, x: Floats, smoothing: float) -> BernoulliMixture:
    counts = responsibilities.sum(axis=0)
    means = (responsibilities.T @ x + smoothing) / (counts[:, None] + 2.0 * smoothing)
    return BernoulliMixture((counts + smoothing) / (len(x) + smoothing * len(counts)), means)


def _log_prior(mixture: BernoulliMixture) -> float:
    means = np.log(mixture.means).sum() + np.log1p(-mixture.means).sum()
    return float(means + np.log(mixture.weights).sum())
