"""A likelihood case of audio: files of any length, a budget of training seconds, and exact scores of whole test files."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from benchmarks import budget, results, speech, training
from benchmarks.cases import LikelihoodCase, Settings
from benchmarks.speech import Recording, Speech

UNIT = "bits a sample"
CONDITIONS = ("speaker", "log-mel", "none")


@dataclasses.dataclass(frozen=True)
class AudioSettings(Settings):
    """Settings of an audio model: `hidden_units` has the features of each layer, `num_stacks` the stacks of the layers.

    A row of a batch has `warm_up` samples of context, which are not scored, and then `chunk` samples; the row at the beginning
    of a file has no context, and all of it is scored. `condition` is one of `CONDITIONS`; log-mel features go with the speaker.
    """

    hidden_units: tuple[int, ...] = (32,) * 9
    num_stacks: int = 2
    skip_filters: int = 128
    condition: str = "speaker"
    batch_size: int = 2
    chunk: int = 2560
    warm_up: int = 1024
    learning_rate: float = 3e-3
    seconds: float = 3600.0

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings that audio models use, for the result file."""
        used = ("hidden_units", "optimizer", "learning_rate", "clip_norm", "seed", "batch_size")
        own = [field.name for field in dataclasses.fields(self) if field.name not in Settings.__dataclass_fields__]
        found = {name: getattr(self, name) for name in (*used, *own)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


class AudioLearner(budget.Learner, Protocol):
    """A model of audio that `run` can train and score."""

    parameters: int
    suffix: str

    def nats(self, files: Sequence[Recording], changed: bool = False) -> np.ndarray:
        """Negative log-likelihood of each whole file; `changed` gives each a wrong condition, see `evaluate`."""


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case; `options` are those of the command line.

    The case's `build` is a function `(settings, recordings) -> AudioLearner`.
    """
    recordings = speech.load(case.data)
    case, command = budget.with_seconds(case, options, command)
    settings: Any = case.settings
    if options.quick:
        recordings = recordings.head()
    folder = training.case_folder(options.folder, case, recordings, fresh=options.fresh)
    learner = case.build(settings, recordings)
    journal = train(learner, settings, recordings, folder)
    figures = {**evaluate(learner, settings, recordings), **budget.figures(journal), "parameters": learner.parameters}
    if case.beside is not None:
        figures["beside"] = dict(case.beside(recordings))
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=settings.seed,
        data=recordings.describe(),
        settings={**settings.as_dict(), "threads": options.threads},
        figures=figures,
        paper={},
        targets=case.check(figures[case.figure]),
    )


def train(learner: AudioLearner, settings: AudioSettings, recordings: Speech, folder: pathlib.Path) -> dict[str, Any]:
    """Trains for the seconds of the settings, with the bits a sample of the validation files; see `budget.train`."""
    return budget.train(
        learner,
        lambda: bits(learner.nats(recordings.valid), recordings.valid),
        folder,
        seconds=settings.seconds,
        highest_rate=settings.learning_rate,
        suffix=learner.suffix,
    )


def bits(nats: np.ndarray, files: Sequence[Recording]) -> float:
    """Bits a sample of all files together."""
    return float(nats.sum() / lengths(files).sum() / np.log(2.0))


def lengths(files: Sequence[Recording]) -> np.ndarray:
    """Number of samples of each file."""
    return np.array([len(file.levels) for file in files])


def evaluate(learner: AudioLearner, settings: AudioSettings, recordings: Speech) -> dict[str, Any]:
    """Returns the bits a sample of the test files, with their own condition and with a wrong one.

    The wrong condition is the other speaker, or features that are one frame late.
    """
    files, counts = recordings.test, lengths(recordings.test)
    own = learner.nats(files)
    figures = {
        "bits_per_dim": round(bits(own, files), 4),
        "standard_error": round(ratio_error(own / np.log(2.0), counts), 4),
        "valid_bits_per_dim": round(bits(learner.nats(recordings.valid), recordings.valid), 4),
        "test_files": len(files),
        "test_samples": int(counts.sum()),
    }
    if settings.condition == "none":
        return figures
    wrong = learner.nats(files, changed=True)
    differences = (wrong - own) / counts / np.log(2.0)
    error = differences.std(ddof=1) / np.sqrt(len(files))
    figures["changed_condition"] = {
        "change": "speakers swapped" if settings.condition == "speaker" else "features one frame late",
        "bits_per_dim": round(bits(wrong, files), 4),
        "mean_difference": round(float(differences.mean()), 4),
        "t": round(float(differences.mean() / error), 2),
    }
    return figures


def ratio_error(totals: np.ndarray, counts: np.ndarray) -> float:
    """Standard error of sum(totals) / sum(counts) over files, to first order."""
    deviations = totals - counts * totals.sum() / counts.sum()
    return float(deviations.std(ddof=1) * np.sqrt(len(counts)) / counts.sum())
