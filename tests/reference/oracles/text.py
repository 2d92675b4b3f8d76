"""Models of documents."""

from typing import Any

import numpy as np

from tests.reference import doc_nade, hierarchical_autoencoder, lstm
from tests.reference.oracles.parts import Array, Oracle, earlier, exact, features_of, weights_of


def word_log_prob(dist: Any) -> doc_nade.WordLogProb:
    """Returns the log-probability of a word from hidden units, by the weights of the head, or of tied vectors of words."""
    head = dist.head.head if dist.network.ends else dist.head
    tied = dist.parameters.get("tie_embeddings", False)
    kernel = dist.network.reader.embeddings if tied else head.kernel
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(head.bias, np.float64)
    if dist.parameters.get("tree") is None:
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


def recurrent_log_prob(dist: Any, words: list[int], states: lstm.States, z: Array | None = None) -> float:
    """Returns log p of words that LSTMs read from initial states; with an end, of those up to the first 0."""
    weights, score, total = reader_of(dist), word_log_prob(dist), 0.0
    for h, word in zip(lstm.features(weights, words, states, z), words, strict=True):
        total += score(h, word)
        if dist.network.ends and word == 0:
            break
    return total


def part_of(dist: Any, name: str) -> lstm.Weights:
    """Returns the weights of a layer of the network."""
    return {
        key.removeprefix(f"{name}/"): w for key, w in weights_of(dist.network).items() if key.startswith(f"{name}/")
    }


def reader_of(dist: Any) -> lstm.Weights:
    """Returns the weights of the LSTMs that read words, or zeros in place of all words."""
    weights = part_of(dist, "reader")
    reads_words = dist.parameters.get("word_dropout_rate", 0.0) < 1.0
    return weights if reads_words else lstm.without_words(weights, dist.network.vocabulary_size)


def recurrent_text(dist: Any, x: Array, condition: Any) -> float:
    """Returns log p of words given a condition, which gives the initial states and is read with every word."""
    weights, z = reader_of(dist), features_of(condition)
    states = lstm.zeros(weights, "lstm/")
    if z is not None:
        own = part_of(dist, "initial_state")
        states = lstm.states_of(z @ own["kernel"] + own["bias"], len(states))
    return recurrent_log_prob(dist, np.asarray(x, int).tolist(), states, z)


def before_end(words: Array) -> list[int]:
    """The words before the first 0."""
    words = np.asarray(words, int).tolist()
    return words[: words.index(0)] if 0 in words else words


def _autoencoder(dist: Any, x: Array, condition: Any) -> float:
    weights = part_of(dist, "reader" if dist.parameters.get("tie_encoder", True) else "encoder")
    states = lstm.read_words(weights, before_end(condition), lstm.zeros(weights, "lstm/"))
    return recurrent_log_prob(dist, np.asarray(x, int).tolist(), states)


def _hierarchical(dist: Any, x: Array, condition: Any) -> float:
    names = ["word_encoder", "sentence_encoder", "word_decoder", "sentence_decoder"]
    names += ["attention"] if dist.parameters["attention"] else []
    parts = {name: part_of(dist, name) for name in names}
    document, source = (np.asarray(part, int).tolist() for part in (x, condition))
    return hierarchical_autoencoder.log_prob(parts, document, source, word_log_prob(dist))


DOC_NADE = Oracle(_log_prob, _connectivity, _mean_loss)
DOC_NADE_LANGUAGE_MODEL = exact(_log_prob, _connectivity)
RECURRENT_LANGUAGE_MODEL = exact(recurrent_text, _connectivity)
SEQUENCE_AUTOENCODER = exact(_autoencoder, _connectivity)
HIERARCHICAL_AUTOENCODER = exact(_hierarchical, _connectivity)
