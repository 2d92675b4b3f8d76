"""A likelihood case of videos: some frames are given, and the others are scored, in nats a predicted frame."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

from benchmarks import data, results, training
from benchmarks.cases import LikelihoodCase

NUM_FRAMES, NUM_GIVEN = 10, 5
# In training, all frames after the first two count. Two frames show the motion, and each further one is another example of it.
NUM_GIVEN_IN_TRAINING = 2
SIZES = {"num_train": 4_000, "num_valid": 200, "num_test": 300}
QUICK_SIZES = {"num_train": 12, "num_valid": 4, "num_test": 4}
SEED = 0
# The names of the data sets, and their numbers of digits.
DIGITS = {"wandering_mnist_1": 1, "wandering_mnist_2": 2}


@dataclasses.dataclass(frozen=True)
class VideoSplits(data.Splits):
    """Videos of which the first frames are given."""

    def examples(self, split: str) -> Any:
        """Returns the argument of `fit`: only the frames that are predicted count, and in training some before them."""
        rows = getattr(self, split)
        num_given = NUM_GIVEN_IN_TRAINING if split == "train" else NUM_GIVEN
        is_predicted = np.arange(NUM_FRAMES)[None, :, None, None] >= num_given
        weight = np.broadcast_to(np.float32(is_predicted), (len(rows), NUM_FRAMES, 1, 1))
        return {"value": rows, "site_weight": np.array(weight)}


def load(name: str, *, quick: bool = False) -> VideoSplits:
    """Generates the videos of a data set of `DIGITS`."""
    import tfar

    sizes = QUICK_SIZES if quick else SIZES
    splits = tfar.data.load("wandering_mnist", seed=SEED, num_digits=DIGITS[name], num_frames=NUM_FRAMES, **sizes)
    rows = {split: splits.arrays(split) for split in ("train", "valid", "test")}
    note = f"tfar's wandering_mnist of seed {SEED}, {NUM_GIVEN} frames of {NUM_FRAMES} given"
    return VideoSplits(name, **rows, note=note)


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case; `options` are those of the command line."""
    splits = load(case.data, quick=options.quick)
    folder = training.case_folder(options.folder, case, splits, fresh=options.fresh)
    dist, epochs = training.train(case, splits, folder)
    figures: dict[str, Any] = {}
    for split in ("valid", "test"):
        nll, error = training.evaluate(predicted_log_prob(dist), getattr(splits, split), case.settings.batch_size)
        figures |= {f"{split}_nll": round(nll, 4), "standard_error": round(error, 4)}
    figures |= {"epochs": len(epochs), "train_seconds": round(sum(epoch["seconds"] for epoch in epochs), 1)}
    figures["curve"] = training.curve(epochs)
    figures["parameters"] = int(sum(np.prod(v.shape) for v in dist.trainable_variables))
    figures["bounds"] = bounds(splits)
    print(f"bounds of any model, nats a predicted frame: {figures['bounds']}", flush=True)
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=case.settings.seed,
        data=splits.describe(),
        settings=case.settings.as_dict(),
        figures=figures,
        paper={},
        targets=case.check(figures["test_nll"]),
    )


def predicted_log_prob(dist: Any) -> Any:
    """Returns the log-probability of the predicted frames of videos given the others, a function to `[B]`, a frame."""
    import tensorflow as tf

    num_given = NUM_GIVEN * dist.num_sites // NUM_FRAMES
    count = NUM_FRAMES - NUM_GIVEN
    return lambda rows: tf.reduce_sum(dist.site_log_probs(rows)[:, num_given:], axis=-1) / count


# Bounds --------------------------------------------------------------------------------------------------------------


def bounds(splits: data.Splits) -> dict[str, float]:
    """Returns limits of any model on the test videos, in nats a predicted frame, which follow from the process.

    "the process" is the mean entropy of the next positions and velocities, given the present ones: no model can do better,
    as far as different positions give different frames. "pixels apart" is the best of all models whose pixels are
    independent of each other given the past, even one that knows digits, positions and velocities.
    """
    from tfar.data import wandering

    videos = wandering.Videos(test_digits(), DIGITS[splits.name], NUM_FRAMES, len(splits.test), (SEED, 2))
    entropies, apart = [], []
    for number in range(-(-len(splits.test) // wandering.CHUNK)):
        chosen, paths = videos.parts(number)
        for row in range(min(wandering.CHUNK, len(splits.test) - number * wandering.CHUNK)):
            for t in range(NUM_GIVEN, NUM_FRAMES):
                entropy, nll = _of_step(chosen[row], paths.positions[row, t - 1], paths.velocities[row, t - 1])
                entropies.append(entropy)
                apart.append(nll)
    return {"the process": round(float(np.mean(entropies)), 2), "pixels apart": round(float(np.mean(apart)), 2)}


def test_digits() -> np.ndarray:
    """Returns the shrunk test digits, `[M, 14, 14]`."""
    from tfar.data.binarized import read_mnist
    from tfar.data.wandering import shrunk

    return shrunk(read_mnist()["test"])


def _of_step(digits: np.ndarray, position: np.ndarray, velocity: np.ndarray) -> tuple[float, float]:
    """Returns the entropy of the next positions of digits, and the sum of the entropies of the pixels of the next frame."""
    from tfar.data import wandering

    is_empty, entropy = np.ones((wandering.SIZE, wandering.SIZE)), 0.0
    for digit, own_position, own_velocity in zip(digits, position, velocity, strict=True):
        probs = next_positions(own_position, own_velocity)
        entropy -= sum(p * np.log(p) for p in probs.values())
        is_on = np.zeros_like(is_empty)
        for (row, column), p in probs.items():
            is_on[row : row + wandering.DIGIT_SIZE, column : column + wandering.DIGIT_SIZE] += p * digit
        is_empty *= 1.0 - is_on
    p = np.clip(is_empty, 1e-12, 1.0 - 1e-12)
    return float(entropy), float(-(p * np.log(p) + (1.0 - p) * np.log1p(-p)).sum())


def next_positions(position: np.ndarray, velocity: np.ndarray) -> dict[tuple[int, int], float]:
    """Returns the probabilities of the next positions of a digit."""
    from tfar.data import wandering

    speeds = range(-wandering.FASTEST, wandering.FASTEST + 1)
    drawn = [np.array([down, across]) for down in speeds for across in speeds]
    chances = [(velocity, 1.0 - wandering.REDRAW_PROBABILITY)]
    chances += [(other, wandering.REDRAW_PROBABILITY / len(drawn)) for other in drawn]
    probs: dict[tuple[int, int], float] = {}
    for step, chance in chances:
        end = tuple(int(n) for n in wandering.moved(position, step)[0])
        probs[end] = probs.get(end, 0.0) + chance
    return probs
