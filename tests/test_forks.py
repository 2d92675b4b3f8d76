"""A forked child that would hang in TensorFlow raises an error, and one that may use it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parameters import few_by_default

ROOT = Path(__file__).parents[1]

SCRIPT = """
import os, sys
import tensorflow as tf
from tfar.forks import check_not_forked

if sys.argv[1] == "used":
    check_not_forked()
    print(float(tf.reduce_sum(tf.random.uniform([100, 100]) @ tf.ones([100, 100]))) > 0.0, flush=True)
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    check_not_forked()
    check_not_forked()
except RuntimeError as error:
    print(error, flush=True)
    os._exit(3)
os._exit(0)
"""

SERVED = """
import os, sys
import numpy as np
import tfar
from tfar.serving.log_prob import SavedLogProb

tfar.serving.export_saved_model(tfar.MADE([3], [4], jit_compile=False), sys.argv[1])
log_prob = SavedLogProb(sys.argv[1] + "/1")
log_prob(np.zeros([2, 3]))
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    log_prob(np.zeros([2, 3]))
except RuntimeError as error:
    os._exit(3 if "forked" in str(error) else 4)
os._exit(0)
"""


TRAINED = """
import os, sys
import numpy as np
import tfar

def use(dist):
    model = tfar.training.DensityModel(dist)
    model.compile("sgd", jit_compile=False)
    model.fit(np.zeros([2, 3]), verbose=0)

USES = {
    "make": lambda dist: tfar.MADE([3], [4]),
    "fit": use,
    "export": lambda dist: tfar.serving.export_saved_model(dist, "unused"),
}
dist = tfar.MADE([3], [4], jit_compile=False)
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    USES[sys.argv[1]](dist)
except RuntimeError as error:
    os._exit(3 if "forked" in str(error) else 4)
os._exit(0)
"""


def run(script, argument, timeout=60):
    command = [sys.executable, "-c", script, str(argument)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize(("parent", "code"), [("used", 3), ("unused", 0)])
def test_a_child_of_a_process_that_used_tensorflow_is_refused(parent, code):
    done = run(SCRIPT, parent)
    assert done.returncode == code, done.stderr[-2000:]
    assert ("was forked from process" in done.stdout and "spawn" in done.stdout) == (parent == "used")


def test_a_model_that_the_parent_called_refuses_in_the_child(tmp_path):
    assert run(SERVED, tmp_path, timeout=120).returncode == 3


@pytest.mark.parametrize("use", few_by_default(["fit", "make", "export"], count=0, in_ci=1))
def test_a_child_neither_makes_nor_trains_nor_exports_where_the_parent_made_a_distribution(use):
    assert run(TRAINED, use, timeout=120).returncode == 3
