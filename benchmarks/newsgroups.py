"""20 Newsgroups as bags of words: the most frequent words, and the logarithms of their numbers."""

from __future__ import annotations

import collections
import dataclasses
import gzip
import hashlib
import os
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "newsgroups20.tsv.gz"
NUM_VALID = 1000
QUICK_DOCUMENTS = 200


@dataclasses.dataclass(frozen=True)
class Bags:
    """Documents as numbers of words `[N, V]`, and their classes, by split."""

    counts: dict[str, NDArray[np.int32]]
    labels: dict[str, NDArray[np.int64]]

    @property
    def vocabulary_size(self) -> int:
        """Number of words, V."""
        return self.counts["train"].shape[1]

    def documents(self, split: str) -> list[NDArray[np.int64]]:
        """The words of each document, in the order of the vocabulary."""
        return [np.repeat(np.arange(self.vocabulary_size), row) for row in self.counts[split]]

    def head(self) -> Bags:
        """The first documents of each split."""
        first = lambda parts: {name: part[:QUICK_DOCUMENTS] for name, part in parts.items()}  # noqa: E731
        return Bags(first(self.counts), first(self.labels))

    def describe(self) -> dict[str, Any]:
        """Returns name, sizes and checksum, for the result file."""
        digest = hashlib.sha256(b"".join(self.counts[name].tobytes() for name in sorted(self.counts))).hexdigest()
        return {
            "name": "newsgroups20",
            **{name: len(part) for name, part in self.counts.items()},
            "sha256": digest,
            "note": f"the {self.vocabulary_size} most frequent words without stop words, numbers n replaced by "
            "round(log(1 + n)); documents without a word are left out",
        }


def load(vocabulary_size: int = 2000) -> Bags:
    """Reads the documents; the last training documents of a fixed shuffle are for validation."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    folder = os.environ.get("TFAR_DATA_DIR")
    if folder is None or not (pathlib.Path(folder) / FILE).exists():
        raise ValueError(f"Expected TFAR_DATA_DIR to name a folder with {FILE}. Received: {folder!r}")
    with gzip.open(pathlib.Path(folder) / FILE, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    texts = [text.split() for _, _, text in rows]
    is_test = np.array([split == "test" for split, _, _ in rows])
    names = sorted({label for _, label, _ in rows})
    labels = np.array([names.index(label) for _, label, _ in rows])
    totals = collections.Counter(w for text, own in zip(texts, is_test, strict=True) if not own for w in text)
    words = [word for word, _ in totals.most_common() if word not in ENGLISH_STOP_WORDS][:vocabulary_size]
    number = {word: i for i, word in enumerate(words)}
    counts = np.zeros([len(texts), vocabulary_size], np.int32)
    for row, text in enumerate(texts):
        np.add.at(counts[row], [number[word] for word in text if word in number], 1)
    counts = np.rint(np.log1p(counts)).astype(np.int32)
    train = np.random.default_rng(0).permutation(np.flatnonzero(~is_test))
    places = {"train": train[:-NUM_VALID], "valid": train[-NUM_VALID:], "test": np.flatnonzero(is_test)}
    kept = {name: own[counts[own].any(axis=1)] for name, own in places.items()}
    return Bags({n: counts[own] for n, own in kept.items()}, {n: labels[own] for n, own in kept.items()})
