"""LSTMs as their equations are written, in loops over rows, times and layers: slow, and independent of the package.

Hochreiter and Schmidhuber. Long short-term memory. Neural computation 9, 1997 (with the forget gate of Gers et al. 2000).
Zaremba, Sutskever and Vinyals. Recurrent neural network regularization. 2014, section 3.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
# The hidden state and the cell state of each layer.
States = list[tuple[Array, Array]]


def sigmoid(a: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-a))


def cell(gates: Array, c: Array) -> tuple[Array, Array]:
    """One step of an LSTM from the sums of the gates o, f, i and g, for one row."""
    size = len(c)
    o, f, i, g = (gates[k * size : (k + 1) * size] for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def zeros(weights: Weights, prefix: str = "") -> States:
    """The states before the first time."""
    found: States = []
    while f"{prefix}recurrent_kernel_{len(found)}" in weights:
        size = len(weights[f"{prefix}recurrent_kernel_{len(found)}"])
        found.append((np.zeros(size), np.zeros(size)))
    return found


def step(weights: Weights, states: States, u: Array, z: Array | None = None, prefix: str = "") -> States:
    """The states of all layers after one vector."""
    new: States = []
    for layer, (h, c) in enumerate(states):
        gates = u @ weights[f"{prefix}kernel_{layer}"] + h @ weights[f"{prefix}recurrent_kernel_{layer}"]
        gates = gates + weights[f"{prefix}bias_{layer}"]
        if layer == 0 and z is not None:
            gates = gates + z @ weights[f"{prefix}conditional_kernel"]
        new.append(cell(gates, c))
        u = new[-1][0]
    return new


def without_words(weights: Weights, num_words: int, prefix: str = "lstm/") -> Weights:
    """The weights of LSTMs that read no words as those of LSTMs that read zeros, with kernels of zeros."""
    kernel = np.zeros((1, weights[f"{prefix}recurrent_kernel_0"].shape[1]))
    return {**weights, "embeddings": np.zeros((num_words, 1)), f"{prefix}kernel_0": kernel}


def code(states: States) -> Array:
    """All hidden states, then all cell states."""
    return np.concatenate([h for h, _ in states] + [c for _, c in states])


def states_of(code: Array, num_layers: int) -> States:
    """The states of a code; the inverse of `code`."""
    parts = np.split(code, 2 * num_layers)
    return list(zip(parts[:num_layers], parts[num_layers:], strict=True))


def read_words(
    weights: Weights, words: Sequence[int], states: States, z: Array | None = None, prefix: str = "lstm/"
) -> States:
    """The states after words."""
    for word in words:
        states = step(weights, states, weights["embeddings"][word], z, prefix)
    return states


def features(
    weights: Weights, words: Sequence[int], states: States, z: Array | None = None, prefix: str = "lstm/"
) -> Array:
    """The features of each position from the words before it; before the first one is a vector of zeros."""
    found, u = [], np.zeros(weights["embeddings"].shape[1])
    for word in words:
        states = step(weights, states, u, z, prefix)
        h = states[-1][0]
        found.append(h @ weights["projection"] if "projection" in weights else h)
        u = weights["embeddings"][word]
    return np.array(found)
