"""DocNADE and its language model as the papers write them, in loops over words: slow, and independent of the package.

Larochelle and Lauly. A neural autoregressive topic model. NIPS 2012, section 4.
Lauly et al. Document neural autoregressive distribution estimation. JMLR 18, 2017, sections 3 to 5.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
# Log-probability of a word from hidden units.
WordLogProb = Callable[[Array, int], float]


def hidden(weights: Weights, words: Sequence[int], past: Sequence[int]) -> Array:
    """h = g(c + sum_k W[v_k] + sum_k U_k E[v_{i-k}]) and the layers above it, from the words before and the last of them."""
    total = weights["bias"].copy()
    for word in words:
        total += weights["words/embeddings"][word]
    kernel = weights.get("context/kernel")
    if kernel is not None:
        for back in range(1, len(kernel) + 1):
            if back <= len(past):
                total += weights["context_words/embeddings"][past[-back]] @ kernel[len(kernel) - back]
    result, layer = np.tanh(total), 2
    while f"hidden_{layer}/kernel" in weights:
        result = np.tanh(result @ weights[f"hidden_{layer}/kernel"] + weights[f"hidden_{layer}/bias"])
        layer += 1
    return result


def log_prob(weights: Weights, words: Sequence[int], word_log_prob: WordLogProb, ends: bool) -> float:
    """log p of words in this order; with `ends`, word 0 ends the document and what follows it is certain."""
    total = 0.0
    for i, word in enumerate(words):
        total += word_log_prob(hidden(weights, words[:i], words[:i]), word)
        if ends and word == 0:
            break
    return total


def orders(words: Sequence[int], ends: bool) -> Iterator[list[int]]:
    """All orders of the words before the end, each as often as the places of equal words can be exchanged."""
    end = list(words).index(0) if ends and 0 in words else len(words)
    for order in itertools.permutations(words[:end]):
        yield [*order, *words[end:]]


def softmax_log_prob(kernel: Array, bias: Array) -> WordLogProb:
    """log softmax_w(b_w + U_w h)."""

    def score(h: Array, word: int) -> float:
        logits = [float(row @ h) + float(b) for row, b in zip(kernel, bias, strict=True)]
        return logits[word] - math.log(sum(math.exp(logit) for logit in logits))

    return score


def tree_log_prob(kernel: Array, bias: Array, children: Array) -> WordLogProb:
    """The product of the decisions on the only path from the root that ends at the leaf of the word."""

    def below(h: Array, node: int, word: int) -> float | None:
        if node >= len(children):
            return 0.0 if node - len(children) == word else None
        for side, child in enumerate(children[node]):
            rest = below(h, child, word)
            if rest is not None:
                odds = float(kernel[node] @ h) + float(bias[node])
                return rest - math.log(1.0 + math.exp(-odds if side else odds))
        return None

    def score(h: Array, word: int) -> float:
        found = below(h, 0, word)
        assert found is not None
        return found

    return score
