"""`import tfar` is quick and quiet, and says what to install where TensorFlow is missing."""

import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# What TensorFlow's C++ code prints before it reads TF_CPP_MIN_LOG_LEVEL.
NATIVE = re.compile(r"([IWE]\d{4} .*\.cc:\d+\] .*|WARNING: All log messages before absl::InitializeLog.*)\n")


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_it_prints_nothing():
    done = run("import tfar")
    assert (done.returncode, done.stdout, NATIVE.sub("", done.stderr)) == (0, "", "")


@pytest.mark.slow(ci=True)
def test_its_own_modules_warn_of_nothing():
    done = run("import tfar", "-W", "always")
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if f"{ROOT / 'tfar'}{os.sep}" in line] == []


@pytest.mark.parametrize("first", ["import tfar", "from tfar import MADE", "import tfar.cli"])
def test_without_tensorflow_it_names_both_ways_out(first):
    done = run(f"import sys; sys.modules['tensorflow'] = None; {first}")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: tfar needs TensorFlow, which is not installed.")
    assert "`pip install tensorflow`" in last and "`pip install tensorflow-cpu`" in last


@pytest.mark.slow(ci=True)
def test_it_takes_little_longer_than_what_it_imports():
    def cpu_seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run(code).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(cpu_seconds("import tensorflow, tensorflow_probability"), cpu_seconds("import tfar")) for _ in range(5)]
    theirs, ours = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    assert ours < 1.3 * theirs
