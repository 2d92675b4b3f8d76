"""Copies share weights and compiled functions, and keep their law through configuration, files, pickling and slicing."""

import copy
import functools
import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import all_events, binary, spread

import tfar
from tests.parameters import few_by_default
from tfar.distributions import calls

EVENTS = all_events(4)
CONDITION = np.random.default_rng(3).normal(size=(3, 2)).astype(np.float32)


def agnostic() -> tfar.MADE:
    return spread(binary(order="random", num_masks=None, num_eval_masks=2))


COPIES = {
    "temperature": lambda: spread(binary()).with_temperature(0.5),
    "order": lambda: agnostic().with_order([2, 0, 3, 1]),
    "order and temperature": lambda: agnostic().with_order([2, 0, 3, 1]).with_temperature(2.0),
    "orders": lambda: spread(tfar.OrderlessNADE([4], [6], num_orders=2, jit_compile=False)).with_orders(3),
    "condition": lambda: spread(binary(conditional_shape=[2])).given(CONDITION[0]),
    "slice": lambda: spread(binary(conditional_shape=[2])).given(CONDITION)[1],
    "slice and temperature": lambda: spread(binary(conditional_shape=[2])).with_temperature(0.5).given(CONDITION)[1],
}
CHANGES = {
    "order": lambda dist: dist.with_order([2, 0, 3, 1]),
    "temperature": lambda dist: dist.with_temperature(0.5),
    "condition": lambda dist: dist.given(CONDITION)[1],
    "name": lambda dist: dist.copy(name="other"),
}
WAYS = {
    "config": lambda dist: with_weights_of(dist, type(dist).from_config(dist.get_config())),
    "keras": lambda dist: with_weights_of(
        dist, keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dist))
    ),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda dist: pickle.loads(pickle.dumps(dist)),
    "TFP's copy": lambda dist: dist.copy(name="other"),
}


def with_weights_of(dist, other):
    for to, value in zip(other.variables, dist.variables, strict=True):
        to.assign(value)
    return other


@pytest.mark.parametrize("way", few_by_default(WAYS, count=3))
@pytest.mark.parametrize("name", few_by_default(COPIES, count=2))
def test_a_copy_keeps_its_law(name: str, way: str) -> None:
    dist = COPIES[name]()
    expected = dist.log_prob(EVENTS)
    samples = dist.sample(5, seed=1)
    other = WAYS[way](dist)
    np.testing.assert_allclose(other.log_prob(EVENTS), expected, rtol=1e-6)
    np.testing.assert_array_equal(other.sample(5, seed=1), samples)
    assert other.batch_shape == dist.batch_shape and other.temperature == dist.temperature


@pytest.mark.parametrize("name", ["temperature", "order", "orders"])
def test_a_copy_has_another_law_than_its_original(name: str) -> None:
    """Otherwise the test above would see no difference."""
    dist = COPIES[name]()
    original = with_weights_of(dist, type(dist)(**dist._arguments))
    assert np.abs(original.log_prob(EVENTS) - dist.log_prob(EVENTS)).max() > 1e-3


def test_changes_of_a_copy_add_up_in_any_order() -> None:
    """A change that undid an earlier one would make the law depend on which came first."""
    dist = spread(tfar.OrderlessNADE([4], [6], conditional_shape=[2], num_orders=2, jit_compile=False))
    copies = [
        functools.reduce(lambda found, name: CHANGES[name](found), names, dist)
        for names in itertools.permutations(CHANGES)
    ]
    first = copies[0].log_prob(EVENTS)
    for changed in copies:
        np.testing.assert_allclose(changed.log_prob(EVENTS), first, rtol=1e-6)
        assert (changed.temperature, changed.num_members, changed.name) == (0.5, 1, "other")
        np.testing.assert_array_equal(changed.bound_condition, CONDITION[1])
    for without in CHANGES.keys() - {"name", "condition"}:
        others = [change for name, change in CHANGES.items() if name != without]
        fewer = functools.reduce(lambda found, change: change(found), others, dist)
        assert np.abs(fewer.log_prob(EVENTS) - first).max() > 1e-3


def test_a_saved_copy_is_loaded_with_its_law(tmp_path) -> None:
    dist = COPIES["order and temperature"]()
    tfar.training.DensityModel(dist).save(tmp_path / "copy.keras")
    loaded = tfar.load(tmp_path / "copy.keras")
    np.testing.assert_allclose(loaded.log_prob(EVENTS), dist.log_prob(EVENTS), rtol=1e-6)


def test_a_deep_copy_has_weights_of_its_own_and_a_copy_shares_them() -> None:
    dist = spread(binary())
    deep, shallow = copy.deepcopy(dist), copy.copy(dist)
    before = dist.log_prob(EVENTS)
    for variable in dist.variables:
        variable.assign(variable * 0.5)
    np.testing.assert_allclose(deep.log_prob(EVENTS), before, rtol=1e-6)
    np.testing.assert_allclose(shallow.log_prob(EVENTS), dist.log_prob(EVENTS), rtol=1e-6)


def test_an_attribute_of_a_copy_is_not_stored_with_the_original(tmp_path) -> None:
    dist = spread(binary())
    copy.copy(dist).extra = tf.Variable(1.0)
    path = tf.train.Checkpoint(dist=dist).save(str(tmp_path / "ckpt"))
    assert not [name for name, _ in tf.train.list_variables(path) if "extra" in name]


def test_pickling_works_after_the_first_call() -> None:
    dist = spread(binary())
    expected = dist.log_prob(EVENTS), dist.sample(3, seed=1)
    other = pickle.loads(pickle.dumps(dist))
    np.testing.assert_allclose(other.log_prob(EVENTS), expected[0], rtol=1e-6)
    np.testing.assert_array_equal(other.sample(3, seed=1), expected[1])


# Slices ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slices",
    [0, -1, tf.constant(1), slice(1, 3), slice(None, None, 2), Ellipsis, (Ellipsis, None), (slice(0, 2), None)],
    ids=str,
)
def test_slices_are_those_of_the_batch(slices) -> None:
    dist = spread(binary(conditional_shape=[2])).given(CONDITION)
    part = dist[slices]
    expected = dist.log_prob(EVENTS[:, None])
    full = (slice(None), *slices) if isinstance(slices, tuple) else (slice(None), slices)
    lead = [1] * (part.batch_shape.rank or 0)
    found = part.log_prob(EVENTS.reshape(-1, *lead, 4))
    np.testing.assert_allclose(found, expected.numpy()[full], rtol=1e-5)
    assert part.variables[0] is dist.variables[0]


def test_slices_of_a_dict_of_conditions_and_of_a_broadcast_batch() -> None:
    dist = spread(binary(conditional_shape={"a": [2], "b": [1]}))
    bound = dist.given({"a": CONDITION[:, None], "b": np.ones([2, 1], np.float32)})
    assert bound.batch_shape == [3, 2] and bound[1].batch_shape == [2] and bound[..., 1].batch_shape == [3]
    expected = bound.log_prob(EVENTS[:, None, None]).numpy()
    np.testing.assert_allclose(bound[:, 1].log_prob(EVENTS[:, None]), expected[:, :, 1], rtol=1e-5)


def test_slicing_without_a_batch_and_too_many_slices_are_errors() -> None:
    with pytest.raises(ValueError, match="Expected a distribution with a batch"):
        binary()[0]
    with pytest.raises(ValueError, match="at most 1 slices"):
        binary(conditional_shape=[2]).given(CONDITION)[0, 0]


# Compiled functions ---------------------------------------------------------------------------------------------------


def test_copies_share_compiled_functions(monkeypatch) -> None:
    dist = agnostic()
    dist.with_temperature(0.5).sample(3, seed=1)
    dist.with_order([0, 1, 2, 3]).log_prob(EVENTS)
    monkeypatch.setattr(tf, "function", lambda *args, **kwargs: pytest.fail("Something was compiled again."))
    draws = [dist.with_temperature(t).sample(3, seed=1) for t in (0.25, 0.6, 2.0)]
    orders = [dist.with_order(o).log_prob(EVENTS) for o in ([3, 2, 1, 0], [1, 0, 3, 2])]
    assert np.abs(orders[0] - orders[1]).max() > 1e-3 and len(draws) == 3


def test_the_table_of_compiled_functions_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(calls, "MAX_FUNCTIONS", 3)
    dist = binary()
    for count in range(1, 9):
        dist.log_prob(EVENTS[:count])
        dist.log_prob(EVENTS[:count].reshape(count, 1, 4))
    assert len(dist._calls._functions) <= 3
    np.testing.assert_allclose(dist.log_prob(EVENTS[:3]), dist.log_prob(EVENTS)[:3], rtol=1e-5)


def test_many_numbers_of_rows_compile_few_functions() -> None:
    dist = binary()
    for count in range(1, 17):
        dist.sample(count, seed=1)
    sizes = {key[3] for key in dist._calls._functions}  # after the name, the mode and whether there is a seed
    assert len(dist._calls._functions) <= calls.EXACT_SIZES + 3, sizes


# Checkpoints ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [tfar.ConvNADE, tfar.OrderlessNADE], ids=lambda make: make.__name__)
def test_a_checkpoint_of_other_orders_restores_the_weights(make, tmp_path) -> None:
    kwargs = (
        {"filters": [3], "kernel_sizes": [2], "hidden_units": [4]} if make is tfar.ConvNADE else {"hidden_units": [5]}
    )
    first, second = (spread(make([2, 2], jit_compile=False, **kwargs), seed=seed) for seed in (0, 1))
    path = tf.train.Checkpoint(dist=first.with_orders(3)).save(str(tmp_path / "ckpt"))
    stored = [shape for name, shape in tf.train.list_variables(path) if name.startswith("dist/")]
    assert len(stored) == len(first.variables), "each weight is stored once"
    status = tf.train.Checkpoint(dist=second).restore(path)
    status.assert_existing_objects_matched()
    for restored, saved in zip(second.variables, first.variables, strict=True):
        np.testing.assert_array_equal(restored, saved)
