"""The hierarchical autoencoder as the paper writes it, in loops over sentences and words.

Li, Luong and Jurafsky. A hierarchical neural autoencoder for paragraphs and documents. ACL 2015, sections 3.3 and 3.4.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.reference import lstm

Array = np.ndarray
Document = Sequence[Sequence[int]]


def sentences(document: Document) -> list[list[int]]:
    """The words of each sentence, up to the first sentence without words."""
    found: list[list[int]] = []
    for row in document:
        words: list[int] = []
        for word in row:
            if word == 0:
                break
            words.append(word)
        if not words:
            break
        found.append(words)
    return found


def encode(parts: Mapping[str, lstm.Weights], document: Document) -> tuple[list[Array], lstm.States]:
    """The hidden state after each sentence, and the states after the last one."""
    words, above = parts["word_encoder"], parts["sentence_encoder"]
    states, found = lstm.zeros(above), []
    for sentence in sentences(document):
        end = lstm.read_words(words, sentence, lstm.zeros(words, "lstm/"))[-1][0]
        states = lstm.step(above, states, end)
        found.append(states[-1][0])
    return found, states


def attend(weights: lstm.Weights, vectors: Sequence[Array], query: Array) -> Array:
    """The mean of vectors, weighted by softmax_i(U . tanh(h_i W1 + q W2))."""
    if not vectors:
        return np.zeros(len(query))
    scores = [
        float((np.tanh(h @ weights["kernel"] + query @ weights["query_kernel"]) @ weights["score_kernel"])[0])
        for h in vectors
    ]
    shares = np.exp(scores) / np.exp(scores).sum()
    return sum(share * h for share, h in zip(shares, vectors, strict=True))


def log_prob(
    parts: Mapping[str, lstm.Weights], document: Document, source: Document, score: Callable[[Array, int], float]
) -> float:
    """log p(document | source): a 0 ends a sentence, and a sentence that begins with it ends the document."""
    vectors, states = encode(parts, source)
    words, total = parts["word_decoder"], 0.0
    for sentence in document:
        inner, u, ended = states, np.zeros(words["embeddings"].shape[1]), False
        for word in sentence:
            inner = lstm.step(words, inner, u, prefix="lstm/")
            total += score(inner[-1][0], word)
            if word == 0:
                ended = True
                break
            u = words["embeddings"][word]
        if sentence[0] == 0:
            break
        if not ended:
            inner = lstm.step(words, inner, u, prefix="lstm/")
        inputs = inner[-1][0]
        if "attention" in parts:
            inputs = np.concatenate([inputs, attend(parts["attention"], vectors, states[-1][0])])
        states = lstm.step(parts["sentence_decoder"], states, inputs)
    return total
