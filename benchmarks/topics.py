"""What topic models are measured by: perplexities of words, retrieval of documents, and LDA's likelihood by left-to-right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FRACTIONS = (0.0002, 0.002, 0.02)


def perplexities(nats: Array, lengths: Array) -> dict[str, float]:
    """Returns the perplexity a word: `macro` averages over documents, `micro` over words.

    macro = exp(mean(nats / length)),    micro = exp(sum(nats) / sum(length))
    """
    each = nats / lengths
    macro = float(np.exp(each.mean()))
    return {
        "macro": round(macro, 2),
        "micro": round(float(np.exp(nats.sum() / lengths.sum())), 2),
        "macro_error": round(macro * float(each.std(ddof=1)) / len(each) ** 0.5, 2),
    }


def unigram_nats(train: Array, test: Array) -> Array:
    """Negative log-likelihood of test documents `[N, V]` by the frequencies of words, with one added to each number."""
    counts = train.sum(axis=0) + 1.0
    return -test @ np.log(counts / counts.sum())


def precisions(collection: Array, queries: Array, labels: Array, asked: Array) -> dict[str, float]:
    """Returns the precision of retrieval by the cosine, at fractions of the collection.

    It is the mean over queries of the share of the nearest documents of the collection that have the class of the query.
    """
    unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (collection, queries)]
    totals = np.zeros(len(FRACTIONS))
    counts = [max(1, round(fraction * len(collection))) for fraction in FRACTIONS]
    for first in range(0, len(queries), 500):
        rows = slice(first, first + 500)
        nearest = np.argsort(-(unit[1][rows] @ unit[0].T), axis=1)[:, : counts[-1]]
        right = labels[nearest] == asked[rows, None]
        totals += [right[:, :count].mean(axis=1).sum() for count in counts]
    shares = totals / len(queries)
    return {f"{fraction:.2%}": round(float(share), 4) for fraction, share in zip(FRACTIONS, shares, strict=True)}


def left_to_right_nats(
    words: Array, topics: Array, alpha: float, num_particles: int, rng: np.random.Generator
) -> float:
    """Estimates the negative log-likelihood of the words of a document under LDA, in their order.

    Args:
        words: int `[D]`.
        topics: the distribution of words of each topic, `[K, V]`.
        alpha: the parameter of the symmetric Dirichlet prior of the shares of topics.
        num_particles: int.
        rng: decides the topics of the particles.

    References:
        Wallach, Murray, Salakhutdinov and Mimno. Evaluation methods for topic models. ICML 2009, algorithm 3.
    """
    num_topics, total = len(topics), 0.0
    counts = np.zeros([num_particles, num_topics])
    chosen = np.zeros([num_particles, len(words)], int)
    rows = np.arange(num_particles)

    def draw(place: int) -> None:
        shares = (counts + alpha) * topics[:, words[place]]
        cumulated = np.cumsum(shares, axis=1)
        noise = rng.uniform(size=[num_particles, 1]) * cumulated[:, -1:]
        chosen[:, place] = (cumulated <= noise).sum(axis=1)
        counts[rows, chosen[:, place]] += 1.0

    for place, word in enumerate(words):
        for earlier in range(place):
            counts[rows, chosen[:, earlier]] -= 1.0
            draw(earlier)
        shares = (counts + alpha) / (place + num_topics * alpha)
        total -= np.log((shares @ topics[:, word]).mean())
        draw(place)
    return float(total)
