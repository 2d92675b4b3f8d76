"""The sentence VAE (Bowman et al., CoNLL 2016, sections 2 and 3) with loops: encoder, decoder and terms of the bound."""

import numpy as np

from tests.reference import lstm
from tests.reference.pixel_vae import divergence as divergence
from tests.reference.pixel_vae import moments

Array = np.ndarray


def encoded(weights: lstm.Weights, words: list[int]) -> tuple[Array, Array]:
    """Location and scale of q(z | w) of the words before the end: an affine function of the last hidden state."""
    reader = {name.removeprefix("encoder/reader/"): w for name, w in weights.items() if name.startswith("encoder/")}
    hidden = lstm.read_words(reader, words, lstm.zeros(reader, "lstm/"))[-1][0]
    return moments(hidden @ weights["params/kernel"] + weights["params/bias"])


def floored(divergences: Array, free_bits: float) -> float:
    """The KL term with free bits, sum_j max(free_bits, mean of KL_j), for divergences `[rows, latents]`."""
    return float(sum(max(free_bits, sum(column) / len(column)) for column in divergences.T))


def normal_divergence(loc: Array, scale: Array) -> Array:
    """KL(N(loc, scale^2) || N(0, 1)) of each entry."""
    return 0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)
