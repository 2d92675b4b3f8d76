"""Documents of files that may be larger than memory, for scoring: in file order, none left out."""

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.checks import check_count
from tfar.data.text_batches import LENGTH_STEP
from tfar.data.texts import find_texts, read_texts
from tfar.data.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class TextRows:
    """All texts of one or more files, in batches. A pass can start at any batch. `open_texts` makes instances.

    Args:
        paths: the files in the order in which they are read.
        column: the column of the texts, see `open_texts`.
        vocabulary: what the numbers of words mean.
        batch_size: int. Number of texts in a batch. The last batch may be shorter.
        max_length: None, or the number of entries of every row. Longer texts are cut.
        ends: bool. Whether word 0 ends a document and pads it; otherwise NaN pads it.
        identity: dict of JSON values that identifies the texts and how they are read.
    """

    paths: list[pathlib.Path]
    column: str | int | None
    vocabulary: Vocabulary = dataclasses.field(repr=False)
    batch_size: int
    max_length: int | None
    ends: bool
    identity: dict[str, Any] = dataclasses.field(repr=False)

    def texts(self) -> Iterator[str]:
        """Yields the texts of all files."""
        for path in self.paths:
            yield from read_texts(path, self.column)

    def batches(self, skip: int = 0) -> Iterator[NDArray[np.float32]]:
        """Yields the words of the texts of each batch, float32 `[B, N]`.

        N is the number of words of the longest text of the batch, and of its end if texts have one, rounded up to a multiple
        of 16, or `max_length`.

        Args:
            skip: int. Number of batches to skip.

        Raises:
            ValueError: If `skip` is negative or no int, or a line of a table has another number of cells.
        """
        check_count("skip", skip, minimum=0)
        texts = itertools.islice(self.texts(), skip * self.batch_size, None)
        while batch := list(itertools.islice(texts, self.batch_size)):
            documents = [document[: self.max_length] for document in self.vocabulary.encode(batch)]
            longest = max(len(document) + self.ends for document in documents)
            size = self.max_length or max(1, -(-longest // LENGTH_STEP)) * LENGTH_STEP
            value = np.full([len(batch), size], 0.0 if self.ends else np.nan, np.float32)
            for row, document in zip(value, documents, strict=True):
                row[: len(document)] = document
            yield value


def open_texts(
    path_or_pattern: str | os.PathLike[str],
    vocabulary: Vocabulary,
    *,
    batch_size: int = 1000,
    column: str | int | None = None,
    max_length: int | None = None,
    ends: bool = False,
) -> TextRows:
    """Opens files for passes over their texts in constant memory, such as those of `tfar.serving.score`.

    Unlike `from_texts`, it neither splits the texts nor leaves out empty ones.

    Args:
        path_or_pattern, column: as in `from_texts`.
        vocabulary: the vocabulary of the model.
        batch_size: int. Number of texts in a batch.
        max_length: None, or the number of entries of every row, the `max_length` of a model. Longer texts are cut.
        ends: bool. Whether word 0 ends a document, as in models with `length="eos"`.

    Returns:
        `TextRows`.

    Raises:
        FileNotFoundError: If no file has this path or matches the pattern.
        ValueError: If the suffix is not supported, or an argument is invalid.

    Example:
        >>> import pathlib
        >>> _ = pathlib.Path("lines.txt").write_text("the cat sat\\n\\nthe dog ran home\\n")
        >>> rows = open_texts("lines.txt", Vocabulary(["the", "cat", "sat"]), batch_size=2, max_length=4)
        >>> [batch.tolist() for batch in rows.batches()]
        [[[2.0, 3.0, 4.0, nan], [nan, nan, nan, nan]], [[2.0, 1.0, 1.0, 1.0]]]
    """
    check_count("batch_size", batch_size)
    if max_length is not None:
        check_count("max_length", max_length)
    paths = find_texts(path_or_pattern)
    stats = [path.stat() for path in paths]
    identity = {
        "files": [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(paths, stats, strict=True)],
        "column": column,
        "vocabulary": hashlib.sha256(json.dumps(vocabulary.as_json()).encode()).hexdigest(),
        "batch_size": batch_size,
        "max_length": max_length,
        "ends": bool(ends),
    }
    return TextRows(paths, column, vocabulary, batch_size, max_length, bool(ends), identity)
