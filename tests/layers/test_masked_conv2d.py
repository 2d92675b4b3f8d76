"""MaskedConv2D as a Keras layer, against loops."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference import pixel_cnn
from tfar.layers import MaskedConv2D

SIZES = [1, 3, (2, 2), (4, 3), (1, 5), (3, 1), (5, 2)]


def build(kernel_size=3, channels=6, filters=12, **kwargs):
    layer = MaskedConv2D(filters, kernel_size, bias_initializer="random_normal", **kwargs)
    layer.build((None, None, None, channels))
    return layer


def image(channels=6, rows=2, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, 4, 5, channels)).astype(np.float32)


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("num_groups", [1, 3])
@pytest.mark.parametrize("kernel_size", SIZES, ids=str)
def test_equals_the_loops(kernel_size, mask_type, num_groups):
    layer, x = build(kernel_size, mask_type=mask_type, num_groups=num_groups, activation="tanh"), image()
    weights = pixel_cnn.Layer(np.asarray(layer.full_kernel, np.float64), np.asarray(layer.bias, np.float64))
    expected = [np.tanh(pixel_cnn.convolution(weights, row, mask_type, num_groups)) for row in x.astype(np.float64)]
    for call in (layer, tf.function(layer, jit_compile=True)):
        np.testing.assert_allclose(call(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == (2, 4, 5, 12)


@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("mask_type", ["A", "B"])
def test_the_kernel_is_masked(mask_type, num_groups):
    layer = build((3, 5), channels=4, filters=8, mask_type=mask_type, num_groups=num_groups)
    for i, j, n, o in itertools.product(*map(range, layer.kernel.shape)):
        groups = pixel_cnn.colour(n, 4, num_groups), pixel_cnn.colour(o, 8, num_groups)
        expected = layer.full_kernel[i, j, n, o] if pixel_cnn.sees(i - 1, j - 2, *groups, mask_type) else 0.0
        assert layer.kernel[i, j, n, o] == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_mask_holds_before_and_after_training(optimizer):
    layer = MaskedConv2D(6, 3, mask_type="A", num_groups=3, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((4, 5, 3)), layer])
    model.compile(keras.optimizers.get(optimizer), "mse")
    rng = np.random.default_rng(0)

    def leaks():
        x, changed = image(3, rows=1), image(3, rows=1)
        changed[0, 2, 2, 1] += 1.0  # green of one pixel: red and green of it and all before stay
        same = np.asarray(layer(x) == layer(changed)).reshape(-1, 6)
        return not same[:12].all() or not same[12, :4].all() or same[12, 4:].any()

    assert not leaks()
    model.fit(rng.normal(size=(16, 4, 5, 3)), rng.normal(size=(16, 4, 5, 6)), epochs=2, batch_size=8, verbose=0)
    assert not leaks()


def test_without_bias():
    layer = MaskedConv2D(2, 3, use_bias=False)
    layer.build((None, None, None, 1))
    x = np.zeros((1, 3, 3, 1), np.float32)
    x[0, 0, 0, 0] = 1.0
    np.testing.assert_allclose(layer(x)[0, 1, 1], layer.kernel[0, 0, 0])
    assert len(layer.trainable_variables) == 1


def test_config_and_weights_round_trip(tmp_path):
    layer = build(mask_type="A", num_groups=3, activation="relu")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config() and again.mask_type == "A" and again.num_groups == 3
    inputs = keras.Input((4, 5, 6))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(image()), model(image()))
    np.testing.assert_array_equal(loaded.layers[-1].full_kernel, layer.full_kernel)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16"])
def test_dtype_policies(policy):
    layer, exact = build(dtype=policy), build()
    for variable, value in zip(layer.variables, exact.variables, strict=True):
        variable.assign(value)
    result = layer(image())
    assert result.dtype == layer.compute_dtype and layer.full_kernel.dtype == layer.variable_dtype
    np.testing.assert_allclose(tf.cast(result, tf.float32), exact(image()), atol=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_type": "C"}, r"Expected `mask_type` to be one of \('A', 'B'\); received 'C'"),
        ({"num_groups": 5}, "Expected filters to split into 5 groups of equal size; received 12"),
        ({"num_groups": 0}, "Expected filters to split into 0 groups"),
        ({"num_groups": 4}, "Expected the channels of the input to split into 4 groups of equal size; received 6"),
        ({"strides": 2}, r"Expected `strides` to be \(1, 1\); received \(2, 2\)"),
        ({"padding": "valid"}, "Expected `padding` to be 'same'; received 'valid'"),
        ({"dilation_rate": 2}, "Expected `dilation_rate`"),
        ({"groups": 2}, "Expected `groups` to be 1"),
        ({"data_format": "channels_first"}, "Expected `data_format` to be 'channels_last'"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_bad_shapes_are_errors():
    with pytest.raises(
        ValueError, match=r"Expected inputs `\[B, H, W, C\]` with a known C; received shape \(2, 3, 4\)"
    ):
        MaskedConv2D(2, 3).build((2, 3, 4))
