"""Batches of numbered rows, in an order that is a function of (seed, epoch)."""

import copy
from typing import Self

import keras
import numpy as np
from numpy.typing import NDArray

from tfar import random


class NumberedBatches(keras.utils.PyDataset):
    """Base class of data sets that read the rows of a batch by their numbers 0, ..., N - 1.

        order of epoch e = tfar.random.numpy_generator(seed, Stream.SHUFFLING, e).permutation(N)

    A subclass implements `__getitem__` with `rows(index)`. `DensityModel.fit` sets `epoch` at the beginning of each epoch, so
    that a resumed run repeats an unbroken one.

    Args:
        num_rows: int of at least 1.
        batch_size: int of at least 1.
        seed: int of at least 0.
        shuffle: bool. False keeps the order of the rows.
    """

    def __init__(self, num_rows: int, batch_size: int, *, seed: int, shuffle: bool) -> None:
        super().__init__()
        self.num_rows, self.batch_size, self.seed, self.shuffle, self.epoch = num_rows, batch_size, seed, shuffle, 0
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self._steps: int | None = None

    def with_steps(self, num_steps: int) -> Self:
        """Returns the same rows in epochs of `num_steps` batches. An epoch starts with the rows after those of the previous one.

        Batch `i` of epoch `e` is batch `e * num_steps + i` of the passes over all rows, which follow each other.
        """
        other = copy.copy(self)
        other._steps = num_steps
        return other

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The rows in the order of an epoch, int64 `[N]`."""
        if not self.shuffle:
            return np.arange(self.num_rows)
        return random.numpy_generator(self.seed, random.Stream.SHUFFLING, epoch).permutation(self.num_rows)

    def rows(self, index: int) -> NDArray[np.int64]:
        """The rows of a batch of the current epoch, int64 `[B]`."""
        number, index = divmod(self.epoch * len(self) + index, self._batches_of_a_pass)
        if self._order is None or self._order[0] != number:
            self._order = (number, self.order(number))
        return self._order[1][index * self.batch_size : (index + 1) * self.batch_size]

    @property
    def _batches_of_a_pass(self) -> int:
        return -(-self.num_rows // self.batch_size)

    def __len__(self) -> int:
        return self._batches_of_a_pass if self._steps is None else self._steps
