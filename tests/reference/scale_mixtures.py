"""Mixtures of conditional Gaussian scale mixtures as the paper writes them, in loops over components and scales.

Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, section 2.2, equations 3 and 4.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

Array = np.ndarray


class Weights(NamedTuple):
    """Weights for H features h, C components, S scales, N shared features and M channels."""

    A: Array  # [C, M, H]
    u: Array  # [C, M]
    b: Array  # [N, H]
    beta: Array  # [C, N]
    eta: Array  # [C, S]
    alpha: Array  # [C, S]
    L: Array  # [C, M, M]


class Mixture(NamedTuple):
    """The conditional of a pixel: a mixture of C S normals."""

    probs: Array  # [C S]
    means: Array  # [C S, M]
    covariances: Array  # [C S, M, M]


def weights_of(head: Any) -> Weights:
    """The weights of a head of the package."""
    found = {v.name: np.asarray(v, np.float64) for v in head.weights}
    diagonal = np.exp(found["log_diagonal"])
    factors = np.zeros((*diagonal.shape, diagonal.shape[1]))
    for c, row in np.ndindex(diagonal.shape):
        factors[c, row, row] = diagonal[c, row]
        for column in range(row):
            factors[c, row, column] = found["off_diagonal"][c, row * (row - 1) // 2 + column]
    return Weights(
        found["loc_kernel"].transpose(1, 2, 0),
        found["loc_bias"],
        found["features"].T,
        found["feature_scales"],
        found["logits"],
        found["log_precision"],
        factors,
    )


def conditional(weights: Weights, h: Array, m: Array) -> Mixture:
    """p(y | h) with the location m added to that of every component."""
    logits, means, covariances = [], [], []
    for c, s in np.ndindex(weights.eta.shape):
        precision = np.exp(weights.alpha[c, s])
        energy = sum(weights.beta[c, n] ** 2 * (b @ h) ** 2 for n, b in enumerate(weights.b))
        logits.append(weights.eta[c, s] - 0.5 * precision * energy)
        means.append(weights.A[c] @ h + weights.u[c] + m)
        covariances.append(np.linalg.inv(weights.L[c] @ weights.L[c].T) / precision)
    return Mixture(special.softmax(logits), np.array(means), np.array(covariances))


def log_prob(weights: Weights, h: Array, m: Array, y: Array) -> float:
    """log p(y | h)."""
    mixture = conditional(weights, h, m)
    densities = [
        stats.multivariate_normal.logpdf(y, mean, covariance)
        for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
    ]
    return float(special.logsumexp(np.array(densities), b=mixture.probs))
