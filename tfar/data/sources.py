"""Sources of the rows of one split: an array in memory, or a stream that each pass reads again."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import tensorflow as tf


class Source(Protocol):
    """Interface: the rows of one split, in the order of the files."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def dtype(self) -> np.dtype:
        """Data type of `array`."""

    @property
    def num_rows(self) -> int | None:
        """Number of rows, or None if unknown."""

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        """Returns float32 batches in order. The last batch may be shorter."""

    def array(self) -> np.ndarray:
        """Returns all rows."""


def as_float32(batch: tf.Tensor) -> tf.Tensor:
    """Casts a batch to float32. It is the last step of a pipeline, so that the earlier steps use less memory."""
    return tf.cast(batch, tf.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource:
    """Rows in memory, `[N, *event_shape]` of any data type.

    Example:
        >>> [batch.shape[0] for batch in ArraySource(np.zeros([5, 2], np.uint8)).dataset(2)]
        [2, 2, 1]
    """

    rows: np.ndarray

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.rows.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.rows.dtype

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        return (
            tf.data.Dataset.from_tensor_slices(self.rows).batch(batch_size).map(as_float32).prefetch(tf.data.AUTOTUNE)
        )

    def array(self) -> np.ndarray:
        return self.rows


@dataclasses.dataclass(frozen=True, eq=False)
class StreamSource:
    """Rows that each pass reads again in chunks, float32 `[n, *event_shape]`, so that they are never all in memory.

    Example:
        >>> source = StreamSource(lambda: [np.zeros([3, 2], np.float32)] * 2, (2,), 6)
        >>> [batch.shape[0] for batch in source.dataset(4)]
        [4, 2]
    """

    read: Callable[[], Iterable[np.ndarray]]
    event_shape: tuple[int, ...]
    num_rows: int | None = None
    dtype: np.dtype = dataclasses.field(default_factory=lambda: np.dtype(np.float32))

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_generator(
            lambda: rebatch(self.read(), batch_size),
            output_signature=tf.TensorSpec([None, *self.event_shape], tf.float32),
        )
        if self.num_rows is not None:
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(math.ceil(self.num_rows / batch_size)))
        return dataset.prefetch(2)

    def array(self) -> np.ndarray:
        return np.concatenate([np.empty([0, *self.event_shape], np.float32), *self.read()])


def rebatch(chunks: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    """Regroups chunks of any length into batches of the same length. The last batch may be shorter.

    Example:
        >>> [b.tolist() for b in rebatch([np.arange(3), np.arange(3, 5)], 2)]
        [[0, 1], [2, 3], [4]]
    """
    held: list[np.ndarray] = []
    num_held = 0
    for chunk in chunks:
        while len(chunk):
            part = chunk[: batch_size - num_held]
            chunk = chunk[len(part) :]
            held.append(part)
            num_held += len(part)
            if num_held == batch_size:
                yield np.concatenate(held)
                held, num_held = [], 0
    if held:
        yield np.concatenate(held)
