"""Settings of the whole run, two logical CPUs for strategies with two replicas, and the registry's cases as arguments."""

import contextlib
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.registry import CASES, Case

with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with an argument `case` on the main case of every model; on all others it is slow.

    The marker `by_default(name, ...)` names other cases than the main ones, and `in_ci(name, ...)` those of the slow ones that
    run before a change lands: all if it names none. A test that parametrises `case` itself keeps its own.
    """
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "case" in metafunc.fixturenames and "case" not in own:
        by_default, in_ci = (metafunc.definition.get_closest_marker(name) for name in ("by_default", "in_ci"))
        names = [case.name for case in CASES]
        unknown = {name for mark in (by_default, in_ci) if mark for name in mark.args} - set(names)
        if unknown:
            raise ValueError(
                f"Expected names of cases of the registry at {metafunc.function.__name__}; received {unknown}."
            )
        fast = by_default.args if by_default else [case.name for case in CASES if case.main]
        in_ci_names = (in_ci.args or names) if in_ci else ()
        slow = {name: pytest.mark.slow(ci=True) if name in in_ci_names else pytest.mark.slow for name in names}
        marked = [case if case.name in fast else pytest.param(case, marks=slow[case.name]) for case in CASES]
        metafunc.parametrize("case", marked, ids=names)


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
