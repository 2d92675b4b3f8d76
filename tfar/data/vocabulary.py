"""Vocabularies, which turn texts into the numbers of their words and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.checks import check_count

# The first numbers of every vocabulary, those of `keras.layers.TextVectorization`.
END, UNKNOWN = 0, 1
UNKNOWN_WORD = "[UNK]"
STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)
# Punctuation of all scripts, and the other symbols that `TextVectorization` strips.
PUNCTUATION = r"[\pP$+<=>^`|~]"
CHUNK = 1024


class Vocabulary:
    """The words that a model knows: 0 is the end of a text, 1 an unknown word, and the others are numbered from 2 on.

    `keras.layers.TextVectorization` splits texts at spaces and looks up their words. Letters of all scripts become lower case,
    and punctuation of all scripts is stripped, where the layer by itself knows those of ASCII.

    Args:
        words: the words in the order of their numbers, from 2 on.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation" or None: what is done to texts first.

    Raises:
        ValueError: If a word is empty or occurs twice, or `standardize` is another.

    Example:
        >>> vocabulary = Vocabulary.from_texts(["The cat sat.", "The cat ran!"], max_words=2)
        >>> vocabulary.words, vocabulary.encode(["the dog, the cat"])[0].tolist()
        (('the', 'cat'), [2, 1, 2, 3])
        >>> vocabulary.decode([[2, 3, 0, 0]])
        ['the cat']
    """

    def __init__(self, words: Sequence[str], standardize: str | None = STANDARDIZE[0]) -> None:
        import keras  # Imported here, so that the command line finds wrong options before TensorFlow is loaded.

        _check_standardize(standardize)
        self.words, self.standardize = tuple(str(word) for word in words), standardize
        if (
            not self.words
            or len(set(self.words)) < len(self.words)
            or not all(isinstance(word, str) and word not in ("", UNKNOWN_WORD) for word in self.words)
        ):
            raise ValueError(
                f"expected at least one word, each once and none empty; received {len(self.words)} words, "
                f"{len(set(self.words))} different"
            )
        self._layer = keras.layers.TextVectorization(
            standardize=_standardizer(standardize), vocabulary=list(self.words)
        )

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], max_words: int = 10_000, standardize: str | None = STANDARDIZE[0]
    ) -> "Vocabulary":
        """Makes the vocabulary of the most frequent words of texts, at most `max_words`."""
        import keras

        _check_list(texts)
        _check_standardize(standardize)
        size = check_count("max_words", max_words) + 2
        layer = keras.layers.TextVectorization(size, standardize=_standardizer(standardize))
        layer.adapt(np.array(list(texts), object))
        return cls(layer.get_vocabulary()[2:], standardize)

    @property
    def size(self) -> int:
        """Number of symbols, with the end and the unknown word: the `vocabulary_size` of a model."""
        return len(self.words) + 2

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Returns the numbers of the words of each text, int32 `[words]`.

        Raises:
            ValueError: If `texts` is a string.
        """
        _check_list(texts)
        found: list[NDArray[np.int32]] = []
        for first in range(0, len(texts), CHUNK):
            rows = np.asarray(self._layer(np.array(list(texts[first : first + CHUNK]), object)), np.int32)
            found += [row[row != END] for row in rows]
        return found

    def encode_sentences(
        self, documents: Sequence[Sequence[str]], max_sentences: int, max_words: int
    ) -> NDArray[np.int32]:
        """Returns documents as events of `tfar.HierarchicalAutoencoder`, int32 `[N, max_sentences, max_words]`.

        Sentences without words are left out, since they end a document. What is longer is cut.

        Args:
            documents: the sentences of each document. Split texts into sentences with a library such as NLTK, or at lines.
            max_sentences: int. Number of sentences of an event.
            max_words: int. Number of words of each sentence.

        Raises:
            ValueError: If a document is a string or has no words, or a size is below 1.

        Example:
            >>> Vocabulary(["a", "b"]).encode_sentences([["A b.", "!", "B"]], max_sentences=3, max_words=2).tolist()
            [[[2, 3], [3, 0], [0, 0]]]
        """
        shape = (check_count("max_sentences", max_sentences), check_count("max_words", max_words))
        found = np.zeros([len(documents), *shape], np.int32)
        for number, sentences in enumerate(documents):
            if isinstance(sentences, str):
                raise ValueError(f"expected a list of sentences for each document; received {sentences[:50]!r}")
            encoded = [words[: shape[1]] for words in self.encode(sentences) if len(words)][: shape[0]]
            if not encoded:
                raise ValueError(f"expected documents with words; received none in document {number}")
            for place, words in enumerate(encoded):
                found[number, place, : len(words)] = words
        return found

    def decode(self, documents: Any) -> list[str]:
        """Returns texts of the numbers of words `[N, words]`, up to the first 0 of each.

        Raises:
            ValueError: If the numbers have no axis of texts, such as those of one text.
        """
        rows = np.asarray(documents, np.int64)
        if rows.ndim != 2:
            raise ValueError(f"expected the words of texts, [N, words]; received an array of shape {list(rows.shape)}")
        symbols = np.array(["", UNKNOWN_WORD, *self.words], object)
        texts = []
        for row in rows:
            ends = np.flatnonzero(row == END)
            texts.append(" ".join(symbols[row[: ends[0] if len(ends) else None]]))
        return texts

    def as_json(self) -> dict[str, Any]:
        """Returns the vocabulary as JSON values."""
        return {"words": list(self.words), "standardize": self.standardize}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Vocabulary":
        """Inverts `as_json`."""
        return cls(content["words"], content["standardize"])


def _check_standardize(standardize: str | None) -> None:
    if standardize not in STANDARDIZE:
        raise ValueError(f"expected `standardize` to be one of {STANDARDIZE}; received {standardize!r}")


def _standardizer(standardize: str | None) -> Any:
    """Returns what `TextVectorization` does to texts first: a function of a tensor of strings, or None."""
    if standardize is None:
        return None

    def standardized(texts: Any) -> Any:
        import tensorflow as tf

        if "lower" in standardize:
            texts = tf.strings.lower(texts, encoding="utf-8")
        return tf.strings.regex_replace(texts, PUNCTUATION, "") if "strip" in standardize else texts

    return standardized


def _check_list(texts: Any) -> None:
    """Raises ValueError if `texts` is one string, of which every letter would be read as a text."""
    if isinstance(texts, str):
        raise ValueError(f"expected a list of texts; received the string {texts[:50]!r}")
