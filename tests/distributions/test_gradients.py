"""Training by other loops than `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from enumeration import binary, mixture, spread

import tfar
from tests.parameters import few_by_default

ROWS = np.repeat(np.array([[1, 0, 1, 0], [0, 0, 1, 1]], np.float32), 8, axis=0)


@pytest.mark.parametrize(
    "make_optimizer",
    [lambda: keras.optimizers.Adam(0.05), lambda: tf.compat.v1.train.AdamOptimizer(0.05), lambda: _tf_keras_adam(0.05)],
    ids=["keras", "tf1", "tf_keras"],
)
def test_a_gradient_tape_loop_trains(make_optimizer):
    dist, optimizer = binary(), make_optimizer()
    before = float(-tf.reduce_mean(dist.log_prob(ROWS)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(dist.log_prob(ROWS))
        gradients = tape.gradient(loss, dist.trainable_variables)
        optimizer.apply_gradients(zip(gradients, dist.trainable_variables, strict=True))

    for _ in range(60):
        step()
    assert float(-tf.reduce_mean(dist.log_prob(ROWS))) < min(1.2, 0.6 * before)


def _tf_keras_adam(rate):
    import tf_keras

    return tf_keras.optimizers.Adam(rate)


def test_an_eager_gradient_of_log_prob_is_the_true_one():
    """Against central differences, through the compiled eager call too."""
    for jit_compile in (False, True):
        dist = spread(mixture(jit_compile=jit_compile), 0.3)
        x = dist.sample(4, seed=1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(dist.log_prob(x))
        variable = dist.trainable_variables[0]
        gradient = tape.gradient(loss, variable).numpy()
        index = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        value, values = variable.numpy(), []
        for step in (1e-2, -1e-2):
            moved = value.copy()
            moved[index] += step
            variable.assign(moved)
            values.append(float(tf.reduce_sum(dist.log_prob(x))))
        assert abs((values[0] - values[1]) / 2e-2 - gradient[index]) < 2e-2 * abs(gradient[index])


def test_tfp_minimize_trains():
    dist = binary()
    losses = tfp.math.minimize(
        lambda: -tf.reduce_mean(dist.log_prob(ROWS)),
        num_steps=60,
        optimizer=keras.optimizers.Adam(0.05),
        trainable_variables=dist.trainable_variables,
    )
    assert losses[-1] < min(1.2, 0.6 * losses[0])


@pytest.mark.parametrize("num_masks", [1, 2])
@pytest.mark.parametrize("bad", few_by_default([np.nan, np.inf, 2.0]))
def test_a_row_that_is_left_out_for_its_nan_leaves_the_gradient_alone(num_masks, bad):
    """In a graph, where bad rows are no errors: a user who sums the log_probs that are numbers trains on the good rows."""
    dist = tfar.MADE([3], [8], num_masks=num_masks, seed=1)
    good = np.array([[0, 1, 1], [1, 0, 1]], np.float32)

    @tf.function(jit_compile=True)
    def gradients(x):
        with tf.GradientTape() as tape:
            log_prob = dist.log_prob(x)
            loss = tf.reduce_sum(tf.where(tf.math.is_nan(log_prob), tf.zeros_like(log_prob), log_prob))
        return log_prob, tape.gradient(loss, dist.trainable_variables)

    log_prob, found = gradients(np.concatenate([good, [[1, bad, 0]]]).astype(np.float32))
    assert np.isnan(log_prob).tolist() == [False, False, True]
    for gradient, expected in zip(found, gradients(good)[1], strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-6)
