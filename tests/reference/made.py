"""MADE as the paper writes it, in loops: slow, and independent of the package.

Germain et al. MADE: Masked Autoencoder for Distribution Estimation. ICML 2015. https://arxiv.org/abs/1502.03509
Degrees m(k) count from 1. A condition adds to every hidden layer, and units of degree 0 see it alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Matrix = np.ndarray


@dataclass
class Weights:
    """The weights of the paper, `[inputs, outputs]`, before masking.

    Attributes:
        kernels, biases: W^l and b^l of the hidden layers.
        output, output_bias: V and c.
        direct: A, or None.
        conditions: weights of the condition for each hidden layer, or empty.
        kernels_u, output_u: the connectivity weights U of section 4.3, or empty.
    """

    kernels: list[Matrix]
    biases: list[Matrix]
    output: Matrix
    output_bias: Matrix
    direct: Matrix | None = None
    conditions: list[Matrix] = field(default_factory=list)
    kernels_u: list[Matrix] = field(default_factory=list)
    output_u: Matrix | None = None


def hidden_mask(below: Sequence[int], above: Sequence[int]) -> Matrix:
    """Equation 8 and its form for deep networks (13): 1 if m(k) >= m(d), unit k above, d below."""
    mask = np.zeros([len(below), len(above)])
    for d, degree_below in enumerate(below):
        for k, degree_above in enumerate(above):
            mask[d, k] = 1.0 if degree_above >= degree_below else 0.0
    return mask


def output_mask(below: Sequence[int], outputs: Sequence[int]) -> Matrix:
    """Equation 9: 1 if d > m(k), output d, unit k."""
    mask = np.zeros([len(below), len(outputs)])
    for k, degree in enumerate(below):
        for d, output_degree in enumerate(outputs):
            mask[k, d] = 1.0 if output_degree > degree else 0.0
    return mask


def affine(inputs: Matrix, kernel: Matrix, mask: Matrix, bias: Matrix, connectivity: Matrix | None) -> Matrix:
    """b + (W . M) x, with (U . M) 1 if there are connectivity weights, one number at a time."""
    sums = np.array(bias, np.float64)
    for unit in range(kernel.shape[1]):
        for i in range(kernel.shape[0]):
            if mask[i, unit]:
                sums[unit] += kernel[i, unit] * inputs[i]
                if connectivity is not None:
                    sums[unit] += connectivity[i, unit]
    return sums


def parameters(
    inputs: Matrix,
    condition: Matrix | None,
    weights: Weights,
    input_degrees: Sequence[int],
    hidden_degrees: Sequence[Sequence[int]],
    output_degrees: Sequence[int],
    activation: Callable[[Any], Any],
) -> Matrix:
    """The outputs before the nonlinearity (equations 6, 7 and section 4.2) for one event."""
    hidden, below = inputs, input_degrees
    for layer, degrees in enumerate(hidden_degrees):
        u = weights.kernels_u[layer] if weights.kernels_u else None
        sums = affine(hidden, weights.kernels[layer], hidden_mask(below, degrees), weights.biases[layer], u)
        if condition is not None:
            sums = sums + condition @ weights.conditions[layer]
        hidden, below = activation(sums), degrees
    mask = output_mask(below, output_degrees)
    result = affine(hidden, weights.output, mask, weights.output_bias, weights.output_u)
    if weights.direct is not None:
        result = result + affine(inputs, weights.direct, output_mask(input_degrees, output_degrees), 0.0 * result, None)
    return result


def bernoulli(logits: Matrix, x: float) -> float:
    """Equation 1 for one site: x log p + (1 - x) log(1 - p)."""
    p = 1.0 / (1.0 + math.exp(-logits[0]))
    return x * math.log(p) + (1.0 - x) * math.log(1.0 - p)


def categorical(logits: Matrix, x: float) -> float:
    """Log of a softmax."""
    return logits[int(x)] - math.log(sum(math.exp(logit) for logit in logits))


def mixture(params: Matrix, x: float, density: Callable[[float], float], min_scale: float) -> float:
    """Log of a mixture of location-scale densities; parameters are logits, locations and raw scales."""
    count, total = len(params) // 3, 0.0
    shares = [math.exp(logit) for logit in params[:count]]
    for k in range(count):
        scale = min_scale + math.log1p(math.exp(params[2 * count + k]))
        total += shares[k] / sum(shares) * density((x - params[count + k]) / scale) / scale
    return math.log(total)


def normal_density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def laplace_density(z: float) -> float:
    return 0.5 * math.exp(-abs(z))


def ensemble(member_log_probs: Sequence[float]) -> float:
    """Section 4.2: the average of the probabilities that the members give to the whole event."""
    return math.log(sum(math.exp(value) for value in member_log_probs) / len(member_log_probs))
