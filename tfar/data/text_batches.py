"""Batches of documents of similar length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar import random
from tfar.data.checks import check_count, check_seed
from tfar.numbered import NumberedBatches

# Batches are padded to a multiple of this many words, so that few lengths are compiled.
LENGTH_STEP = 16


class DocumentBatches(NumberedBatches):
    """Batches of documents of similar length, each a dict as `tfar.training.DensityModel` takes it.

    A batch has the keys

        value     [B, N], the words, 0 behind the last one
        observed  [B, N], True at the words; left out if word 0 ends a document

    N is the number of words of the longest document of the batch, rounded up to a multiple of 16, or `max_length`. If the first
    two batches would have one size and others another, the first is padded by 16 more, since Keras infers from them which axes
    vary. An epoch has its documents in batches by length, and the batches in an order that is a function of (seed, epoch).

    Args:
        documents: the words of each document, whole numbers.
        batch_size: int.
        max_length: None, or the number of entries of every row, the `max_length` of a model. Longer documents are cut.
        ends: bool. Whether word 0 ends a document, as in models with `length="eos"`.
        shuffle: bool. Whether the order is random; else it is that of the documents.
        seed: int. Seed of the order.

    Raises:
        ValueError: If there is no document, or an argument is invalid.

    Example:
        >>> batches = DocumentBatches([[5, 3], [4, 4, 2]], batch_size=2)
        >>> batches[0]["value"].shape, batches[0]["observed"].sum(axis=1).tolist()
        ((2, 16), [2, 3])
    """

    def __init__(
        self,
        documents: Sequence[ArrayLike],
        batch_size: int = 100,
        *,
        max_length: int | None = None,
        ends: bool = False,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.documents = [np.asarray(document, np.int32)[:max_length] for document in documents]
        if not self.documents or any(document.ndim != 1 for document in self.documents):
            raise ValueError(f"expected documents, each a list of words; received {len(self.documents)} rows")
        self.max_length, self.ends = max_length, bool(ends)
        self.lengths = np.array([len(document) for document in self.documents])
        size = check_count("batch_size", batch_size)
        super().__init__(len(self.documents), size, seed=check_seed(seed), shuffle=bool(shuffle))

    @property
    def num_words(self) -> int:
        """Number of words of all documents."""
        return int(self.lengths.sum())

    @property
    def num_ends(self) -> int:
        """Number of documents with an end: those that do not fill `max_length`, if word 0 ends a document."""
        if not self.ends:
            return 0
        return self.num_rows if self.max_length is None else int((self.lengths < self.max_length).sum())

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The documents in the order of an epoch: those of a batch are of similar length."""
        if not self.shuffle:
            return np.arange(self.num_rows)
        generator = random.numpy_generator(self.seed, random.Stream.SHUFFLING, epoch)
        mixed = generator.permutation(self.num_rows)
        by_length = mixed[np.argsort(self.lengths[mixed], kind="stable")]
        whole = self.num_rows // self.batch_size
        # Rows that fill no batch come last; they are drawn at random, so that they are not always the longest.
        is_rest = np.zeros(self.num_rows, bool)
        is_rest[generator.choice(self.num_rows, self.num_rows - whole * self.batch_size, replace=False)] = True
        batches = by_length[~is_rest].reshape(whole, self.batch_size)
        return np.concatenate([batches[generator.permutation(whole)].ravel(), by_length[is_rest]])

    def _size(self, index: int) -> int:
        """Number of entries of a row of a batch."""
        size = self._padded(self.lengths[self.rows(index)].max(initial=0))
        if index or len(self) == 1 or self._padded(self.lengths.min()) == self._padded(self.lengths.max()):
            return size
        # Keras infers from the first two batches which axes vary. If they have one size, the first is padded further.
        return size + LENGTH_STEP if size == self._size(1) else size

    def _padded(self, length: int) -> int:
        if self.max_length is not None:
            return self.max_length
        return max(1, -(-(int(length) + self.ends) // LENGTH_STEP)) * LENGTH_STEP

    def __getitem__(self, index: int) -> dict[str, Any]:
        rows = self.rows(index)
        value = np.zeros([len(rows), self._size(index)], np.float32)
        for place, row in enumerate(rows):
            value[place, : self.lengths[row]] = self.documents[row]
        if self.ends:
            return {"value": value}
        return {"value": value, "observed": np.arange(value.shape[1]) < self.lengths[rows, None]}
