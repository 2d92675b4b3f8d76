"""The registry has every public distribution, its cases are what they say, and its variants rotate."""

import datetime
import inspect

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfar
from tests.registry import BY_NAME, CASES, VARIANTS, Case, variants_in
from tests.shards import NUM_SHARDS, shard_of_today


def public_distributions() -> list[str]:
    """Names of all distributions that the package exports, whatever they derive from."""
    found = {name: getattr(module, name) for module in (tfar, tfar.distributions) for name in module.__all__}
    kinds = (tfp.distributions.Distribution, tfar.distributions.base.Shell)
    return sorted(name for name, value in found.items() if inspect.isclass(value) and issubclass(value, kinds))


@pytest.mark.parametrize("name", public_distributions())
def test_every_public_distribution_has_a_main_case(name: str) -> None:
    kinds = {type(case.make()).__name__ for case in CASES if case.main and case.name.startswith(f"{name}-")}
    assert name in kinds, f"add a Case of {name} with main=True to tests/registry.py"


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(CASES)


def test_case_is_what_it_says(case: Case) -> None:
    check_case(case)


@pytest.mark.parametrize("name", ["LatentVariable-bits", "PixelVAE-binary"])
def test_case_of_a_latent_variable_model_is_what_it_says(name: str) -> None:
    check_case(BY_NAME[name])


def check_case(case: Case) -> None:
    first, second = case.make(), case.make()
    assert first.event_shape == case.event_shape
    head = first.head if case.oracle else first.decoder.head
    assert head.support().num_values == case.support
    assert (case.conditional_shape is None) == (first.conditional_shape is None)
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)
        assert isinstance(a, tf.Variable)
    assert not any(np.any(variable == 0.0) for variable in first.trainable_variables)


def test_the_shards_of_a_rotation_cover_every_variant_once() -> None:
    days = [datetime.date(2026, 1, 1) + datetime.timedelta(days=day) for day in range(NUM_SHARDS)]
    shards = [variants_in(shard_of_today({}, day)) for day in days]
    assert sorted(name for shard in shards for name in shard) == sorted(VARIANTS)
    assert variants_in("0/1") == set(VARIANTS)


def test_a_shard_may_be_chosen() -> None:
    assert shard_of_today({"TFAR_SHARD": "3/7"}) == "3/7"
    for shard in ("7/7", "-1/7"):
        with pytest.raises(ValueError, match="Expected a shard"):
            variants_in(shard)
