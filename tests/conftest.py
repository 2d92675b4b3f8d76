"""Settings of the whole run, two logical CPUs for strategies with two replicas, and the registry's cases as arguments."""

import contextlib
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.registry import CASES, Case, shard_of_today, variants_in

with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with an argument `case` on every autoregressive case of the registry.

    The main case of each model runs by default. The variants are slow; those of the shard of today run before a change lands.
    A test that parametrises `case` itself keeps its own.
    """
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "case" in metafunc.fixturenames and "case" not in own:
        today = variants_in(shard_of_today())
        cases = [case for case in CASES if case.oracle is not None]
        marks = {case.name: [] if case.main else [pytest.mark.slow(ci=case.name in today)] for case in cases}
        parameters = [pytest.param(case, marks=marks[case.name], id=case.name) for case in cases]
        # Tests of a case follow each other, so that its facts are computed once and then given up.
        metafunc.parametrize("case", parameters, scope="session")


@pytest.fixture
def dtype_policy() -> Any:
    """Sets a global dtype policy for one test: call it with the name."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def distributions() -> Any:
    """Returns the distribution of a case, made once; tests that change weights make their own.

    With `jit_compile=False`, the one whose eager calls run as plain graphs, so that tests share their traces too.
    """
    made: dict[tuple[str, bool | None], Any] = {}

    def get(case: Case, jit_compile: bool | None = None) -> Any:
        key = (case.name, jit_compile)
        if key not in made:
            made[key] = case.make() if jit_compile is None else get(case).copy(jit_compile=jit_compile)
        return made[key]

    return get
