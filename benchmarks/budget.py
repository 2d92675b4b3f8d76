"""Training for a number of processor seconds instead of epochs, in a folder that survives a kill.

The seconds are those that this process spends on updates, on all processors together. Other load on the machine, validation,
checkpoints and what a kill lost do not count. So models of different libraries can be trained for equal times.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks import results
from benchmarks.cases import LikelihoodCase

JOURNAL = "journal.json"
NUM_CHECKS = 30
LEAST_SHARE = 0.01


class Learner(Protocol):
    """A model that `train` can train. Its files are named by `train` and replaced when they are complete."""

    def update(self, step: int, learning_rate: float) -> int:
        """Makes the update number `step`, counted from 0, and returns the number of samples whose loss it used."""

    def save(self, path: pathlib.Path) -> None:
        """Writes everything that the next update depends on."""

    def load(self, path: pathlib.Path) -> None:
        """Reads what `save` wrote."""


def with_seconds(case: LikelihoodCase, options: argparse.Namespace, command: str) -> tuple[LikelihoodCase, str]:
    """Returns a case and the command that runs it, with the `--seconds` of the command line."""
    if options.seconds is None:
        return case, command
    settings: Any = dataclasses.replace(case.settings, seconds=options.seconds)
    return dataclasses.replace(case, settings=settings), f"{command} --seconds {options.seconds:g}"


def learning_rate(highest: float, share: float) -> float:
    """Falls with the share of the budget that is used, in a straight line to a hundredth of the highest."""
    return highest * max(1.0 - share, LEAST_SHARE)


def train(
    learner: Learner,
    validate: Callable[[], float],
    folder: pathlib.Path,
    *,
    seconds: float,
    highest_rate: float,
    suffix: str,
) -> dict[str, Any]:
    """Trains for `seconds`, or goes on where an earlier call was stopped; the learner then has its best weights.

    Training is interrupted `NUM_CHECKS` times for a validation and a checkpoint. The journal names the checkpoint to go on from
    and the one that was best on validation, and is replaced after both are complete.

    Args:
        learner: what to train.
        validate: function that returns the validation loss, the smaller the better.
        folder: folder of the run.
        seconds: float. The budget, in processor seconds.
        highest_rate: float. The first learning rate.
        suffix: str. Suffix of the checkpoints.

    Returns:
        The journal: `steps`, `seconds`, `samples` (whose loss was used) and the `curve`, a list of the seconds, the samples and
        the validation loss at each interruption.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = read_journal(folder)
    if journal["last"]:
        learner.load(folder / journal["last"])
    while journal["seconds"] < seconds:
        _run_until(learner, journal, min(seconds, journal["seconds"] + seconds / NUM_CHECKS), seconds, highest_rate)
        loss = validate()
        point = {"seconds": round(journal["seconds"], 1), "samples": journal["samples"], "valid": round(loss, 4)}
        print(f"after {journal['steps']} updates: {point}", flush=True)
        is_best = all(loss < earlier["valid"] for earlier in journal["curve"])
        journal["curve"].append(point)
        journal["last"] = f"{journal['steps']}{suffix}"
        journal["best"] = journal["last"] if is_best else journal["best"]
        learner.save(folder / journal["last"])
        results.write_json(journal, folder / JOURNAL)
        for path in folder.glob(f"*{suffix}"):
            if path.name not in (journal["last"], journal["best"]):
                path.unlink()
    learner.load(folder / journal["best"])
    return journal


def figures(journal: dict[str, Any]) -> dict[str, Any]:
    """Returns what a result file says of the training."""
    best = min(journal["curve"], key=lambda point: point["valid"])
    return {
        "updates": journal["steps"],
        "train_seconds": round(journal["seconds"], 1),
        "train_samples": journal["samples"],
        "best_after_seconds": best["seconds"],
        "curve": journal["curve"],
    }


def read_journal(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the journal of a run, or that of one that has not begun."""
    path = folder / JOURNAL
    fresh = {"steps": 0, "seconds": 0.0, "samples": 0, "curve": [], "last": None, "best": None}
    return json.loads(path.read_text()) if path.exists() else fresh


def _run_until(learner: Learner, journal: dict[str, Any], until: float, budget: float, highest_rate: float) -> None:
    """Makes updates until so many seconds of the budget are used, at least one."""
    while True:
        start = time.process_time()
        rate = learning_rate(highest_rate, journal["seconds"] / budget)
        journal["samples"] += learner.update(journal["steps"], rate)
        journal["seconds"] += time.process_time() - start
        journal["steps"] += 1
        if journal["seconds"] >= until:
            return
