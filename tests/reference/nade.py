"""NADE as the papers write it, in loops: slow, and independent of the package.

Larochelle and Murray. The neural autoregressive distribution estimator. AISTATS 2011.
Uria et al. Neural autoregressive distribution estimation. JMLR 17, 2016, section 2.
Every conditional is computed from scratch, not by the recursion of algorithm 1. A condition adds to c.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Matrix = np.ndarray


@dataclass
class Weights:
    """The weights of the papers, with sites in the order o of the model.

    Attributes:
        w: W, `[H, D I]`: a column for each input of each site.
        c: `[H]`.
        v: V, `[D, P, H]`: a row for each parameter of each site.
        b: `[D, P]`.
        first: None, or `[H]`: what takes the place of c at the first site.
        condition: None, or `[H, F]`.
    """

    w: Matrix
    c: Matrix
    v: Matrix
    b: Matrix
    first: Matrix | None = None
    condition: Matrix | None = None


def sigmoid(a: float) -> float:
    return 1.0 / (1.0 + math.exp(-a))


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "relu": lambda a: max(a, 0.0),
}


def hidden(weights: Weights, inputs: Matrix, condition: Matrix | None, site: int, activation: str) -> list[float]:
    """h_d = sigm(W[:, o<d] x[o<d] + c) (JMLR equation 3), for inputs `[D, I]`."""
    offset = weights.first if site == 0 and weights.first is not None else weights.c
    per_site, values = inputs.shape[1], []
    for unit in range(len(offset)):
        a = float(offset[unit])
        if condition is not None and weights.condition is not None:
            a += sum(weights.condition[unit, f] * condition[f] for f in range(len(condition)))
        for d in range(site):
            for i in range(per_site):
                a += weights.w[unit, d * per_site + i] * inputs[d, i]
        values.append(ACTIVATIONS[activation](a))
    return values


def parameters(weights: Weights, inputs: Matrix, condition: Matrix | None, activation: str = "sigmoid") -> Matrix:
    """V[o_d, :] h_d + b_{o_d} (JMLR equation 2, before the sigmoid), `[D, P]`."""
    result = np.array(weights.b, np.float64)
    for d in range(len(inputs)):
        h = hidden(weights, inputs, condition, d, activation)
        for p in range(result.shape[1]):
            result[d, p] += sum(weights.v[d, p, unit] * h[unit] for unit in range(len(h)))
    return result


def num_parameters(num_sites: int, num_units: int) -> int:
    """W and V, b, and c of a model of bits: 2 D H + D + H."""
    return 2 * num_sites * num_units + num_sites + num_units
