"""Samples of a model of audio after every epoch of `tfar train`: files to listen to, and a picture."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from tfar import plots
from tfar.cli import audio
from tfar.data import signal_of, write_audio
from tfar.data.labels import one_hot
from tfar.training.logs import remove_later
from tfar.training.run_folder import Resumable

NUM_SAMPLES, SECONDS = 4, 1.0


class AudioSamples(Resumable):
    """Draws samples after an epoch, and writes each as `samples/epoch-0001-NAME.wav` and all as `pictures/epoch-0001.png`.

    The noise is the same every time. The picture needs matplotlib, and is left out without it.

    Args:
        folder: folder of the run.
        names: str of each sample, part of the name of its file.
        sample_rate: int.
        levels: int or None, as in `tfar.data.from_audio`.
        length: int. Samples of a file.
        conditional_input: the condition of each sample `[N, num_classes]`, or None.
        seed: int. The seed of `dist.sample`.
    """

    def __init__(
        self,
        folder: Path,
        names: list[str],
        sample_rate: int,
        levels: int | None,
        length: int,
        conditional_input: Any = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sounds, self.pictures = folder / "samples", folder / "pictures"
        self.replaced = (self.sounds / "epoch-*.wav", self.pictures / "epoch-*.png")
        self.names, self.sample_rate, self.levels, self.length = names, sample_rate, levels, length
        self.conditional_input, self.seed = conditional_input, seed

    def restore(self, state: Any, epoch: int) -> None:
        for pattern in self.replaced:
            remove_later(pattern.parent.glob(pattern.name), epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        dist, length = self.model.dist, self.length
        if self.conditional_input is None:
            drawn = dist.sample(len(self.names), seed=self.seed, length=length)
        else:
            drawn = dist.sample(1, seed=self.seed, length=length, conditional_input=self.conditional_input)[0]
        signals = dict(zip(self.names, signal_of(np.asarray(drawn), self.levels), strict=True))
        for name, signal in signals.items():
            write_audio(self.sounds / f"epoch-{epoch + 1:04d}-{name}.wav", signal, self.sample_rate)
        if importlib.util.find_spec("matplotlib") is not None:
            plots.waveforms(signals, self.sample_rate, self.pictures / f"epoch-{epoch + 1:04d}.png")


def audio_samples(splits: Any, folder: Path, seed: int) -> AudioSamples:
    """Makes the callback of a run on recordings: a second of each of the first classes, or a few samples without classes."""
    labels = splits.labels
    names = audio.sample_names(None if labels is None else labels.classes, NUM_SAMPLES)
    condition = None if labels is None else one_hot(np.arange(len(names)), labels.num_classes)
    length = round(SECONDS * splits.sample_rate)
    return AudioSamples(folder, names, splits.sample_rate, splits.levels, length, condition, seed)
