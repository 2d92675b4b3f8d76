"""A Keras network that cannot be stepped, stepped by whole passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfar.networks import WholePassNetwork


@keras.saving.register_keras_serializable("tests")
class Cumulative(keras.layers.Layer):
    """Parameters of each site: the sum of those before it in an order, and the condition."""

    def __init__(self, order, **kwargs):
        super().__init__(**kwargs)
        self.order = list(order)

    def call(self, x, c=None, training=None):
        before = tf.cumsum(tf.gather(x, self.order, axis=1), axis=1, exclusive=True)
        sums = tf.gather(before, np.argsort(self.order), axis=1)
        condition = 0.0 if c is None else sum(c.values()) if isinstance(c, dict) else c
        return tf.stack([sums + condition, sums * 2.0], axis=-1)

    def get_config(self):
        return {**super().get_config(), "order": self.order}


ORDER = [2, 0, 3, 1]


@pytest.mark.parametrize("conditional_shape", [None, [1], {"a": [1], "b": [1]}], ids=str)
def test_steps_give_the_parameters_of_a_pass(conditional_shape):
    network = WholePassNetwork(Cumulative(ORDER), (4,), 2, ORDER, conditional_shape=conditional_shape)
    c = None if conditional_shape is None else tf.constant([[0.5], [1.5]])
    c = {"a": c, "b": 2.0 * c} if isinstance(conditional_shape, dict) else c
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    parallel = network(x, c)
    assert parallel.shape == [2, 4, 2]
    state, previous = network.start(2, c), tf.zeros([2, 1])
    for t, site in enumerate(ORDER):
        params, state = network.step(state, tf.constant(t), previous)
        np.testing.assert_allclose(params[:, 0], parallel[:, site], rtol=1e-5, atol=1e-6)
        previous = tf.constant(x[:, site : site + 1])


def test_errors_and_config():
    with pytest.raises(ValueError, match="12 numbers"):
        WholePassNetwork(Cumulative(ORDER), (4,), 3, ORDER)(np.zeros((2, 4), np.float32))
    network = WholePassNetwork(Cumulative(ORDER), (4,), 2, ORDER)
    with pytest.raises(ValueError, match="one order alone"):
        network.start(2, order=[0, 1, 2, 3])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    assert again.get_config() == network.get_config()
    np.testing.assert_array_equal(again(np.ones((2, 4), np.float32)), network(np.ones((2, 4), np.float32)))
