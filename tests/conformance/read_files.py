"""Reads what `test_files` wrote, in a process of its own: `python -m tests.conformance.read_files FOLDER`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfar
from tests import registry

NUM_ROWS, NUM_SAMPLES = 6, 64


def results(dist: Any, case: registry.Case, prefix: str) -> dict[str, np.ndarray]:
    """Scores and samples of a distribution."""
    dist, condition = dist.copy(jit_compile=False), case.condition(NUM_ROWS)
    one = tfar.testing.support.take(condition, 0)
    return {
        f"{prefix}/log_prob": np.asarray(dist.log_prob(case.values(NUM_ROWS), conditional_input=condition)),
        f"{prefix}/sample": np.asarray(dist.sample(NUM_SAMPLES, seed=5, conditional_input=one)),
    }


def main(folder: Path) -> None:
    """Reads both files of each case that has them."""
    found: dict[str, np.ndarray] = {}
    for case in registry.CASES:
        keras_file, checkpoint = folder / f"{case.name}.keras", folder / case.name
        if keras_file.exists():
            found |= results(tfar.load(keras_file), case, f"{case.name}/keras")
        if Path(f"{checkpoint}.index").exists():
            dist = registry.randomize(case.make(), seed=99)
            tf.train.Checkpoint(dist=dist).read(str(checkpoint)).assert_consumed()
            found |= results(dist, case, f"{case.name}/checkpoint")
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
