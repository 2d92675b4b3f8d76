"""Chunks of audio files for training: values, what precedes them as context, and padding that is not observed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.data.checks import check_count, check_seed
from tfar.data.labels import one_hot
from tfar.data.recordings import Recording, values_of
from tfar.numbered import NumberedBatches


class AudioChunks(NumberedBatches):
    """Batches of chunks of recordings, each a dict as `tfar.training.DensityModel` takes it; `AudioSplits.chunks` makes them.

    A chunk is a row of `warm_up + length` samples. Chunk n of a recording begins at its sample `n * length`. Its first
    `warm_up` samples are the context of the others and are not scored, except in chunk 0, which is scored from its first
    sample. So every sample is scored once, and none as if the recording began in its middle. If the warm-up is at least
    the receptive field of the model, the log-probabilities of the chunks add up to that of the recording.

    A batch has the keys

        value             [B, warm_up + length], or [B, warm_up + length, 1] of 16 bits
        observed          False after the end of a recording
        site_weight       0 in the warm-up and after the end, 1 where a sample is scored
        conditional_input one-hot labels [B, num_classes], if there are labels

    The files are opened when a batch is read. In `DensityModel.fit` the order of an epoch is a function of (seed, epoch).

    Args:
        recordings: the files.
        labels: the class of each file, int64 `[N]`, or None.
        num_classes: int.
        levels: int or None, as in `from_audio`.
        length: int. Samples of a chunk that are scored.
        warm_up: int. Samples before them.
        batch_size: int. Chunks of a batch.
        shuffle: bool. Whether the order of the chunks is random.
        seed: int. Seed of the order.

    Attributes:
        num_rows: int. Number of chunks.
        num_samples: int. Number of samples of all recordings, which is the number of scored ones.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        labels: NDArray[np.int64] | None = None,
        num_classes: int = 0,
        *,
        levels: int | None = 256,
        length: int,
        warm_up: int = 0,
        batch_size: int = 8,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.length, self.warm_up = check_count("length", length), check_count("warm_up", warm_up, minimum=0)
        self.recordings, self.levels, self.labels, self.num_classes = list(recordings), levels, labels, num_classes
        self._ends = np.cumsum([self.num_chunks(recording) for recording in self.recordings])
        self.num_samples = sum(recording.num_samples for recording in self.recordings)
        size = check_count("batch_size", batch_size)
        super().__init__(int(self._ends[-1]), size, seed=check_seed(seed), shuffle=bool(shuffle))

    def num_chunks(self, recording: Recording) -> int:
        """Returns the number of chunks of a recording."""
        return 1 + max(0, -(-(recording.num_samples - self.warm_up - self.length) // self.length))

    def recording_of(self, row: int) -> tuple[int, int]:
        """Returns the number of the recording of a chunk, and the number of the chunk within it."""
        number = int(np.searchsorted(self._ends, row, side="right"))
        return number, int(row - (self._ends[number - 1] if number else 0))

    def __getitem__(self, index: int) -> dict[str, NDArray]:
        places = [self.recording_of(row) for row in self.rows(index)]
        shape = [len(places), self.warm_up + self.length]
        index_of_sample, counts = np.arange(shape[1]), np.zeros([len(places), 1], int)
        value = np.zeros([*shape, *([] if self.levels is not None else [1])], np.float32)
        for row, (number, chunk) in enumerate(places):
            recording, start = self.recordings[number], chunk * self.length
            counts[row] = min(shape[1], recording.num_samples - start)
            part = recording.read(start, start + int(counts[row, 0]))
            value[row, : len(part)] = values_of(part, self.levels)
        observed = index_of_sample < counts
        is_first = np.array([[chunk == 0] for _, chunk in places])
        weight = (observed & (is_first | (index_of_sample >= self.warm_up))).astype(np.float32)
        batch = {"value": value, "observed": observed.reshape(value.shape), "site_weight": weight.reshape(value.shape)}
        if self.labels is not None:
            batch["conditional_input"] = one_hot(self.labels[[number for number, _ in places]], self.num_classes)
        return batch

    def dataset(self) -> tf.data.Dataset:
        """Returns the batches of the current `epoch` as a tf.data pipeline, which reads files ahead in the background."""

        def read() -> Iterator[Any]:
            return (self[index] for index in range(len(self)))

        dataset = tf.data.Dataset.from_generator(read, output_signature=self._specs())
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(tf.data.AUTOTUNE)

    def _specs(self) -> dict[str, tf.TensorSpec]:
        shape = [None, self.warm_up + self.length, *([] if self.levels is not None else [1])]
        specs = {
            "value": tf.TensorSpec(shape, tf.float32),
            "observed": tf.TensorSpec(shape, tf.bool),
            "site_weight": tf.TensorSpec(shape, tf.float32),
        }
        if self.labels is not None:
            specs["conditional_input"] = tf.TensorSpec([None, self.num_classes], tf.float32)
        return specs
