"""Networks of one's own, and independent sites."""

from typing import Any

import numpy as np

from tests.reference import made
from tests.reference.oracles.parts import Array, earlier, exact, sum_of_sites, weights_of


def _own_log_prob(dist: Any, x: Array, condition: Any) -> float:
    """Of the perceptron that `tests.registry.own_network` builds, with degrees of its own."""
    kernels = [np.asarray(v, np.float64) for v in dist.network.weights]
    degrees, units = [1, 2, 3, 4], [1, 1, 2, 2, 3, 3]
    sums = made.affine(x, kernels[0], made.hidden_mask(degrees, units), kernels[1], None)
    if condition is not None:
        sums += condition @ kernels[2] + kernels[3]
    params = made.affine(np.tanh(sums), kernels[-2], made.output_mask(units, degrees), kernels[-1], None)
    return sum_of_sites(dist.head, params, x)


def _factorized_log_prob(dist: Any, x: Array, condition: Any) -> float:
    """Of a table of parameters, or of one dense layer on the condition."""
    found = weights_of(dist.network)
    params = found["params"] if condition is None else condition @ found["dense/kernel"] + found["dense/bias"]
    return sum_of_sites(dist.head, params, x.ravel())


OWN_NETWORK = exact(_own_log_prob, lambda dist: earlier(range(4))[None])
FACTORIZED = exact(_factorized_log_prob, lambda dist: np.zeros([1, dist.num_sites, dist.num_sites], bool))
