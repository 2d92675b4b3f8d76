"""Archives are the same bits under all instruction sets of the processor, and in batches of any size."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfar
from tests.parameters import few_by_default

SCRIPT = pathlib.Path(__file__).with_name("isa_script.py")


def outputs(folder, isa):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_cpu_max_isa={isa}", "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


# A model, the scale of its weights, and the largest activation.
CASES = {
    "sums": (lambda: tfar.MADE([40], [120, 60], seed=0), 0.25, None),
    "gates": (lambda: tfar.GatedPixelCNN([6, 6], 16, num_blocks=2, first_kernel_size=5, seed=0), 0.1, 4.0),
    "series": (lambda: tfar.WaveNet([40], 16, skip_filters=32, num_layers=4, num_stacks=2, seed=0), 0.1, 4.0),
}


@pytest.mark.parametrize("case", few_by_default(CASES, 0, in_ci=1))
def test_instruction_sets_and_batches_do_not_matter(case, tmp_path):
    make, scale, max_activation = CASES[case]
    dist, rng = make(), np.random.default_rng(0)
    for variable in dist.network.variables:
        variable.assign(rng.normal(0.0, scale, variable.shape))
    frozen = tfar.coding.freeze(dist, 7, max_activation)
    rows = frozen.sample(100, seed=1).numpy()
    model = tfar.training.DensityModel(frozen)
    model.compile()
    model.save(tmp_path / "frozen.keras")
    np.save(tmp_path / "rows.npy", rows)
    for chunk_rows in (1, 64):
        (tmp_path / f"{chunk_rows}.tfar").write_bytes(tfar.coding.compress(frozen, rows, chunk_rows=chunk_rows))
    found = {tuple(outputs(tmp_path, isa)) for isa in ("AVX512", "AVX2", "AVX", "SSE4_2")}
    assert len(found) == 1
