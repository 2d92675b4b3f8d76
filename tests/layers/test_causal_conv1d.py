"""Causal convolutions against loops: the pass, the steps, the ring buffers of a prefix, and what outputs depend on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfar.layers import CausalConv1D, FrameUpsampling, OneHotCausalConv1D

LENGTH, ROWS, CHANNELS, CLASSES = 9, 3, 2, 4
CASES = [
    {"kernel_size": 1},
    {"kernel_size": 2, "strict": True},
    {"kernel_size": 2, "dilation_rate": 4, "activation": "tanh"},
    {"kernel_size": 3, "dilation_rate": 2, "use_bias": False},
    {"kernel_size": 3, "dilation_rate": 2, "strict": True},
    {"kernel_size": 2, "dilation_rate": 16},
    {"kernel_size": 2, "strict": True, "num_classes": CLASSES},
    {"kernel_size": 3, "dilation_rate": 2, "num_classes": CLASSES},
]


@pytest.fixture(params=CASES, ids=str)
def layer(request):
    kind = OneHotCausalConv1D if "num_classes" in request.param else CausalConv1D
    layer = kind(5, bias_initializer="random_normal", **request.param)
    layer.build((None, None, CHANNELS))
    return layer


def inputs_of(layer, seed=0):
    generator = np.random.default_rng(seed)
    if isinstance(layer, OneHotCausalConv1D):
        return generator.integers(0, CLASSES + 1, size=(ROWS, LENGTH, CHANNELS)).astype(np.float32)
    return generator.normal(size=(ROWS, LENGTH, CHANNELS)).astype(np.float32)


def expected(layer, x):
    """The sum over taps that the docstring gives, a time after the other."""
    if isinstance(layer, OneHotCausalConv1D):
        x = np.array([[[v == k + 1 for v in at for k in range(CLASSES)] for at in row] for row in x], float)
    kernel = np.asarray(layer.kernel, np.float64)
    result = np.zeros((ROWS, LENGTH, 5)) + (0.0 if layer.bias is None else np.asarray(layer.bias, np.float64))
    for t in range(LENGTH):
        for tap in range(len(kernel)):
            source = t - (len(kernel) - 1 - tap) * layer.dilation_rate[0] - layer.strict
            if source >= 0:
                result[:, t] += x[:, source] @ kernel[tap]
    return np.tanh(result) if layer.activation is keras.activations.tanh else result


def test_the_pass_equals_the_loops(layer):
    x = inputs_of(layer)
    for call in (layer, tf.function(layer, jit_compile=True)):
        np.testing.assert_allclose(call(tf.constant(x)), expected(layer, x), rtol=1e-5, atol=1e-5)


def before(layer, x, t):
    """The input of the step of time t."""
    return np.zeros_like(x[:, 0]) if t < layer.strict else x[:, t - layer.strict]


def test_steps_equal_the_loops_for_rows_at_one_time_and_at_their_own(layer):
    x, weights, cache = inputs_of(layer), layer.step_weights(), layer.start(ROWS)
    for t in range(LENGTH):
        output, cache, _ = layer.step(cache, tf.constant(before(layer, x, t)), tf.constant(t), weights)
        np.testing.assert_allclose(output, expected(layer, x)[:, t], rtol=1e-5, atol=1e-5)
        cache = None if layer.window == 1 else cache
    times = np.array([1, 4, LENGTH - 1], np.int32)
    cache = layer.fill(tf.constant(x), tf.constant(times))
    own = np.stack([before(layer, x, t)[row] for row, t in enumerate(times)])
    output, _, _ = layer.step(cache, tf.constant(own), tf.constant(times), weights)
    np.testing.assert_allclose(output, expected(layer, x)[np.arange(ROWS), times], rtol=1e-5, atol=1e-5)


def test_the_ring_buffers_of_a_prefix_are_those_of_its_steps(layer):
    x, weights, cache = inputs_of(layer), layer.step_weights(), tf.zeros([ROWS, layer.window, CHANNELS])
    for t in range(LENGTH):
        np.testing.assert_array_equal(layer.fill(tf.constant(x), tf.constant(t)), cache)
        _, cache, _ = layer.step(cache, tf.constant(before(layer, x, t)), tf.constant(t), weights)


def test_reach_is_what_changes(layer):
    x, found = inputs_of(layer), np.zeros((LENGTH, LENGTH), bool)
    for t in range(LENGTH):
        other = x.copy()
        other[:, t] = (x[:, t] + 1.0) % (CLASSES + 1)
        found[:, t] = (np.abs(layer(tf.constant(other)) - layer(tf.constant(x))) > 1e-7).any(axis=(0, 2))
    asked = np.eye(LENGTH, dtype=bool)[..., None]
    np.testing.assert_array_equal(layer.reach(asked, (LENGTH,))[..., 0], found)


def test_serialisation(layer):
    again = type(layer).from_config(layer.get_config())
    again.build((None, None, CHANNELS))
    again.set_weights(layer.get_weights())
    x = tf.constant(inputs_of(layer))
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("argument", [{"strides": 2}, {"padding": "same"}, {"groups": 2}])
def test_arguments_that_break_causality_are_refused(argument):
    with pytest.raises(ValueError, match="Expected"):
        CausalConv1D(4, 2, **argument)


def test_upsampling_starts_as_repetition_and_follows_its_kernel():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    layer = FrameUpsampling(hop_length=2)
    np.testing.assert_array_equal(layer(x), np.repeat(x, 2, axis=1))
    kernel = np.random.default_rng(1).normal(size=(3, 2, 3)).astype(np.float32)
    layer.kernel.assign(kernel)
    for t in range(8):
        around = [(j, t // 2 + j - 1) for j in range(3) if 0 <= t // 2 + j - 1 < 4]
        expected = sum(kernel[j, t % 2] * x[:, n] for j, n in around)
        np.testing.assert_allclose(layer(x)[:, t], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="odd"):
        FrameUpsampling(2, num_frames=4)
    again = FrameUpsampling.from_config(layer.get_config())
    assert (again.hop_length, again.num_frames) == (2, 3)
