"""Trains a distribution of tfar on audio: rows with a stretch of context, and the conditions of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import speech
from benchmarks.audio import AudioSettings
from benchmarks.learner import ModelLearner
from benchmarks.speech import FRAME, NUM_BANDS, SPEAKERS, Recording, Speech


class Conditions:
    """What a distribution is conditional on: the speaker, the speaker and features of frames, or nothing.

    Args:
        kind: str. One of `benchmarks.audio.CONDITIONS`.
        recordings: the data. Features are standardised by their means and deviations over the training files.
    """

    def __init__(self, kind: str, recordings: Speech) -> None:
        self.kind = kind
        local = {"speaker": [len(SPEAKERS)], "log_mel": [None, NUM_BANDS]}
        self.shape: Any = {"none": None, "speaker": local["speaker"], "log-mel": local}[kind]
        if kind == "log-mel":
            frames = np.concatenate([speech.log_mel(file.signal) for file in recordings.train])
            self.mean, self.deviation = frames.mean(axis=0), frames.std(axis=0)

    def of(self, file: Recording, *, changed: bool = False) -> Any:
        """Returns the condition of a whole file; changed, that of the other speaker, or features that are one frame late."""
        if self.kind == "none":
            return None
        one_hot = np.eye(len(SPEAKERS), dtype=np.float32)
        if self.kind == "speaker":
            return one_hot[1 - file.speaker if changed else file.speaker]
        features = (speech.log_mel(file.signal) - self.mean) / self.deviation
        if changed:
            features = np.concatenate([features[:1], features[:-1]])
        return {"speaker": one_hot[file.speaker], "log_mel": features}

    def window(self, condition: Any, start: int, width: int) -> Any:
        """Returns the part of the condition of a file that belongs to a row; frames after the end are zeros."""
        if self.kind != "log-mel":
            return condition
        first, count = start // FRAME, -(-width // FRAME)
        frames = condition["log_mel"][first : first + count]
        return {**condition, "log_mel": np.pad(frames, ((0, count - len(frames)), (0, 0)))}


def windows(length: int, warm_up: int, chunk: int) -> Iterator[tuple[int, int, int]]:
    """Yields the rows of a file: the first sample, the first that is scored, and the end. Each sample is scored once."""
    for start in range(0, max(1, length - warm_up), chunk):
        yield start, start + warm_up if start else 0, min(start + warm_up + chunk, length)


def rows(file: Recording, settings: AudioSettings, conditions: Conditions) -> list[dict[str, Any]]:
    """Returns the rows of a file, all of one length: context, samples that are scored, and filling after the end."""
    if settings.chunk % FRAME:
        raise ValueError(f"Expected a chunk of whole frames of {FRAME} samples. Received: {settings.chunk}")
    width, condition, found = settings.warm_up + settings.chunk, conditions.of(file), []
    for start, first, end in windows(len(file.levels), settings.warm_up, settings.chunk):
        value, weight = np.zeros((2, width), np.float32)
        value[: end - start] = file.levels[start:end]
        weight[first - start : end - start] = 1.0 / settings.chunk  # so that a loss is about the nats of a sample
        row = {"value": value, "site_weight": weight}
        if condition is not None:
            row["conditional_input"] = conditions.window(condition, start, width)
        found.append(row)
    return found


class AudioModelLearner(ModelLearner):
    """Trains a distribution whose events have the shape `[None]` or `[None, 1]`; see `benchmarks.audio.AudioLearner`.

    Args:
        dist: the distribution.
        settings: AudioSettings.
        recordings: the data.
        conditions: what the distribution is conditional on.
        jit_compile: bool. Whether XLA compiles the update.
    """

    def __init__(
        self, dist: Any, settings: AudioSettings, recordings: Speech, conditions: Conditions, jit_compile: bool = True
    ) -> None:
        import keras
        import tensorflow as tf

        self.conditions, self.channels = conditions, (1,) * (len(dist.event_shape) - 1)
        examples = [row for file in recordings.train for row in rows(file, settings, conditions)]
        arrays = keras.tree.map_structure(lambda *parts: np.stack(parts), *examples)
        for name in ("value", "site_weight"):
            arrays[name] = arrays[name].reshape(*arrays[name].shape, *self.channels)
        super().__init__(dist, arrays, settings, jit_compile)
        self._log_prob = tf.function(dist.log_prob, reduce_retracing=True)  # one function for files of all lengths

    def num_samples(self, batch: Mapping[str, Any]) -> int:
        """Returns the number of samples that are scored."""
        return int(np.count_nonzero(batch["site_weight"]))

    def nats(self, files: Sequence[Recording], changed: bool = False) -> np.ndarray:
        """Negative log-likelihood of each whole file; see `benchmarks.audio.AudioLearner`."""
        return np.array([self._nats(file, changed) for file in files])

    def _nats(self, file: Recording, changed: bool) -> float:
        import tensorflow as tf

        value = tf.constant(file.levels.reshape(1, -1, *self.channels))
        condition = self.conditions.of(file, changed=changed)
        if condition is not None:
            condition = tf.nest.map_structure(lambda part: tf.constant(part[None], tf.float32), condition)
        return -float(self._log_prob(value, conditional_input=condition)[0])
