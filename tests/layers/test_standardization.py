"""Standardisation: what it computes, what it adapts to, its dtypes and its files."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.layers import Standardization

RNG = np.random.default_rng(0)
DATA = (RNG.normal(size=(101, 2, 3)) * [1e-3, 1.0, 1e4] + [5.0, 0.0, -1e6]).astype(np.float32)


def fitted(data=DATA, shape=(2, 3), **kwargs):
    layer = Standardization(shape, **kwargs)
    layer.adapt(data)
    return layer


@pytest.mark.parametrize("lead", [(), (4,), (2, 5)])
def test_it_is_the_identity_until_told_otherwise(lead):
    x = RNG.normal(size=(*lead, 3)).astype(np.float32)
    np.testing.assert_array_equal(Standardization([3])(x), x)


def test_given_values_broadcast():
    x = RNG.normal(size=(4, 2, 3)).astype(np.float32)
    found = Standardization([2, 3], loc=[1.0, 2.0, 3.0], scale=2.0)(x)
    np.testing.assert_allclose(found, (x - [1.0, 2.0, 3.0]) / 2.0, rtol=1e-6)


def test_adapted_values_are_the_mean_and_the_deviation():
    layer = fitted()
    np.testing.assert_allclose(layer.loc, DATA.astype(np.float64).mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer.scale, DATA.astype(np.float64).std(0), rtol=1e-6)
    found = np.asarray(layer(DATA), np.float64)
    np.testing.assert_allclose(found.mean(0), np.zeros((2, 3)), atol=3e-4)  # the mean itself is rounded to float32
    np.testing.assert_allclose(found.std(0), np.ones((2, 3)), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 101])
def test_a_data_set_gives_what_its_rows_give(batch_size):
    layer = fitted(tf.data.Dataset.from_tensor_slices(DATA).batch(batch_size))
    np.testing.assert_allclose(layer.loc, fitted().loc, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(layer.scale, fitted().scale, rtol=1e-6)


def test_rows_one_by_one_generators_and_lists_are_data_too():
    for data in (tf.data.Dataset.from_tensor_slices(DATA), (row for row in DATA), DATA.tolist(), tf.constant(DATA)):
        np.testing.assert_allclose(fitted(data).scale, fitted().scale, rtol=1e-6)


def test_deviations_of_values_far_from_zero_keep_their_digits():
    data = np.array([[1e4], [1e4 + 1.0], [1e4 + 2.0]])
    for parts in (data, tf.data.Dataset.from_tensor_slices(data).batch(2)):
        np.testing.assert_allclose(fitted(parts, [1]).scale, [np.sqrt(2.0 / 3.0)], rtol=1e-6)
    data = np.array([[1e8], [1e8 + 1e4], [1e8 + 2e4]]) + np.array(
        [[0.0], [1.0], [3.0]]
    )  # float32 would round the ones away
    np.testing.assert_allclose(fitted(data, [1]).scale, data.std(0), rtol=1e-7)


def test_an_entry_that_never_differs_gets_the_scale_one():
    data = np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]], np.float32)
    for parts in (data, tf.data.Dataset.from_tensor_slices(data).batch(2)):
        layer = fitted(parts, [2])
        np.testing.assert_allclose(layer.scale, [1.0, np.sqrt(8.0 / 3.0)], rtol=1e-6)
        np.testing.assert_allclose(layer(data)[:, 0], 0.0, atol=1e-7)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_variables_have_the_shape_of_the_event(shape):
    layer = fitted(RNG.normal(size=(10, *shape)), shape)
    assert tuple(layer.loc.shape) == tuple(layer.scale.shape) == shape


def test_fixed_entries_keep_location_zero_and_scale_one():
    layer = Standardization([2, 3])
    layer.adapt(DATA, fixed=[False, True, False])
    np.testing.assert_array_equal(np.asarray(layer.loc)[:, 1], [0.0, 0.0])
    np.testing.assert_array_equal(np.asarray(layer.scale)[:, 1], [1.0, 1.0])
    np.testing.assert_array_equal(np.asarray(layer.scale)[:, [0, 2]], np.asarray(fitted().scale)[:, [0, 2]])


def test_it_awaits_data_unless_given_or_adapted():
    assert Standardization([3]).awaits_data
    assert not Standardization([3], loc=1.0).awaits_data
    assert not Standardization([3], scale=1.0).awaits_data
    assert not fitted().awaits_data


def test_adapting_again_forgets_what_was_before():
    layer = fitted()
    layer.adapt(DATA[:10])
    np.testing.assert_allclose(layer.scale, fitted(DATA[:10]).scale)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros([0, 3]), "Expected at least one row of data; received none"),
        (np.zeros([4, 2]), r"Expected data of shape \[..., \[3\]\]; received \[4, 2\]"),
        (np.array([[0.0, np.nan, 1.0]]), "finite"),
        (np.array([[0.0, np.inf, 1.0]]), "finite"),
        (np.array([[0.0, 1e39, 1.0]]), "finite in float32"),
        (np.array([[0.0, 1.0, 1.7e9], [1.0, 0.0, 1.7e9 + 50.0]]), "scale 25 at location 1700000025"),
        (tf.data.Dataset.from_tensors(tf.zeros([4, 3])).repeat(), "Expected a finite data set"),
        (np.array([[0.0, 0.0, 0.0], [1e-60, 1.0, 1.0]]), "positive and finite in float32"),
        (np.array([[0.0, 0.0, 0.0], [1e-39, 1.0, 1.0]]), "positive and finite in float32"),  # a subnormal scale
    ],
)
def test_bad_data_are_errors_and_change_nothing(data, message):
    layer = Standardization([3], loc=1.0, scale=2.0)
    with pytest.raises(ValueError, match=message):
        layer.adapt(data)
    np.testing.assert_array_equal(layer(tf.ones([1, 3])), [[0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loc": np.nan}, "Expected `loc` to be finite"),
        ({"loc": "here"}, "Expected `loc` to be numbers"),
        ({"scale": 0.0}, "positive and finite"),
        ({"scale": [1.0, 1.0, -1.0]}, "positive and finite"),
        ({"scale": [1.0, 2.0]}, r"Expected `scale` to broadcast to \[3\]"),
        ({"loc": 1e39}, "locations that are finite in float32"),
        ({"loc": [0.0, 1e8, 0.0]}, r"scale 1 at location 100000000, where they are 8 apart \(entry \[1\]\)"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Standardization([3], **arguments)


def test_nothing_of_it_is_trained():
    layer = fitted()
    assert [v.path.split("/")[-1] for v in layer.non_trainable_variables] == ["loc", "scale"]
    assert not layer.trainable_variables


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_rounds_the_result_alone(policy):
    data = np.array(
        [[100_000.0], [100_001.0], [100_002.0]], np.float32
    )  # beyond float16, and apart by less than its steps
    layer = fitted(data, [1], dtype=policy)
    assert layer.loc.dtype == layer.scale.dtype == "float32"
    found = layer(data)
    assert found.dtype == layer.compute_dtype
    np.testing.assert_allclose(tf.cast(found, tf.float32), [[-1.2247], [0.0], [1.2247]], atol=5e-3)


def test_graphs_and_xla_agree():
    layer = fitted()
    for compiled in (False, True):
        np.testing.assert_allclose(tf.function(layer, jit_compile=compiled)(DATA), layer(DATA), rtol=1e-6, atol=1e-6)


def test_config_round_trip():
    for layer in (Standardization([2]), Standardization([2, 3], loc=1.5, scale=[1.0, 2.0, 3.0], name="units")):
        again = Standardization.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        x = RNG.normal(size=(4, *layer.shape)).astype(np.float32)
        np.testing.assert_array_equal(again(x), layer(x))


def test_a_file_keeps_what_it_adapted_to(tmp_path: Path):
    layer = fitted()
    keras.Sequential([keras.Input([2, 3]), layer]).save(tmp_path / "layer.keras")
    again = keras.saving.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(again(DATA), layer(DATA))
    assert len(again.variables) == 2


def test_it_belongs_to_the_public_layers():
    assert tfar.layers.Standardization is Standardization
