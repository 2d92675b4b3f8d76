"""The any-order transformer in loops over the steps of an order: slow, and independent of the package.

Pannatier, Courdier and Fleuret. sigma-GPTs: a new approach to autoregressive models. 2024, "Double positional encodings".
Vaswani et al. Attention is all you need. NeurIPS 2017, section 3.2.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray


class Norm(NamedTuple):
    scale: Array
    offset: Array


class Block(NamedTuple):
    """Attention with `query, key, value [heads, U, K]` and `join [heads * K, U]`, then a perceptron."""

    norm: Norm
    query: Array
    key: Array
    value: Array
    join: Array
    join_bias: Array
    mlp_norm: Norm
    expand: Array
    expand_bias: Array
    reduce: Array
    reduce_bias: Array


class Weights(NamedTuple):
    """By site: `values [N, I, U]`, `previous [N, U]`, `sites [N, U]`, `outputs [N, U, P]` and `bias [N, P]`."""

    values: Array
    previous: Array
    sites: Array
    first: Array
    condition: Array | None
    blocks: Sequence[Block]
    last_norm: Norm
    outputs: Array
    bias: Array


def normalised(norm: Norm, x: Array) -> Array:
    mean = sum(x) / len(x)
    variance = sum((xi - mean) ** 2 for xi in x) / len(x)
    return np.array([(xi - mean) / math.sqrt(variance + 1e-5) for xi in x]) * norm.scale + norm.offset


def attention(block: Block, tokens: Sequence[Array]) -> Array:
    """Of the last of the tokens, which sees all of them."""
    found = []
    for query, key, value in zip(block.query, block.key, block.value, strict=True):
        q = tokens[-1] @ query
        scores = [float(q @ (token @ key)) / math.sqrt(len(q)) for token in tokens]
        total = sum(math.exp(score - max(scores)) for score in scores)
        weights = [math.exp(score - max(scores)) / total for score in scores]
        found.append(sum(weight * (token @ value) for weight, token in zip(weights, tokens, strict=True)))
    return np.concatenate(found) @ block.join + block.join_bias


def parameters(
    weights: Weights, inputs: Array, order: Sequence[int], condition: Any, activation: Callable[[Array], Array]
) -> Array:
    """Returns the parameters of every site, `[N, P]`, for inputs `[N, I]` of the sites."""
    result = np.zeros_like(weights.bias)
    hidden: list[list[Array]] = [[] for _ in range(len(weights.blocks) + 1)]  # By depth, of the steps so far.
    for step, site in enumerate(order):
        if step == 0:
            token = weights.first + weights.sites[site]
        else:
            before = order[step - 1]
            token = inputs[before] @ weights.values[before] + weights.previous[before] + weights.sites[site]
        if condition is not None:
            token = token + condition @ weights.condition
        hidden[0].append(token)
        for depth, block in enumerate(weights.blocks):
            x = hidden[depth][-1]
            x = x + attention(block, [normalised(block.norm, earlier) for earlier in hidden[depth]])
            units = activation(normalised(block.mlp_norm, x) @ block.expand + block.expand_bias)
            hidden[depth + 1].append(x + units @ block.reduce + block.reduce_bias)
        result[site] = normalised(weights.last_norm, hidden[-1][-1]) @ weights.outputs[site] + weights.bias[site]
    return result
