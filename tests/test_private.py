"""The private interfaces of TensorFlow that tfar uses do what it relies on."""

import keras
import numpy as np
import tensorflow as tf

from tfar import private


def test_call_concrete_returns_the_structure_of_the_function():
    weight = tf.Variable(2.0)
    function = tf.function(lambda x: {"a": x * weight, "b": (x, x + 1.0)}).get_concrete_function(tf.TensorSpec([2]))
    found = private.call_concrete(function, [tf.constant([1.0, 2.0])])
    np.testing.assert_array_equal(found["a"], [2.0, 4.0])
    np.testing.assert_array_equal(found["b"][1], [2.0, 3.0])
    weight.assign(3.0)
    np.testing.assert_array_equal(private.call_concrete(function, [tf.constant([1.0, 2.0])])["a"], [3.0, 6.0])


def test_is_recorded_sees_tapes_and_accumulators():
    x = tf.constant(1.0)
    assert not private.is_recorded()
    with tf.GradientTape():
        assert private.is_recorded()
    with tf.autodiff.ForwardAccumulator(x, x):
        assert private.is_recorded()
    assert not private.is_recorded()


def test_without_recording_hides_operations_from_a_tape():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        with private.without_recording():
            hidden = x * x
        seen = x * 3.0 + hidden
    assert float(tape.gradient(seen, x)) == 3.0


def test_layers_of_finds_layers_in_lists_and_inside_layers():
    inner = keras.layers.Dense(2)

    class Outer(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [keras.Sequential([inner])]

    outer = Outer()
    assert private.layers_of(outer, recursive=False) == outer.parts
    assert inner in private.layers_of(outer)
