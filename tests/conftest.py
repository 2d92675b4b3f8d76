"""Settings of the whole run, two logical CPUs for strategies with two replicas, and the registry's cases as arguments."""

import contextlib
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.registry import BY_NAME, CASES, MAIN, Case, variants_in
from tests.shards import is_of_today, shard_of_today

with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with an argument `case` on the autoregressive cases of the registry.

    The main case of each model runs by default. The variants are slow; those of the shard of today run before a change lands.
    The markers `by_default(name, ...)` and `in_ci(name, ...)` name other cases, and then the test runs on these alone; those of
    `in_ci` rotate too. A test that parametrises `case` itself keeps its own.
    """
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "case" not in metafunc.fixturenames or "case" in own:
        return
    by_default, in_ci = (metafunc.definition.get_closest_marker(name) for name in ("by_default", "in_ci"))
    if by_default or in_ci:
        fast, today = by_default.args if by_default else MAIN, in_ci.args if in_ci else ()
        names = list(dict.fromkeys([*fast, *today]))
        today = [name for number, name in enumerate(names) if is_of_today(number)]
    else:
        fast, today = MAIN, variants_in(shard_of_today())
        names = [case.name for case in CASES if case.oracle is not None]
    marks = {name: [] if name in fast else [pytest.mark.slow(ci=name in today)] for name in names}
    parameters = [pytest.param(BY_NAME[name], marks=marks[name], id=name) for name in names]
    # With this scope the tests of a case follow each other, so that its facts are computed once.
    metafunc.parametrize("case", parameters, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuses a slow test with slow parameters: `-m "slow(ci=True)"` would select all of them, as the test has the mark."""
    for item in items:
        if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            continue
        own, of_parameters = (
            any(mark.name == "slow" for mark in marks)
            for marks in (getattr(item.function, "pytestmark", []), item.callspec.marks)
        )
        if own and of_parameters:
            raise pytest.UsageError(f"Expected `slow` on the test or on its parameters; received both: {item.nodeid}")


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
