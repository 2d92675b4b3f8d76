"""The rounded ReLU against NumPy, its gradient, and its limits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfar.layers import RoundedReLU


@pytest.mark.parametrize("bits, max_value", [(0, None), (3, None), (8, 1.7), (2, 3.0)])
def test_values_are_multiples_of_the_unit(bits, max_value):
    x = np.random.default_rng(0).normal(0.0, 4.0, 1000).astype(np.float32)
    unit = 2.0**-bits
    positive = np.maximum(x, 0.0)
    expected = [unit * float(round(float(v) / unit)) for v in positive]  # Python rounds halves to even
    if max_value is not None:
        expected = np.minimum(expected, unit * np.floor(max_value / unit))
    got = RoundedReLU(bits, max_value)(x).numpy()
    np.testing.assert_array_equal(got, np.float32(expected))
    np.testing.assert_array_equal(RoundedReLU(bits, max_value)(got).numpy(), got)


def test_halves_round_to_even():
    assert RoundedReLU(0)(np.float32([0.5, 1.5, 2.5])).numpy().tolist() == [0.0, 2.0, 2.0]


def test_the_gradient_is_that_of_a_relu():
    x = tf.constant([-1.0, 0.3, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = RoundedReLU(2, max_value=4.0)(x)
    assert tape.gradient(y, x).numpy().tolist() == [0.0, 1.0, 0.0]


def test_it_is_restored_from_its_configuration():
    made = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(RoundedReLU(3, 2.0)))
    assert (made.bits, made.max_value) == (3, 2.0)


@pytest.mark.parametrize("arguments", [(-1,), (1.5,), (24,), (True,), (4, 0.0), (4, 2.0**20)])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"Expected `(bits|max_value)`"):
        RoundedReLU(*arguments)
