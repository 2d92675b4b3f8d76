"""Metrics of ranked lists of items, for one user each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np


def hits(ranked: Sequence[int], relevant: Sequence[int]) -> np.ndarray:
    """Returns whether each item of a list, best first, is relevant."""
    return np.isin(np.asarray(ranked), np.asarray(relevant))


def recall(ranked: Sequence[int], relevant: Sequence[int], k: int) -> float:
    """Returns the share of the relevant items that are among the first k.

    Example:
        >>> recall([4, 7, 1], [1, 2, 4, 9], k=2)
        0.25
    """
    return float(hits(ranked[:k], relevant).sum()) / len(relevant)


def limited_recall(ranked: Sequence[int], relevant: Sequence[int], k: int) -> float:
    """Returns the hits among the first k, divided by the largest possible number, min(k, number of relevant items).

    Liang et al. Variational autoencoders for collaborative filtering. WWW 2018, section 4.2.

    Example:
        >>> limited_recall([4, 7, 1], [1, 2, 4, 9], k=2)
        0.5
    """
    return float(hits(ranked[:k], relevant).sum()) / min(k, len(relevant))


def average_precision(ranked: Sequence[int], relevant: Sequence[int], k: int) -> float:
    """Returns the mean over min(k, number of relevant items) of the precision at each hit among the first k.

    Example:
        >>> average_precision([4, 7, 1], [1, 4], k=3)  # (1 / 1 + 2 / 3) / 2
        0.8333333333333333
    """
    found = hits(ranked[:k], relevant)
    precisions = np.cumsum(found) / np.arange(1, len(found) + 1)
    return float((precisions * found).sum()) / min(k, len(relevant))


def ndcg(ranked: Sequence[int], relevant: Sequence[int], k: int) -> float:
    """Returns the discounted gain of the first k, 1 / log2(1 + rank) a hit, divided by that of the best list.

    Example:
        >>> round(ndcg([7, 4], [4], k=2), 4)  # 1 / log2(3)
        0.6309
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    found = hits(ranked[:k], relevant)
    return float((found * discounts[: len(found)]).sum() / discounts[: min(k, len(relevant))].sum())


METRICS: Mapping[str, Callable[[Sequence[int], Sequence[int]], float]] = {
    "NDCG@100": lambda ranked, relevant: ndcg(ranked, relevant, 100),
    "MAP@10": lambda ranked, relevant: average_precision(ranked, relevant, 10),
    "recall@10, min": lambda ranked, relevant: limited_recall(ranked, relevant, 10),
    "recall@20": lambda ranked, relevant: recall(ranked, relevant, 20),
}


def of_users(lists: np.ndarray, relevant: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Returns each metric of the users with relevant items, in the order of the users.

    Args:
        lists: int `[users, k]`. The items of each user, best first.
        relevant: the relevant items of each user.
    """
    users = [user for user, own in enumerate(relevant) if len(own)]
    return {name: np.array([metric(lists[user], relevant[user]) for user in users]) for name, metric in METRICS.items()}


def bootstrap(differences: np.ndarray, num_draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Returns the 95 % interval of the mean of differences of two methods, over users drawn with replacement."""
    generator = np.random.default_rng(seed)
    means = [generator.choice(differences, len(differences)).mean() for _ in range(num_draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
