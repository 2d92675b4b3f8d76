"""`.keras` files and checkpoints, written here and read by one fresh process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import read_files
from tests.conformance.selection import selected_cases
from tests.registry import FEW, MAIN, Case

ROOT = Path(__file__).parents[2]


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


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
@pytest.mark.parametrize("kind", ["keras", "checkpoint"])
def test_read_in_a_fresh_process(case: Case, distributions: Any, found: Any, kind: str) -> None:
    dist = distributions(case)
    expected = read_files.results(dist, case, "here")
    np.testing.assert_allclose(found[f"{case.name}/{kind}/log_prob"], expected["here/log_prob"], rtol=1e-5, atol=1e-6)
    seeds = tfar.random.row_seeds(5, read_files.NUM_SAMPLES)
    condition = tfar.testing.support.take(case.condition(read_files.NUM_ROWS), np.zeros(len(seeds), int))
    samples = found[f"{case.name}/{kind}/sample"], expected["here/sample"]
    noise, member_noise = dist.density.noise(seeds), dist.density.member_noise(seeds)
    assert tfar.testing.equal_samples(dist, *samples, noise, condition, member_noise)


def test_checkpoints_hold_every_variable(case: Case, distributions: Any, tmp_path: Path) -> None:
    """Keras hides layers that are held in lists from TensorFlow."""
    dist = distributions(case)
    for tracked in ({"dist": dist}, {"network": dist.network, "head": dist.head}):
        path = tf.train.Checkpoint(**tracked).write(str(tmp_path / next(iter(tracked))))
        names = [name for name, _ in tf.train.list_variables(path) if name.endswith("VARIABLE_VALUE")]
        assert len(names) == len(dist.variables) > 0


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
def test_the_reader_starts_from_other_weights(case: Case, distributions: Any) -> None:
    """Otherwise a checkpoint that restores nothing would pass."""
    from tests.registry import randomize

    x, condition = case.values(4), case.condition(4)
    other = randomize(case.make(), seed=99).copy(jit_compile=False)
    here = distributions(case, jit_compile=False)
    assert not np.allclose(
        other.log_prob(x, conditional_input=condition), here.log_prob(x, conditional_input=condition), rtol=1e-3
    )
