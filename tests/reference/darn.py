"""DARN as the paper writes it, in loops: slow, and independent of the package.

Gregor, Danihelka, Mnih, Blundell and Wierstra. Deep autoregressive networks. ICML 2014, section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Matrix = np.ndarray


@dataclass
class Layer:
    """The weights of the conditional of a layer of bits given the layer before it.

    Attributes:
        bias: b, `[n]`.
        within: W, `[n, n]`, entry `[j, k]` from bit k to bit j; only k before j is used. None if the bits are independent.
        link: U, `[n, m]`, or None without a layer before.
        hidden: pairs of T `[m, ...]` and t `[m]`, of the tanh layers between.
        order: the order of the bits. Default: 0, 1, ..., n - 1.
    """

    bias: Matrix
    within: Matrix | None = None
    link: Matrix | None = None
    hidden: Sequence[tuple[Matrix, Matrix]] = field(default_factory=tuple)
    order: Sequence[int] | None = None


def deterministic(layer: Layer, before: Sequence[float]) -> list[float]:
    """d = tanh(T ... + t), layer by layer."""
    values = list(before)
    for kernel, bias in layer.hidden:
        values = [
            math.tanh(bias[j] + sum(kernel[j, k] * values[k] for k in range(len(values)))) for j in range(len(bias))
        ]
    return values


def logit(layer: Layer, bits: Sequence[float], before: Sequence[float] | None, j: int) -> float:
    """b_j + U_j d + sum_{k before j} W_jk h_k."""
    total = float(layer.bias[j])
    if layer.link is not None and before is not None:
        d = deterministic(layer, before)
        total += sum(layer.link[j, k] * d[k] for k in range(len(d)))
    if layer.within is not None:
        order = list(range(len(bits)) if layer.order is None else layer.order)
        total += sum(layer.within[j, k] * bits[k] for k in order[: order.index(j)])
    return total


def log_prob(layer: Layer, bits: Sequence[float], before: Sequence[float] | None) -> float:
    """sum_j log p(h_j | h_<j, layer before)."""
    total = 0.0
    for j in range(len(bits)):
        p = 1.0 / (1.0 + math.exp(-logit(layer, bits, before, j)))
        total += math.log(p if bits[j] else 1.0 - p)
    return total


def stacked(layers: Sequence[Layer], values: Sequence[Sequence[float]], before: Sequence[float] | None) -> float:
    """The sum over layers, in the order in which they are decided."""
    total = 0.0
    for layer, bits in zip(layers, values, strict=True):
        total += log_prob(layer, bits, before)
        before = bits
    return total
