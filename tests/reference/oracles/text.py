"""Models of documents."""

from typing import Any

import numpy as np

from tests.reference import doc_nade
from tests.reference.oracles.parts import Array, Oracle, earlier, exact, weights_of


def word_log_prob(dist: Any) -> doc_nade.WordLogProb:
    """Returns the log-probability of a word from hidden units, by the weights of the head."""
    head = dist.head.head if dist.parameters["length"] == "eos" else dist.head
    kernel, bias = np.asarray(head.kernel, np.float64), np.asarray(head.bias, np.float64)
    if dist.parameters["tree"] is None:
        return doc_nade.softmax_log_prob(kernel, bias)
    return doc_nade.tree_log_prob(kernel, bias, head._tree.children)


def of_order(dist: Any, words: list[int]) -> float:
    """Returns log p of words in this order."""
    ends = dist.parameters["length"] == "eos"
    return doc_nade.log_prob(weights_of(dist.network), words, word_log_prob(dist), ends)


def _log_prob(dist: Any, x: Array, condition: Any) -> float:
    return of_order(dist, np.asarray(x, int).tolist())


def _mean_loss(dist: Any, x: Array, condition: Any) -> float:
    """Returns the mean of -log p over the orders of the words."""
    ends = dist.parameters["length"] == "eos"
    return -float(np.mean([of_order(dist, order) for order in doc_nade.orders(np.asarray(x, int).tolist(), ends)]))


def _connectivity(dist: Any) -> Array:
    return earlier(range(dist.num_sites))[None]


DOC_NADE = Oracle(_log_prob, _connectivity, _mean_loss)
DOC_NADE_LANGUAGE_MODEL = exact(_log_prob, _connectivity)
