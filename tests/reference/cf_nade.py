"""CF-NADE as the papers write it, in loops: slow, and independent of the package.

Zheng, Tang, Ding and Zhou. A neural autoregressive approach to collaborative filtering. ICML 2016, sections 3 and 4.
Zheng, Liu, Tang and Zhou. Neural autoregressive collaborative filtering for implicit feedback. DLRS 2016.
"""

import math
from dataclasses import dataclass, field

import numpy as np

Matrix = np.ndarray


@dataclass
class Weights:
    """The weights of the papers, by item.

    Attributes:
        w: `[N, K, J]`: W^k of each item.
        q: None, or `[N, J]`: what any rating of an item adds.
        c: `[H]`.
        v: `[N, P, J]`: V^k of each item.
        b: `[N, P]`.
        deep: kernels `[H, H']` and biases of the further hidden layers.
        factors: None, or B `[J, H]` and Q `[H', J]` of a low-rank model (section 3.3).
        condition: None, or `[F, H]`.
    """

    w: Matrix
    q: Matrix | None
    c: Matrix
    v: Matrix
    b: Matrix
    deep: list[tuple[Matrix, Matrix]] = field(default_factory=list)
    factors: tuple[Matrix, Matrix] | None = None
    condition: Matrix | None = None


def hidden(weights: Weights, ratings: dict[int, int], share: bool, condition: Matrix | None) -> Matrix:
    """h of the ratings of some items, by item (equation 3, and 9 if ratings are shared; section 4.3 if it is deep)."""
    total = np.zeros(weights.w.shape[2])
    for item, rating in ratings.items():
        for k in range(1, rating + 1) if share else [rating]:
            total = total + weights.w[item, k - 1]
        if weights.q is not None:
            total = total + weights.q[item]
    if weights.factors is not None:
        total = total @ weights.factors[0]
    if condition is not None:
        total = total + condition @ weights.condition
    h = np.array([math.tanh(a) for a in total + weights.c])
    for kernel, bias in weights.deep:
        h = np.array([math.tanh(a) for a in h @ kernel + bias])
    return h


def parameters(weights: Weights, ratings: dict[int, int], share: bool, condition: Matrix | None = None) -> Matrix:
    """b^k + V^k h of each item and k, `[N, P]` (the terms of equation 10)."""
    h = hidden(weights, ratings, share, condition)
    if weights.factors is not None:
        h = h @ weights.factors[1]
    result = np.array(weights.b, np.float64)
    for item in range(result.shape[0]):
        for k in range(result.shape[1]):
            result[item, k] += sum(weights.v[item, k, unit] * h[unit] for unit in range(len(h)))
    return result


def rating_probabilities(params: Matrix, share: bool) -> list[float]:
    """p(r = k) of an item: a softmax over sums of the terms of all ratings up to k (equation 10), or over the terms (5)."""
    scores = [sum(params[: k + 1]) if share else params[k] for k in range(len(params))]
    largest = max(scores)
    total = sum(math.exp(score - largest) for score in scores)
    return [math.exp(score - largest) / total for score in scores]
