"""RNADE as the paper writes it, in loops: slow, and independent of the package.

Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013, section 3.
Every conditional is computed from scratch, not by the recursion. The values are standardised first, and the density is that
of the values as they came. A condition adds to c.
"""

import math
from dataclasses import dataclass

import numpy as np

from tests.reference.nade import ACTIVATIONS

Matrix = np.ndarray


@dataclass
class Weights:
    """The weights of the paper, with sites in the order o of the model.

    Attributes:
        w: W, `[H, D]`: a column for each site.
        c: `[H]`.
        rho: `[D]`.
        v_alpha, v_mu, v_sigma: `[D, K, H]`.
        b_alpha, b_mu, b_sigma: `[D, K]`.
        loc, scale: `[D]`: what standardises the values.
        condition: None, or `[H, F]`.
    """

    w: Matrix
    c: Matrix
    rho: Matrix
    v_alpha: Matrix
    v_mu: Matrix
    v_sigma: Matrix
    b_alpha: Matrix
    b_mu: Matrix
    b_sigma: Matrix
    loc: Matrix
    scale: Matrix
    condition: Matrix | None = None


def hidden(weights: Weights, z: Matrix, condition: Matrix | None, site: int, activation: str) -> list[float]:
    """h_d = g(rho_d a_d), a_d = W[:, o<d] z[o<d] + c (equations 4 to 6)."""
    values = []
    for unit in range(len(weights.c)):
        a = float(weights.c[unit])
        if condition is not None and weights.condition is not None:
            a += sum(weights.condition[unit, f] * condition[f] for f in range(len(condition)))
        for d in range(site):
            a += weights.w[unit, d] * z[d]
        values.append(ACTIVATIONS[activation](weights.rho[site] * a))
    return values


def output(v: Matrix, b: Matrix, h: list[float]) -> list[float]:
    """V h + b for the K components of one site."""
    return [float(b[k]) + sum(v[k, unit] * h[unit] for unit in range(len(h))) for k in range(len(b))]


def log_component(kind: str, z: float, mu: float, sigma: float) -> float:
    """Log-density of a component: a normal or a Laplace."""
    if kind == "normal":
        return -0.5 * ((z - mu) / sigma) ** 2 - math.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -abs(z - mu) / sigma - math.log(2 * sigma)


def log_prob(
    weights: Weights, x: Matrix, condition: Matrix | None, activation: str, kind: str, min_scale: float
) -> float:
    """log p(x) for values `[D]` in the order of the model: sum_d log sum_k alpha_k N(z_d; mu_k, sigma_k) - log scale_d."""
    z = [(x[d] - weights.loc[d]) / weights.scale[d] for d in range(len(x))]
    total = 0.0
    for d in range(len(x)):
        h = hidden(weights, z, condition, d, activation)
        logits = output(weights.v_alpha[d], weights.b_alpha[d], h)
        means = output(weights.v_mu[d], weights.b_mu[d], h)
        sigmas = [min_scale + math.log1p(math.exp(s)) for s in output(weights.v_sigma[d], weights.b_sigma[d], h)]
        share = [math.exp(logit) / sum(math.exp(other) for other in logits) for logit in logits]
        density = sum(share[k] * math.exp(log_component(kind, z[d], means[k], sigmas[k])) for k in range(len(logits)))
        total += math.log(density) - math.log(weights.scale[d])
    return total


def num_parameters(num_sites: int, num_units: int, num_components: int) -> int:
    """W, c, rho, and three matrices and three biases for each site: D H + H + D + 3 D K (H + 1)."""
    return num_sites * num_units + num_units + num_sites + 3 * num_sites * num_components * (num_units + 1)
