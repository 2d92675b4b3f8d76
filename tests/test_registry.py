"""The registry has every public distribution, and its cases are what they say."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import CASES, Case


def public_distributions() -> list[str]:
    found = [(name, getattr(tfar, name)) for name in tfar.__all__]
    return [name for name, value in found if inspect.isclass(value) and issubclass(value, tfar.Autoregressive)]


@pytest.mark.parametrize("name", public_distributions())
def test_every_public_distribution_has_a_main_case(name: str) -> None:
    kinds = {type(case.make()).__name__ for case in CASES if case.main and case.name.startswith(name)}
    assert name in kinds, f"add a Case of {name} with main=True to tests/registry.py"


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_case_is_what_it_says(case: Case) -> None:
    first, second = case.make(), case.make()
    assert first.event_shape == case.event_shape
    assert first.head.support().num_values == case.support
    assert (case.conditional_shape is None) == (first.conditional_shape is None)
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.any(a == 0.0) and isinstance(a, tf.Variable)
