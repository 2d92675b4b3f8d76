"""A mixture of products of columns, fitted by EM: within a component the columns are independent (latent class analysis).

Each column is a code, see `benchmarks.peers.marginals`, so a component holds a histogram for each column:

    p(codes) = sum_k w_k prod_d theta_dk[code_d]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse, special


class MixtureOfProducts:
    """Fits a mixture to codes.

    Args:
        codes: int `[rows, columns]`, training rows.
        probs: the probabilities of the codes of each column among all rows. A component has one pseudo-row of them.
        num_components: int.
        steps: int. Number of steps of EM.
        seed: int. Of the responsibilities at the start.
    """

    def __init__(
        self, codes: np.ndarray, probs: Sequence[np.ndarray], num_components: int, steps: int = 100, seed: int = 0
    ) -> None:
        self._starts = np.concatenate([[0], np.cumsum([len(p) for p in probs])])
        self._prior = np.concatenate(probs)
        ones = self._indicators(codes)
        generator = np.random.default_rng(seed)
        share = generator.dirichlet(np.full(num_components, 0.1), size=len(codes))
        for _ in range(steps):
            self._maximise(ones, share)
            joint = self._joint(ones)
            share = np.exp(joint - special.logsumexp(joint, axis=1, keepdims=True))
        self._maximise(ones, share)

    def _indicators(self, codes: np.ndarray) -> sparse.csr_matrix:
        """Returns a row of 0 and 1 for each row, with one 1 for each column."""
        rows, columns = codes.shape
        indices = (codes + self._starts[:-1]).ravel()
        shape = (rows, self._starts[-1])
        return sparse.csr_matrix((np.ones(codes.size), indices, np.arange(rows + 1) * columns), shape)

    def _maximise(self, ones: sparse.csr_matrix, share: np.ndarray) -> None:
        sizes = share.sum(axis=0)
        counts = (ones.T @ share + self._prior[:, None]) / (sizes + 1.0)
        self._log_theta = np.log(counts)
        self._log_weights = np.log((sizes + 1.0) / (sizes + 1.0).sum())

    def _joint(self, ones: sparse.csr_matrix) -> np.ndarray:
        return self._log_weights + ones @ self._log_theta

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Returns the log-probability of codes, `[rows]`."""
        return special.logsumexp(self._joint(self._indicators(codes)), axis=1)
