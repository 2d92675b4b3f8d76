"""Batches of arrays whose order is a function of (seed, epoch), so that a resumed run repeats an unbroken one."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tfar import random
from tfar.training.arguments import check_int, check_seed


class Batches(keras.utils.PyDataset):
    """Batches of arrays in memory, shuffled as a function of (seed, epoch).

        order of epoch e = tfar.random.numpy_generator(seed, Stream.SHUFFLING, e).permutation(N)

    `DensityModel.fit` turns arrays into `Batches` and sets `epoch` at the beginning of each epoch. Set it yourself to iterate
    without `fit`.

    Args:
        arrays: array `[N, ...]`, or a dict of arrays of the same length; its values may be dicts of arrays too.
        batch_size: int.
        seed: int.
        shuffle: bool. False keeps the order of the rows.

    Raises:
        ValueError: If the lengths differ, there are no rows, the batch size is below 1 or the seed is not one.

    Example:
        >>> batches = Batches(np.arange(5), batch_size=2, shuffle=False)
        >>> [batches[i].tolist() for i in range(len(batches))]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, arrays: Any, batch_size: int, *, seed: int = 0, shuffle: bool = True) -> None:
        super().__init__()
        self.arrays = keras.tree.map_structure(np.asarray, arrays)
        lengths = sorted({len(a) if a.ndim else 0 for a in keras.tree.flatten(self.arrays)})
        if len(lengths) != 1 or lengths[0] == 0:
            raise ValueError(f"Expected arrays of one length of at least 1; received lengths {lengths}.")
        self.num_rows, self.batch_size = lengths[0], check_int("batch_size", batch_size, 1)
        self.seed, self.shuffle, self.epoch = check_seed(seed), shuffle, 0
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The rows in the order of an epoch, int64 `[N]`."""
        if not self.shuffle:
            return np.arange(self.num_rows)
        return random.numpy_generator(self.seed, random.Stream.SHUFFLING, epoch).permutation(self.num_rows)

    def rows(self, index: int) -> NDArray[np.int64]:
        """The rows of a batch of the current epoch, int64 `[B]`."""
        if self._order is None or self._order[0] != self.epoch:
            self._order = (self.epoch, self.order(self.epoch))
        return self._order[1][index * self.batch_size : (index + 1) * self.batch_size]

    def __len__(self) -> int:
        return -(-self.num_rows // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        rows = self.rows(index)
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)


class FollowEpoch(keras.callbacks.Callback):
    """Sets the epoch of `Batches` to the one that `fit` is in."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
