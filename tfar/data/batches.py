"""Shuffled batches of arrays whose order is a function of (seed, epoch) and of nothing else."""

from typing import Any

import keras
import numpy as np

from tfar.data.checks import check_count, check_seed


class Batches(keras.utils.PyDataset):
    """Batches of an array, or of a dict of arrays, in an order that a resumed run draws again.

        order of epoch e = numpy.random.default_rng([seed, e]).permutation(N)

    `epoch` counts the passes that `fit` has finished. Set it to k and the next pass is the one that an unbroken run
    makes after k epochs.

    Args:
        arrays: np.ndarray `[N, …]`, or dict of such (dicts inside too), all of one N.
        batch_size: int.
        seed: int, non-negative.
        shuffle: bool. False keeps the order of the arrays.
        drop_remainder: bool. True leaves out the last batch where it is shorter.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Returns:
        Elements `x` or dicts. Integers and booleans of a bare array or of the key "value" become float32; every other
        key keeps its type.

    Raises:
        ValueError: no arrays, other lengths, a size that is not positive, or no whole batch.

    Example:
        >>> batches = Batches(np.arange(6.0), batch_size=4, seed=1)
        >>> len(batches), batches[1].shape
        (2, (2,))
        >>> first = batches[0]; batches.epoch = 1; again = batches[0]; batches.epoch = 0
        >>> bool((batches[0] == first).all()), bool((again == first).all())
        (True, False)

    Notes:
        `keras.Model.fit` permutes the *batches* of any PyDataset by Python's global generator unless it is told
        `shuffle=False`: pass that, or the order is no longer a function of (seed, epoch).
    """

    def __init__(
        self,
        arrays: np.ndarray | dict[str, Any],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arrays = keras.tree.map_structure(np.asanyarray, arrays)
        self.num_rows = _common_length(self.arrays)
        self.batch_size = check_count("batch_size", batch_size)
        self.seed = check_seed(seed)
        self.shuffle = bool(shuffle)
        self.drop_remainder = bool(drop_remainder)
        self.epoch = 0
        if not len(self):
            raise ValueError(
                f"expected at least one whole batch of {batch_size} rows, as drop_remainder=True; "
                f"received {self.num_rows} rows"
            )

    @property
    def epoch(self) -> int:
        """The epoch whose order is in force."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = check_count("epoch", value, minimum=0)
        self._within_epoch = False
        self._drawn: tuple[int, np.ndarray] | None = None

    def order(self, epoch: int) -> np.ndarray:
        """Returns the row indices `[N]` in the order of that epoch."""
        if not self.shuffle:
            return np.arange(self.num_rows)
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_rows)

    def __len__(self) -> int:
        whole, rest = divmod(self.num_rows, self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"expected a batch index in [0, {len(self)}); received {index}")
        drawn = self._drawn
        if drawn is None or drawn[0] != self._epoch:
            # One assignment of a pair, so that reading threads see a matching order or draw their own.
            self._drawn = drawn = (self._epoch, self.order(self._epoch))
        rows = drawn[1][index * self.batch_size : (index + 1) * self.batch_size]
        batch = keras.tree.map_structure(lambda x: x[rows], self.arrays)
        if isinstance(batch, dict):
            return {k: _as_value(v) if k == "value" else v for k, v in batch.items()}
        return _as_value(batch)

    def on_epoch_begin(self) -> None:
        """Called by Keras before the first batch of a pass."""
        self._within_epoch = True

    def on_epoch_end(self) -> None:
        """Called by Keras after a pass, and once before the first one, which must not count."""
        if self._within_epoch:
            self.epoch = self._epoch + 1


def _as_value(x: np.ndarray) -> np.ndarray:
    """Values are floats for every head."""
    return x.astype(np.float32) if x.dtype.kind in "biu" else x


def _common_length(arrays: Any) -> int:
    shapes = {".".join(map(str, path)) or "x": x.shape for path, x in keras.tree.flatten_with_path(arrays)}
    lengths = {int(shape[0]) if shape else 0 for shape in shapes.values()}
    received = ", ".join(f"{k} {list(v)}" for k, v in shapes.items()) or "none"
    if len(lengths) != 1 or not all(lengths):
        raise ValueError(f"expected arrays [N, …] of one length N of at least 1; received {received}")
    return lengths.pop()
