"""Reads what `test_files` wrote, in a process of its own: `python -m tests.conformance.read_files FOLDER`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfar
from tests.conformance import kinds
from tests.registry import BY_NAME, Case, randomize

NUM_ROWS, NUM_SAMPLES = 6, 64
CASES = (*kinds.ALL, BY_NAME["LatentVariable-bits"])


def results(dist: Any, case: Case, prefix: str) -> dict[str, np.ndarray]:
    """Scores and samples of a distribution; of one with a latent variable, its bound."""
    law, x, condition = dist.law, tf.constant(case.values(NUM_ROWS)), case.condition(NUM_ROWS)
    seeds = tfar.random.row_seeds(5, NUM_SAMPLES)
    score = law.elbo(seeds[:NUM_ROWS], x) if case.oracle is None else law.log_prob(x, condition)
    one = tfar.testing.support.take(condition, np.zeros(NUM_SAMPLES, int))
    return {f"{prefix}/score": np.asarray(score), f"{prefix}/sample": np.asarray(law.sample(seeds, one))}


def main(folder: Path) -> None:
    """Reads both files of each case that has them."""
    found: dict[str, np.ndarray] = {}
    for case in CASES:
        keras_file, checkpoint = folder / f"{case.name}.keras", folder / case.name
        if keras_file.exists():
            found |= results(tfar.load(keras_file), case, f"{case.name}/keras")
        if Path(f"{checkpoint}.index").exists():
            dist = randomize(case.make(), seed=99)
            tf.train.Checkpoint(dist=dist).read(str(checkpoint)).assert_consumed()
            found |= results(dist, case, f"{case.name}/checkpoint")
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
