"""Orderless NADE as the papers write it, in loops: slow, and independent of the package.

Uria, Murray and Larochelle. A deep and tractable density estimator. ICML 2014, sections 2 and 3.
"""

import itertools
import math

import numpy as np

Matrix = np.ndarray


def bit_probability(weights: dict, x: Matrix, known: Matrix, site: int) -> float:
    """p(x_site = 1 | the known sites): a tanh perceptron on x * m and m (equations 11 and 12)."""
    layer = []
    for unit in range(weights["W"].shape[1]):
        a = float(weights["c"][unit])
        for i in range(len(x)):
            a += known[i] * (x[i] * weights["W"][i, unit] + weights["A"][i, unit])
        layer.append(math.tanh(a))
    for kernel, bias in weights["hidden"]:
        layer = [
            math.tanh(float(bias[u]) + sum(layer[j] * kernel[j, u] for j in range(len(layer))))
            for u in range(kernel.shape[1])
        ]
    logit = float(weights["b"][site]) + sum(layer[j] * weights["V"][j, site] for j in range(len(layer)))
    return 1.0 / (1.0 + math.exp(-logit))


def site_log_prob(weights: dict, x: Matrix, known: Matrix, site: int) -> float:
    p = bit_probability(weights, x, known, site)
    return math.log(p if x[site] == 1 else 1.0 - p)


def log_prob(weights: dict, x: Matrix, order: Matrix) -> float:
    """log p(x | o), a site after the other."""
    known, total = np.zeros(len(x)), 0.0
    for site in order:
        total += site_log_prob(weights, x, known, site)
        known[site] = 1.0
    return total


def ensemble_log_prob(weights: dict, x: Matrix, orders: Matrix) -> float:
    """The mean of the probabilities of the orders (section 3.1)."""
    return math.log(sum(math.exp(log_prob(weights, x, order)) for order in orders) / len(orders))


def objective(weights: dict, x: Matrix) -> float:
    """Minus the mean over d and orders of D / (D - d + 1) times the sum over the sites not yet known (equation 7)."""
    size, terms = len(x), []
    for d in range(1, size + 1):
        for seen in itertools.combinations(range(size), d - 1):
            known = np.array([float(i in seen) for i in range(size)])
            rest = sum(site_log_prob(weights, x, known, i) for i in range(size) if i not in seen)
            terms.append(-size / (size - d + 1) * rest / math.comb(size, d - 1))
    return sum(terms) / size
