"""MADE's masks for the peers that do not make them, from the paper and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np


def made_masks(event_size: int, hidden_units: Sequence[int], rng: np.random.Generator, order: str) -> list[np.ndarray]:
    """One mask per layer, `[out, in]`, with degrees drawn as in the paper.

    Unit k of layer l sees unit j of the layer before if m_l(k) >= m_{l-1}(j); output d sees what is smaller than m(d).

    Args:
        event_size: int. D.
        hidden_units: widths of the hidden layers.
        rng: where the degrees, and a random order, come from.
        order: str. "natural" or "random".
    """
    inputs = rng.permutation(event_size) if order == "random" else np.arange(event_size)
    degrees = [inputs]
    for units in hidden_units:
        degrees.append(rng.integers(degrees[-1].min(), event_size - 1, size=units))
    masks = [later[:, None] >= earlier[None, :] for earlier, later in itertools.pairwise(degrees)]
    masks.append(inputs[:, None] > degrees[-1][None, :])
    return [mask.astype(np.float32) for mask in masks]


def random_bits(rows: int, event_size: int, seed: int) -> np.ndarray:
    """Fair coins, `[rows, event_size]` float32: what the speed cases are fed."""
    return np.random.default_rng(seed).integers(0, 2, size=(rows, event_size)).astype(np.float32)


def random_reals(rows: int, event_size: int, seed: int) -> np.ndarray:
    """Standard normals, `[rows, event_size]` float32: what the speed cases of real values are fed."""
    return np.random.default_rng(seed).normal(size=(rows, event_size)).astype(np.float32)


def random_ratings(rows: int, num_items: int, num_rated: int, num_ratings: int, seed: int) -> np.ndarray:
    """Ratings 1 .. num_ratings of `num_rated` items in each row, and 0 for the others, `[rows, num_items]` float32."""
    generator = np.random.default_rng(seed)
    rated = generator.random((rows, num_items)).argsort(axis=1) < num_rated
    return (generator.integers(1, num_ratings + 1, size=rated.shape) * rated).astype(np.float32)


def random_words(rows: int, num_words: int, vocabulary_size: int, seed: int) -> np.ndarray:
    """Words of documents `[rows, num_words]` float32, all equally frequent."""
    return np.random.default_rng(seed).integers(vocabulary_size, size=[rows, num_words]).astype(np.float32)
