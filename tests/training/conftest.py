"""What the tests of training share."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfar

ROOT = pathlib.Path(tfar.__file__).parents[1]


@pytest.fixture(scope="session")
def rows():
    """70 rows of six bits, the second of each pair mostly equal to the first."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, (70, 3))
    second = np.where(rng.random((70, 3)) < 0.9, first, 1 - first)
    return np.concatenate([first, second], axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def start_script():
    """Starts `python tests/training/NAME *arguments` on this package; returns the process."""

    def start(name, *arguments, **environment):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
        command = [sys.executable, str(pathlib.Path(__file__).parent / name), *map(str, arguments)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="session")
def finish():
    """Waits for a process that must succeed; returns what it printed."""

    def finish(process, code=0):
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, f"exit status {process.returncode}\n{out}\n{err[-4000:]}"
        return out

    return finish
