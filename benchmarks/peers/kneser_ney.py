"""Interpolated Kneser-Ney smoothing of n-grams with one discount: a peer of neural language models.

    p_n(w | v) = max(c(v w) - d, 0) / c(v) + d N(v) / c(v) p_{n-1}(w | v without its first word)

c counts n-grams in the highest order, and in the others how many different words stand before them; c(v) is its sum over w, and
N(v) the number of different words after v. The lowest order is mixed with the uniform distribution. Where v never occurred, the
lower order is taken alone.

Kneser and Ney. Improved backing-off for m-gram language modeling. ICASSP 1995. Chen and Goodman. An empirical study of smoothing
techniques for language modeling. 1999, section 2.8.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

BEGINNING = -1


class KneserNey:
    """Probabilities of words given those before them in a text; the texts have ends, which are words.

    Args:
        texts: words of each training text.
        order: int, n.
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        discount: float in (0, 1), d.
    """

    def __init__(
        self, texts: Sequence[Sequence[int]], order: int, vocabulary_size: int, discount: float = 0.75
    ) -> None:
        self.order, self.vocabulary_size, self.discount = order, vocabulary_size, discount
        grams = collections.Counter(gram for text in texts for gram in self._grams(text))
        self.after: list[dict[tuple[int, ...], dict[int, int]]] = []
        for _ in range(order):
            after: dict[tuple[int, ...], dict[int, int]] = collections.defaultdict(dict)
            for gram, count in grams.items():
                after[gram[:-1]][gram[-1]] = count
            self.after.insert(0, dict(after))
            grams = collections.Counter(gram[1:] for gram in grams)  # each once: the number of words before the rest
        self.totals = [{v: sum(own.values()) for v, own in after.items()} for after in self.after]

    def _grams(self, text: Sequence[int]) -> list[tuple[int, ...]]:
        padded = [BEGINNING] * (self.order - 1) + list(text)
        return [tuple(padded[i : i + self.order]) for i in range(len(text))]

    def prob(self, before: Sequence[int], word: int) -> float:
        """Returns the probability of a word after the last `order - 1` words, with `BEGINNING` where there are none."""
        prob = 1.0 / self.vocabulary_size
        for size in range(self.order):
            context = tuple(before[len(before) - size :]) if size else ()
            own = self.after[size].get(context)
            if own is None:
                return prob
            kept = max(own.get(word, 0) - self.discount, 0.0) + self.discount * len(own) * prob
            prob = kept / self.totals[size][context]
        return prob

    def nats(self, text: Sequence[int]) -> float:
        """Returns the negative log-likelihood of a text."""
        return -float(sum(np.log(self.prob(gram[:-1], gram[-1])) for gram in self._grams(text)))
