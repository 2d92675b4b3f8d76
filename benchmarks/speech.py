"""Recordings of two speakers who say the same phrases: the data of audio models, read from TFAR_DATA_DIR.

A data set has one array a file, as files differ in length. Phrases are split, not files, so that no speaker says a test phrase in
training.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import data

SPEAKERS = ("english", "french")
NUM_TEST, NUM_VALID, SPLIT_SEED = 48, 12, 0
FRAME, WINDOW, NUM_BANDS, SAMPLE_RATE = 80, 256, 40, 8000
QUICK_FILES, QUICK_SAMPLES = 4, 2000


@dataclasses.dataclass(frozen=True)
class Recording:
    """One file.

    Args:
        levels: whole numbers `[T]` as float32, the values that a model scores.
        speaker: int. Index in `SPEAKERS`.
        signal: float32 `[T]` in -1 .. 1, from which features are computed.
    """

    levels: np.ndarray
    speaker: int
    signal: np.ndarray

    def head(self, count: int) -> Recording:
        """Returns the first samples."""
        return Recording(self.levels[:count], self.speaker, self.signal[:count])


@dataclasses.dataclass(frozen=True)
class Speech:
    """Recordings for training, validation and test, and a note on their origin."""

    name: str
    train: Sequence[Recording]
    valid: Sequence[Recording]
    test: Sequence[Recording]
    note: str

    def describe(self) -> dict[str, Any]:
        """Returns the name, the sizes and the hashes for the result file."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            "name": self.name,
            "sizes": {split: len(files) for split, files in parts.items()},
            "samples": {split: sum(len(file.levels) for file in files) for split, files in parts.items()},
            "sha256": {split: _digest(files) for split, files in parts.items()},
            "note": self.note,
        }

    def head(self) -> Speech:
        """Returns the beginnings of some files of each split, for `--quick`."""
        parts = {
            split: [file.head(QUICK_SAMPLES) for file in getattr(self, split)[:QUICK_FILES]]
            for split in ("train", "valid", "test")
        }
        return dataclasses.replace(self, **parts, note=f"{self.note}; only the beginnings of {QUICK_FILES} files")


def load(name: str) -> Speech:
    """Reads a data set of `benchmarks.data.SPEECH`.

    Raises:
        ValueError: If the name is unknown, or if the folder or the file is missing.
    """
    if name not in data.SPEECH:
        raise ValueError(f"Expected a data set out of {sorted(data.SPEECH)}. Received: {name!r}")
    lengths, *samples = data.read("speech_8khz", ("length", *SPEAKERS))
    files = [np.split(part, np.cumsum(lengths[:-1, index])) for index, part in enumerate(samples)]
    phrases = np.random.default_rng(SPLIT_SEED).permutation(len(lengths))
    parts = np.split(phrases, [NUM_TEST, NUM_TEST + NUM_VALID])
    test, valid, train = (
        [_recording(name, files[speaker][phrase], speaker) for phrase in part for speaker in range(len(SPEAKERS))]
        for part in parts
    )
    return Speech(name, train, valid, test, data.SPEECH[name])


def _recording(name: str, samples: np.ndarray, speaker: int) -> Recording:
    """Returns a file whose levels are mu-law levels 0 .. 255, or the samples themselves."""
    import tfar

    signal = (samples / 32768.0).astype(np.float32)
    levels = tfar.data.mu_law(samples / 32768.0) if name == "speech_8_bit" else samples.astype(np.float32)
    return Recording(levels, speaker, signal)


def log_mel(signal: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the energy in mel bands, float32 `[frames, NUM_BANDS]`, a frame for `FRAME` samples.

    Frame n covers the samples n * FRAME to (n + 1) * FRAME - 1, and its window of `WINDOW` samples is centred on them.
    """
    import tensorflow as tf

    frames, lead = -(-len(signal) // FRAME), (WINDOW - FRAME) // 2
    padded = np.pad(signal, (lead, frames * FRAME - len(signal) + WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: frames * FRAME : FRAME]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    mel = tf.signal.linear_to_mel_weight_matrix(NUM_BANDS, WINDOW // 2 + 1, SAMPLE_RATE, 20.0, SAMPLE_RATE / 2)
    return np.log(power @ mel.numpy() + 1e-6).astype(np.float32)


def _digest(files: Sequence[Recording]) -> str:
    return hashlib.sha256(b"".join(file.levels.astype("<i4").tobytes() for file in files)).hexdigest()
