"""Shifted convolutions and their transposed ones against loops; shapes, files, normalised kernels and half precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference import pixel_cnn_plus_plus as reference
from tfar.layers import ShiftedConv2D, ShiftedConv2DTranspose

CONVOLUTIONS = pytest.mark.parametrize(
    ("kernel_size", "shift", "strict", "strides"),
    [
        ((2, 3), "down", False, 1),
        ((2, 3), "down", True, 1),
        ((1, 5), "down", True, 1),
        ((2, 2), "down_right", False, 1),
        ((2, 1), "down_right", True, 1),
        ((3, 4), "down", True, 1),
        ((3, 2), "down_right", True, 1),
        ((2, 3), "down", False, 2),
        ((2, 2), "down_right", False, 2),
    ],
)
SIZES = pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 2)])


def images(size, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *size, channels)).astype(np.float32)


def randomized(layer):
    for i, variable in enumerate(layer.trainable_variables):
        variable.assign(np.random.default_rng(i).normal(size=variable.shape))
    return layer


@CONVOLUTIONS
@SIZES
def test_convolution_equals_the_loops(kernel_size, shift, strict, strides, size):
    x = images(size)
    layer = ShiftedConv2D(3, kernel_size, shift, strict=strict, strides=strides)
    layer(x)
    y = randomized(layer)(x)
    assert y.shape == layer.compute_output_shape(x.shape)
    for row in range(2):
        expected = reference.convolve(x[row], np.asarray(layer.v), np.asarray(layer.bias), shift, strict, strides)
        np.testing.assert_allclose(y[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "shift"), [((2, 3), "down"), ((3, 5), "down"), ((2, 2), "down_right"), ((2, 3), "down_right")]
)
@pytest.mark.parametrize(("small", "size"), [((2, 3), (4, 6)), ((2, 3), (3, 5)), ((1, 1), (1, 2))])
def test_transposed_convolution_equals_the_loops(kernel_size, shift, small, size):
    x = images(small)
    layer = ShiftedConv2DTranspose(3, kernel_size, shift)
    layer(x, size=size)
    y = randomized(layer)(x, size=size)
    assert y.shape == (2, *size, 3)
    for row in range(2):
        expected = reference.expand(x[row], np.asarray(layer.v), np.asarray(layer.bias), shift, size)
        np.testing.assert_allclose(y[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_normalised_kernels_have_the_lengths_g(transposed):
    x = images((4, 6))
    layer = (
        ShiftedConv2DTranspose(3, (2, 3), use_weight_norm=True)
        if transposed
        else ShiftedConv2D(3, (2, 3), use_weight_norm=True)
    )
    how = {"size": (8, 12)} if transposed else {}
    layer(x, **how)
    np.testing.assert_allclose(layer.kernel, layer.v, rtol=1e-5, err_msg="at first the kernel is v")
    randomized(layer)
    axes = (0, 1, 3) if transposed else (0, 1, 2)
    lengths = np.sqrt(np.sum(np.square(layer.kernel), axes))
    np.testing.assert_allclose(lengths, np.abs(layer.g), rtol=1e-5)
    layer.v.assign(tf.zeros_like(layer.v))
    assert np.isfinite(layer(x, **how)).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_data_initialisation_gives_outputs_mean_0_and_variance_1(transposed):
    x = 3.0 + 2.0 * images((5, 6))
    layer = (
        ShiftedConv2DTranspose(3, (2, 3), use_weight_norm=True)
        if transposed
        else ShiftedConv2D(3, (2, 3), use_weight_norm=True)
    )
    how = {"size": (9, 12)} if transposed else {}
    layer(x, **how)
    direction = np.array(layer.v)
    y = np.asarray(layer.initialize(x, **how)).reshape(-1, 3)
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1.0, rtol=1e-4)
    np.testing.assert_array_equal(layer.v, direction)
    with pytest.raises(ValueError, match="use_weight_norm"):
        ShiftedConv2D(3, (2, 3)).initialize(x)


@pytest.mark.parametrize("transposed", [False, True])
def test_config_round_trip(transposed):
    kind = ShiftedConv2DTranspose if transposed else ShiftedConv2D
    own = {} if transposed else {"strict": True, "strides": 2}
    layer = kind(5, (2, 4), "down_right", use_weight_norm=True, name="own", **own)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is kind and again.get_config() == layer.get_config()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_float32_weights(policy):
    x = images((4, 6))
    layer = ShiftedConv2D(3, (2, 3), use_weight_norm=True, dtype=policy)
    half = layer(x)
    full = ShiftedConv2D(3, (2, 3), use_weight_norm=True)
    full(x)
    for a, b in zip(full.variables, layer.variables, strict=True):
        a.assign(b)
    assert half.dtype == layer.compute_dtype and all(v.dtype == "float32" for v in layer.variables)
    np.testing.assert_allclose(tf.cast(half, tf.float32), full(x), atol=0.05)


def test_what_is_wrong_is_refused():
    for kind, kernel_size, shift in (
        (ShiftedConv2D, (0, 3), "down"),
        (ShiftedConv2D, (2, 3), "up"),
        (ShiftedConv2DTranspose, (1, 3), "down"),
        (ShiftedConv2DTranspose, (2, 1), "down_right"),
    ):
        with pytest.raises(ValueError, match="Expected"):
            kind(3, kernel_size, shift)
