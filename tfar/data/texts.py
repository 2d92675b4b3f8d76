"""Texts of files as data sets of documents."""

import csv
import dataclasses
import glob
import gzip
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.checks import check_fractions, check_path, check_seed
from tfar.data.hashing import split_of_rows
from tfar.data.splits import SPLIT_NAMES
from tfar.data.text_batches import DocumentBatches
from tfar.data.vocabulary import Vocabulary
from tfar.optional import require

TEXT_SUFFIXES = (".txt", ".tsv", ".csv", ".parquet")
TEXT = "text"


@dataclasses.dataclass(frozen=True, eq=False)
class TextSplits:
    """Train, validation and test documents and their vocabulary; `from_texts` makes instances.

    Args:
        name: str.
        documents: the words of each document of each split.
        vocabulary: what the numbers of words mean.
    """

    name: str
    documents: Mapping[str, Sequence[NDArray[np.int32]]] = dataclasses.field(repr=False)
    vocabulary: Vocabulary = dataclasses.field(repr=False)

    @property
    def description(self) -> str:
        """Origin and form of the documents."""
        return f"{sum(self.num_rows.values())} texts of {self.vocabulary.size - 2} words: {self.name}"

    @property
    def num_rows(self) -> dict[str, int]:
        """Number of documents of each split."""
        return {name: len(self.documents.get(name, ())) for name in SPLIT_NAMES}

    @property
    def event_shape(self) -> tuple[None]:
        """The event shape of a model of the documents, which have any length: `(None,)`."""
        return (None,)

    @property
    def labels(self) -> None:
        """None: texts have no labels."""
        return None

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each word occurs in the training documents, `[vocabulary.size]`: the `counts` of a model.

        That of word 0 is 0. For a model in which it ends documents, it is the number of ends,
        `batches("train", ends=True).num_ends`.
        """
        return np.bincount(np.concatenate(self.documents["train"]), minlength=self.vocabulary.size)

    def batches(
        self,
        split: str,
        *,
        batch_size: int = 100,
        max_length: int | None = None,
        ends: bool = False,
        shuffle: bool | None = None,
        seed: int = 0,
    ) -> DocumentBatches:
        """Returns the documents of a split for `DensityModel.fit` and `evaluate`.

        Args:
            split: str. "train", "valid" or "test".
            batch_size, max_length, ends, seed: see `DocumentBatches`.
            shuffle: bool or None. Whether the order is random. None means that of train is.

        Raises:
            ValueError: If there is no such split, or an argument is invalid.
        """
        if split not in self.documents:
            raise ValueError(f"expected a split, one of {', '.join(self.documents)}; received {split!r}")
        shuffle = split == "train" if shuffle is None else shuffle
        how: dict[str, Any] = {"max_length": max_length, "ends": ends, "shuffle": shuffle, "seed": seed}
        return DocumentBatches(self.documents[split], batch_size, **how)


def from_texts(
    path_or_pattern: str | os.PathLike[str],
    *,
    column: str | int | None = None,
    max_words: int = 10_000,
    vocabulary: Vocabulary | None = None,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> TextSplits:
    """Reads texts from files, one document a line or a row, and splits them into train, validation and test documents.

    The split of a document is that of a row in `from_files`. Empty texts are left out.

    Args:
        path_or_pattern: path of a file, or a pattern for files of the same type: .txt with a text on each line, .tsv or .csv,
            or .parquet; each but .parquet is in UTF-8 and may be compressed, with .gz appended.
        column: str, int or None. The name of the column of the texts, or its number, from 0, in .tsv and .csv files without
            names in the first line. None means "text", or the only column.
        max_words: int. Size of the vocabulary, which has the most frequent words of the training documents.
        vocabulary: None, or the vocabulary of another data set, such as that of a trained model.
        valid_fraction: float in [0, 1). Expected fraction of validation documents.
        test_fraction: float in [0, 1). Expected fraction of test documents.
        seed: int. Seed of the split.

    Raises:
        FileNotFoundError: If no file has this path or matches the pattern.
        ValueError: If the suffix is not supported, a column does not exist, or there is no text for a split.
        ImportError: If pyarrow is required but not installed.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lines.txt"
        >>> _ = path.write_text("the cat sat\\nthe dog ran\\n" * 50)
        >>> splits = from_texts(path)
        >>> splits.vocabulary.size, splits.batches("train", batch_size=8)[0]["value"].shape
        (7, (8, 16))
    """
    fractions = check_fractions(valid_fraction, test_fraction)
    check_seed(seed)
    texts = [text for path in find_texts(path_or_pattern) for text in read_texts(path, column) if text.strip()]
    parts = split_of_rows(seed, 0, len(texts), *fractions)
    kept = {name: share for name, share in zip(SPLIT_NAMES, (1.0, *fractions), strict=True) if share > 0.0}
    groups = {name: [texts[i] for i in np.flatnonzero(parts == SPLIT_NAMES.index(name))] for name in kept}
    empty = [name for name, group in groups.items() if not group]
    if empty:
        raise ValueError(
            f"{path_or_pattern}: the split {empty[0]} of {len(texts)} texts is empty: add texts, or pass another seed"
        )
    vocabulary = Vocabulary.from_texts(groups["train"], max_words) if vocabulary is None else vocabulary
    documents = {name: vocabulary.encode(group) for name, group in groups.items()}
    return TextSplits(str(path_or_pattern), documents, vocabulary)


def text_suffix(path: pathlib.Path) -> str:
    """Returns the suffix of a file without that of its compression."""
    return pathlib.Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def find_texts(path_or_pattern: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Returns the files of a path or pattern, sorted by path, or raises FileNotFoundError or ValueError."""
    text = os.path.expanduser(check_path("path_or_pattern", path_or_pattern))
    suffix = text_suffix(pathlib.Path(text))
    if suffix not in TEXT_SUFFIXES:
        raise ValueError(f"{text}: expected a file that ends with {', '.join(TEXT_SUFFIXES)}; received {suffix!r}")
    found = [pathlib.Path(text)] if os.path.isfile(text) else sorted(map(pathlib.Path, glob.glob(text)))
    if not found:
        raise FileNotFoundError(f"{text} does not exist, nor does a file that matches it as a pattern")
    return found


def read_texts(path: pathlib.Path, column: str | int | None = None) -> Iterator[str]:
    """Yields the texts of a file; see `from_texts`."""
    suffix = text_suffix(path)
    if suffix == ".parquet":
        yield from _cells_of_parquet(path, column)
        return
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    # Quotes in .tsv files are part of the text.
    how: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if suffix == ".tsv" else {"strict": True}
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        try:
            if suffix == ".txt":
                yield from (line.rstrip("\r\n") for line in file)
            else:
                yield from _cells(path, csv.reader(file, **how), column)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected texts in UTF-8, in which every quote ends; {error}") from error


def _cells_of_parquet(path: pathlib.Path, column: str | int | None) -> Iterator[str]:
    """Yields the cells of a column of a .parquet file; a missing cell is an empty text."""
    table = require("pyarrow.parquet", "data").ParquetFile(path)
    names = table.schema_arrow.names
    name = names[_column(path, names, column)]
    for batch in table.iter_batches(columns=[name]):
        for cell in batch.column(0).to_pylist():
            if not isinstance(cell, str | None):
                raise ValueError(f"{path}: expected texts in the column {name!r}; received {cell!r}")
            yield cell or ""


def _cells(path: pathlib.Path, rows: Any, column: str | int | None) -> Iterator[str]:
    """Yields the cells of a column of the rows of a table; a blank line is an empty text if there is one column, else no row."""
    csv.field_size_limit(1 << 30)  # The default refuses texts of more than 128 kilobytes.
    first: list[str] = next(filter(None, rows), [])
    place = _column(path, first, column)
    if isinstance(column, int):
        yield first[place]
    for row in rows:
        if not row:
            yield from [""] * (len(first) == 1)
            continue
        if len(row) != len(first):
            raise ValueError(f"{path}: expected {len(first)} cells in line {rows.line_num}; received {len(row)}")
        yield row[place]


def _column(path: pathlib.Path, names: Sequence[str], column: str | int | None) -> int:
    """Returns the number of a column of texts among the columns of a file."""
    if isinstance(column, int):
        if not 0 <= column < len(names):
            raise ValueError(f"{path}: expected a column from 0 to {len(names) - 1}; received {column}")
        return column
    wanted = column or (names[0] if len(names) == 1 else TEXT)
    if wanted not in names:
        raise ValueError(
            f"{path}: expected a column {wanted!r} of texts; received the columns {', '.join(names)[:200]}. Choose one by its "
            "name, or by its number in a file without names in the first line"
        )
    return list(names).index(wanted)
