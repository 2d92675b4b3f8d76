"""Skewing an image and its exact inverse, against loops."""

import numpy as np
import pytest
import tensorflow as tf

from tfar.layers import Skew, Unskew

SIZES = [(3, 4), (4, 3), (1, 5), (5, 1)]


def image(size):
    return np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_loops(size):
    x = image(size)
    expected = np.zeros((2, size[0], sum(size) - 1, 3))
    for r, c in np.ndindex(*size):
        expected[:, r, r + c] = x[:, r, c]
    for call in (Skew(), tf.function(Skew(), jit_compile=True)):
        np.testing.assert_array_equal(call(tf.constant(x)), expected)
    assert Skew().compute_output_shape(x.shape) == expected.shape
    assert Unskew().compute_output_shape(expected.shape) == x.shape


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_is_exact_both_ways_in_value_and_gradient(size):
    x = tf.constant(image(size))
    np.testing.assert_array_equal(Unskew()(Skew()(x)), x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Unskew()(Skew()(x)) * x[::-1])
    np.testing.assert_array_equal(tape.gradient(total, x), 2.0 * x[::-1])


def test_the_inverse_reads_nothing_outside_the_image():
    x = Skew()(tf.constant(image((3, 4))))
    outside = np.asarray(Skew()(tf.ones_like(image((3, 4))))) == 0.0
    np.testing.assert_array_equal(Unskew()(tf.where(outside, np.float32(np.nan), x)), image((3, 4)))
