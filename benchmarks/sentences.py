"""Texts with ends: sentences of film reviews, verses of the King James Bible, and windows of its verses as documents."""

from __future__ import annotations

import collections
import csv
import dataclasses
import gzip
import hashlib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILES = dict.fromkeys(("kjv", "kjv_windows", "kjv_flat_windows"), "kjv.tsv.gz")
FILES["movie_sentences"] = "movie_sentences.tsv.gz"
# Verses of a window, words of each at most, and the word between two verses of a flat window.
WINDOW, VERSE_WORDS, NEXT_VERSE = 5, 25, "/"
# Words of a text at most, numbers of times that a word of the vocabulary occurs at least, and words of the vocabulary at most.
MAX_WORDS = {
    "movie_sentences": 40,
    "kjv": 60,
    "kjv_windows": VERSE_WORDS,
    "kjv_flat_windows": WINDOW * (VERSE_WORDS + 1),
}
LEAST_COUNT = {"movie_sentences": 3, "kjv": 3, "kjv_windows": 1, "kjv_flat_windows": 1}
MOST_WORDS = {"kjv_windows": 5000, "kjv_flat_windows": 5001}
END, UNKNOWN = 0, 1
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|[.,;:?!]")
QUICK_TEXTS = 300


@dataclasses.dataclass(frozen=True)
class Texts:
    """Texts as whole numbers by split: 0 is the end and 1 an unknown word.

    Attributes:
        name: str.
        words: `[N, max_words + 1]` of texts, so that each has an end, or `[N, sentences, max_words]` of documents.
        vocabulary_size: int.
        valences: how positive each text is, -4 .. 4, float32 `[N]` by split; None for texts without valences.
    """

    name: str
    words: dict[str, NDArray[np.int32]]
    vocabulary_size: int
    valences: dict[str, NDArray[np.float32]] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each word, and the end, occurs in the training texts."""
        words = self.words["train"]
        found = np.bincount(words[words > 0], minlength=self.vocabulary_size)
        found[END] = len(words.reshape(-1, words.shape[-1]))
        return found

    def texts(self, split: str) -> list[list[int]]:
        """The words of each text with its end."""
        return [[*row[row > 0].tolist(), END] for row in self.words[split]]

    def head(self) -> Texts:
        """The first texts of each split."""
        first = lambda parts: {name: part[:QUICK_TEXTS] for name, part in parts.items()}  # noqa: E731
        valences = None if self.valences is None else first(self.valences)
        return dataclasses.replace(self, words=first(self.words), valences=valences)

    def describe(self) -> dict[str, Any]:
        """Returns name, sizes and checksum, for the result file."""
        digest = hashlib.sha256(b"".join(self.words[name].tobytes() for name in sorted(self.words))).hexdigest()
        unknown = float((self.words["test"] == UNKNOWN).sum() / (self.words["test"] > 0).sum())
        longer = "verses are cut" if "windows" in self.name else "texts are left out"
        return {
            "name": self.name,
            **{name: len(part) for name, part in self.words.items()},
            "sha256": digest,
            "note": f"lower-case words and punctuation, {self.vocabulary_size - 2} words of the vocabulary, "
            f"{unknown:.1%} of the test words unknown; longer {longer}",
        }


def load(name: str) -> Texts:
    """Reads texts and splits them 80 : 10 : 10 at random: film sentences by sentence, and verses by chapter.

    A window is some consecutive verses of a chapter, which are cut where they are too long. A flat window is one text of these
    verses, with a word of its own between two of them.
    """
    folder = os.environ.get("TFAR_DATA_DIR")
    path = pathlib.Path(folder or "") / FILES[name]
    if folder is None or not path.exists():
        raise ValueError(f"Expected TFAR_DATA_DIR to name a folder with {FILES[name]}. Received: {folder!r}")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    groups: dict[Any, list[list[str]]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(number if name == "movie_sentences" else tuple(row[:2]), []).append(row)
    splits = _split(list(groups.values()))
    if "windows" in name:
        chapters = {split: [[words_of(row[-1]) for row in part] for part in own] for split, own in splits.items()}
        documents = {split: [w for verses in own for w in windows(verses)] for split, own in chapters.items()}
        if name == "kjv_flat_windows":
            documents = {split: [[flat(window)] for window in own] for split, own in documents.items()}
        return _numbered(name, documents, [words for window in documents["train"] for words in window])
    kept = {
        split: [(row, words) for part in own for row in part if 0 < len(words := words_of(row[-1])) <= MAX_WORDS[name]]
        for split, own in splits.items()
    }
    texts = {split: [[words] for _, words in own] for split, own in kept.items()}
    found = _numbered(name, texts, [words for _, words in kept["train"]])
    if name != "movie_sentences":
        return found
    valences = {split: np.array([row[0] for row, _ in own], np.float32) for split, own in kept.items()}
    return dataclasses.replace(found, valences=valences)


def words_of(text: str) -> list[str]:
    """Returns the words and the punctuation of a text, in lower case."""
    return WORD.findall(text.lower())


def windows(verses: Sequence[list[str]]) -> list[list[list[str]]]:
    """Returns the windows of consecutive verses of a chapter; longer verses are cut."""
    cut = [words[:VERSE_WORDS] for words in verses]
    return [cut[first : first + WINDOW] for first in range(0, len(cut) - WINDOW + 1, WINDOW)]


def flat(window: Sequence[list[str]]) -> list[str]:
    """Returns the verses of a window as one text."""
    return [word for verse in window for word in (*verse, NEXT_VERSE)][:-1]


def _split(groups: list[Any]) -> dict[str, list[Any]]:
    order = np.random.default_rng(0).permutation(len(groups))
    tenth = len(groups) // 10
    places = {"test": order[:tenth], "valid": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return {name: [groups[i] for i in own] for name, own in places.items()}


def _numbered(name: str, documents: dict[str, list[list[list[str]]]], train: list[list[str]]) -> Texts:
    """Returns documents of sentences as numbers; of texts of one sentence, the axis of sentences is left out."""
    totals = collections.Counter(word for words in train for word in words)
    kept = [w for w, count in totals.most_common(MOST_WORDS.get(name)) if count >= LEAST_COUNT[name]]
    number = {word: i for i, word in enumerate(kept, start=2)}
    sentences, width = (WINDOW, MAX_WORDS[name]) if name == "kjv_windows" else (1, MAX_WORDS[name] + 1)
    found = {}
    for split, own in documents.items():
        rows = np.zeros([len(own), sentences, width], np.int32)
        for i, document in enumerate(own):
            for j, words in enumerate(document):
                rows[i, j, : len(words)] = [number.get(word, UNKNOWN) for word in words]
        found[split] = rows if sentences > 1 else rows[:, 0]
    return Texts(name, found, len(kept) + 2)
