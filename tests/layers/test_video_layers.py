"""Convolutions and LSTMs over frames, against loops: passes, gradients, steps, dependences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tests.reference import video_pixel_network
from tfar.layers import ConvLSTM, FrameConv2D

ROWS, FRAMES, HEIGHT, WIDTH, CHANNELS, FILTERS = 2, 3, 5, 6, 2, 3
CASES = {
    "dilated": lambda: FrameConv2D(FILTERS, 3, dilation_rate=2),
    "lstm": lambda: ConvLSTM(FILTERS, 3),
    "convolution": lambda: FrameConv2D(FILTERS, 3),
    "even kernel": lambda: FrameConv2D(FILTERS, (2, 4), dilation_rate=3),
    "lstm of an even kernel": lambda: ConvLSTM(FILTERS, (1, 2)),
}
X = np.random.default_rng(0).normal(size=(ROWS, FRAMES, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)


@pytest.fixture(params=few_by_default(CASES, count=2))
def layer(request):
    layer = CASES[request.param]()
    layer.build(X.shape)
    for number, variable in enumerate(layer.trainable_variables):
        variable.assign(np.random.default_rng(number).normal(0.0, 0.5, variable.shape))
    return layer


def expected(layer, videos):
    weights = {f"lstm/{v.name}": np.asarray(v, np.float64) for v in layer.weights}
    result = np.zeros((*videos.shape[:-1], FILTERS))
    for row, video in enumerate(videos.astype(np.float64)):
        h = c = np.zeros((HEIGHT, WIDTH, FILTERS))
        for t, frame in enumerate(video):
            if isinstance(layer, ConvLSTM):
                h, c = video_pixel_network.lstm(weights, frame, h, c)
                result[row, t] = h
            else:
                kernel, rate = weights["lstm/kernel"], layer.dilation_rate
                result[row, t] = video_pixel_network.plain_convolution(kernel, frame, rate) + weights["lstm/bias"]
    return result


def test_the_pass_equals_the_loops(layer):
    any_rows = tf.function(layer, input_signature=[tf.TensorSpec([None, *X.shape[1:]])])
    for call in (layer, tf.function(layer, jit_compile=True), any_rows):
        np.testing.assert_allclose(call(X), expected(layer, X), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(X.shape) == (*X.shape[:-1], FILTERS)


def test_gradients_are_those_of_the_loops(layer):
    """Of a weighted sum of the outputs, in a random direction of the input."""
    rng = np.random.default_rng(2)
    mix, direction = rng.normal(size=(*X.shape[:-1], FILTERS)), rng.normal(size=X.shape)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x) * mix.astype(np.float32))
    ends = [(expected(layer, X.astype(np.float64) + step * direction) * mix).sum() for step in (1e-5, -1e-5)]
    found = float(np.sum(np.asarray(tape.gradient(total, x)) * direction))
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-4)


def test_steps_equal_the_pass(layer):
    weights, cache = layer.step_weights(), layer.start(ROWS, (HEIGHT, WIDTH))
    for t in range(FRAMES):
        output, cache, _ = layer.step(cache, tf.constant(X[:, t]), tf.constant(t), weights)
        np.testing.assert_allclose(output, expected(layer, X)[:, t], rtol=1e-5, atol=1e-5)
        if isinstance(layer, ConvLSTM):
            np.testing.assert_allclose(layer.fill(tf.constant(X), tf.constant(t + 1)), cache, rtol=1e-5, atol=1e-6)
    if isinstance(layer, ConvLSTM):
        np.testing.assert_array_equal(layer.fill(tf.constant(X), tf.constant(0)), layer.start(ROWS, (HEIGHT, WIDTH)))


def test_the_reach_is_what_changes(layer):
    """An output depends on the inputs at which its gradient is not zero."""
    t, row, column = FRAMES - 1, 2, 1
    x = tf.constant(X[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = tf.reduce_sum(layer(x)[0, t, row, column])
    is_needed = np.any(np.asarray(tape.gradient(output, x))[0] != 0.0, axis=-1)
    asked = np.zeros((1, FRAMES, HEIGHT, WIDTH, 1), bool)
    asked[0, t, row, column] = True
    np.testing.assert_array_equal(layer.reach(asked, (HEIGHT, WIDTH))[0, ..., 0], is_needed)


def test_config_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


def test_the_forget_gates_are_open_at_first():
    """Without inputs, the cell state decays by the factor sigmoid(1)."""
    layer = ConvLSTM(FILTERS, 3)
    layer.build(X.shape)
    cache = tf.ones([1, 2, HEIGHT, WIDTH, FILTERS]) * tf.constant([0.0, 1.0])[None, :, None, None, None]
    _, cache, _ = layer.step(cache, tf.zeros([1, HEIGHT, WIDTH, CHANNELS]), tf.constant(0), layer.step_weights())
    np.testing.assert_allclose(cache[:, 1], 1.0 / (1.0 + np.exp(-1.0)), rtol=1e-6)
