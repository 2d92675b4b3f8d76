"""The probabilistic circuit of LearnSPN (Gens and Domingos 2013), by the package deeprob-kit, over codes of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class LearnSPN:
    """Fits a circuit to codes, see `benchmarks.peers.marginals`; its leaves are frequencies with one pseudo-row for each code.

    Args:
        codes: int `[rows, columns]`.
        sizes: the number of codes of each column.
        split_cols: "gvs" or "rdc", the test of independence of columns.
        min_rows: int. Fewer rows are not split.
        seed: int.
    """

    def __init__(self, codes: np.ndarray, sizes: Sequence[int], split_cols: str, min_rows: int, seed: int = 0) -> None:
        from deeprob.spn.learning.learnspn import learn_spn
        from deeprob.spn.structure.leaf import Categorical

        self._circuit: Any = learn_spn(
            codes.astype(np.float32),
            [Categorical] * len(sizes),
            [list(range(size)) for size in sizes],
            split_rows="kmeans",
            split_cols=split_cols,
            min_rows_slice=min_rows,
            learn_leaf_kwargs={"alpha": 1.0},
            random_state=seed,
            verbose=False,
        )

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Returns the log-probability of codes, `[rows]`."""
        from deeprob.spn.algorithms.inference import log_likelihood

        return np.asarray(log_likelihood(self._circuit, codes.astype(np.float32)), np.float64).ravel()
