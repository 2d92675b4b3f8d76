"""`.keras` files and checkpoints, written here and read by one fresh process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import kinds, read_files
from tests.conformance.selection import selected_cases
from tests.conformance.stub import STUB
from tests.registry import BY_NAME, CASES, Case, randomize

ROOT = Path(__file__).parents[2]
KINDS = kinds.over(default=[], in_ci=[*kinds.DEFAULT, *kinds.IN_CI, BY_NAME["LatentVariable-bits"]])


@pytest.fixture(scope="module")
def found(request: Any, tmp_path_factory: Any, distributions: Any) -> dict[str, np.ndarray]:
    """What a fresh process computes from the files of the selected cases."""
    folder = tmp_path_factory.mktemp("files")
    for case in selected_cases(request):
        dist = distributions(case)
        tfar.training.DensityModel(dist).save(folder / f"{case.name}.keras")
        tf.train.Checkpoint(dist=dist).write(str(folder / case.name))
    command = [sys.executable, "-m", "tests.conformance.read_files", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz") as arrays:
        return dict(arrays)


@KINDS
@pytest.mark.parametrize("kind", ["keras", "checkpoint"])
def test_read_in_a_fresh_process(case: Case, distributions: Any, found: Any, kind: str) -> None:
    dist = distributions(case)
    expected = read_files.results(dist, case, "here")
    np.testing.assert_allclose(found[f"{case.name}/{kind}/score"], expected["here/score"], rtol=1e-5, atol=1e-6)
    samples = found[f"{case.name}/{kind}/sample"], expected["here/sample"]
    assert np.isclose(*samples, rtol=1e-4, atol=1e-4).mean() > 0.99  # A draw at the edge of two values may differ.


@pytest.mark.parametrize("case", [case for case in CASES if case.main] + [STUB], ids=lambda case: case.name)
def test_checkpoints_hold_every_variable(case: Case, tmp_path: Path) -> None:
    """Of every model: Keras hides layers that are held in lists from TensorFlow."""
    dist = case.make()
    parts = {"network": dist.network, "head": dist.head} if case.oracle else {}
    for number, tracked in enumerate(({"dist": dist}, parts)):
        if tracked:
            path = tf.train.Checkpoint(**tracked).write(str(tmp_path / str(number)))
            names = [name for name, _ in tf.train.list_variables(path) if name.endswith("VARIABLE_VALUE")]
            assert len(names) == len(dist.variables) > 0


@KINDS
def test_the_reader_starts_from_other_weights(case: Case, distributions: Any) -> None:
    """Otherwise a checkpoint that restores nothing would pass."""
    here = read_files.results(distributions(case), case, "")
    other = read_files.results(randomize(case.make(), seed=99), case, "")
    assert not np.allclose(here["/score"], other["/score"], rtol=1e-3)
