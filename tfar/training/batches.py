"""Batches of arrays whose order is a function of (seed, epoch), so that a resumed run repeats an unbroken one."""

from typing import Any

import keras
import numpy as np

from tfar import random


class Batches(keras.utils.PyDataset):
    """Batches of arrays in memory, shuffled by (seed, epoch) alone.

        order of epoch e = tfar.random.numpy_generator(seed, Stream.SHUFFLING, e).permutation(N)

    `DensityModel.fit` makes one of an array and tells it the epoch; whoever iterates without `fit` sets `epoch`.

    Args:
        arrays: array `[N, ...]`, or a dict of arrays of one length (dicts inside too).
        batch_size: int.
        seed: int.
        shuffle: bool. False keeps the order of the rows.

    Raises:
        ValueError: If the lengths differ, there are no rows, or the batch size is below 1.

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
        if int(batch_size) < 1:
            raise ValueError(f"Expected `batch_size` of at least 1; received {batch_size!r}.")
        self.num_rows, self.batch_size = lengths[0], int(batch_size)
        self.seed, self.shuffle, self.epoch = seed, shuffle, 0
        self._order: tuple[int, np.ndarray] | None = None

    def order(self, epoch: int) -> np.ndarray:
        """The rows in the order of an epoch, int64 `[N]`."""
        if not self.shuffle:
            return np.arange(self.num_rows)
        return random.numpy_generator(self.seed, random.Stream.SHUFFLING, epoch).permutation(self.num_rows)

    def __len__(self) -> int:
        return -(-self.num_rows // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if self._order is None or self._order[0] != self.epoch:
            self._order = (self.epoch, self.order(self.epoch))
        rows = self._order[1][index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)


class FollowEpoch(keras.callbacks.Callback):
    """Tells `Batches` the epoch that `fit` is in."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
