"""Batches of arrays whose order is a function of (seed, epoch), so that a resumed run repeats an unbroken one."""

from typing import Any

import keras
import numpy as np

from tfar.numbered import NumberedBatches
from tfar.training.arguments import check_int, check_seed


class Batches(NumberedBatches):
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
        arrays = keras.tree.map_structure(np.asarray, arrays)
        lengths = sorted({len(a) if a.ndim else 0 for a in keras.tree.flatten(arrays)})
        if len(lengths) != 1 or lengths[0] == 0:
            raise ValueError(f"Expected arrays of one length of at least 1; received lengths {lengths}.")
        super().__init__(lengths[0], check_int("batch_size", batch_size, 1), seed=check_seed(seed), shuffle=shuffle)
        self.arrays = arrays

    def __getitem__(self, index: int) -> Any:
        rows = self.rows(index)
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)


class FollowEpoch(keras.callbacks.Callback):
    """Sets the epoch of batches to the one that `fit` is in."""

    def __init__(self, batches: NumberedBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
