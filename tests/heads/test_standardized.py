"""A mixture in units of its own: against the mixture itself, and the gradients of training."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import heads
from tfar.heads import mixtures

MIXTURES = {"normals": heads.NormalMixture(3, min_scale=0.01), "laplaces": heads.LaplaceMixture(3, min_scale=0.01)}
EACH = pytest.mark.parametrize("name", MIXTURES)
RNG = np.random.default_rng(0)
INNER = RNG.normal(0, 2, (40, 9)).astype(np.float32)
UNITS = np.stack([RNG.normal(0, 100, 40), np.exp(RNG.normal(0, 3, 40))], -1).astype(np.float32)
PARAMS = np.concatenate([INNER, UNITS], -1)
Z = RNG.normal(0, 2, 40).astype(np.float32)


@EACH
def test_density_in_the_sites_own_units(name):
    mixture, head = MIXTURES[name], heads.StandardizedMixture(MIXTURES[name])
    x = UNITS[:, 0] + UNITS[:, 1] * Z
    z = (x - UNITS[:, 0]) / UNITS[:, 1]
    expected = mixture.log_prob(INNER, z) - np.log(UNITS[:, 1])
    np.testing.assert_allclose(head.log_prob(PARAMS, x), expected, rtol=1e-5, atol=1e-5)


@EACH
def test_components_are_in_the_sites_own_units(name):
    head = heads.StandardizedMixture(MIXTURES[name])
    units = np.tile(np.float32([3.0, 20.0]), [40, 1])
    params = np.concatenate([INNER, units], -1)
    logits, loc, scale = (np.asarray(part, np.float64) for part in head.components(params))
    component = tfp.distributions.Normal if name == "normals" else tfp.distributions.Laplace
    oracle = tfp.distributions.MixtureSameFamily(tfp.distributions.Categorical(logits), component(loc, scale))
    x = 3.0 + 20.0 * Z
    np.testing.assert_allclose(head.log_prob(params, x), oracle.log_prob(x.astype(np.float64)), rtol=1e-3, atol=1e-3)


@EACH
def test_draws_are_those_of_the_mixture_in_the_sites_own_units(name):
    mixture, head = MIXTURES[name], heads.StandardizedMixture(MIXTURES[name])
    noise = RNG.uniform(size=(40, 2)).astype(np.float32)
    expected = UNITS[:, 0] + UNITS[:, 1] * mixture.sample(INNER, noise)
    np.testing.assert_allclose(head.sample(PARAMS, noise), expected, rtol=1e-5)
    assert head.noise_size == 2 and head.site_shape == () and head.num_classes is None and not head.discrete


def slopes(head, params, x, training):
    """Gradients of the log-density with respect to the parameters, as training and as inference see them."""
    params = tf.constant(params)
    with tf.GradientTape() as tape:
        tape.watch(params)
        seen = head.training_params(params) if training else params
        log_prob = head.log_prob(seen, x)
    return np.asarray(tape.gradient(log_prob, params)), np.asarray(log_prob), np.asarray(seen)


@EACH
def test_training_scales_the_gradients_of_the_locations_alone(name):
    head, x = heads.StandardizedMixture(MIXTURES[name]), UNITS[:, 0] + UNITS[:, 1] * Z
    true, log_prob, params = slopes(head, PARAMS, x, training=False)
    trained, same, seen = slopes(head, PARAMS, x, training=True)
    np.testing.assert_array_equal(same, log_prob)
    np.testing.assert_array_equal(seen, params)
    _, _, scale = MIXTURES[name].components(INNER)
    np.testing.assert_allclose(trained[:, 3:6], true[:, 3:6] * scale, rtol=1e-6)
    others = [0, 1, 2, 6, 7, 8, 9, 10]
    np.testing.assert_array_equal(trained[:, others], true[:, others])
    assert np.abs(true[:, 3:6]).max() > 0.1


def test_a_planted_gradient_of_the_scale_is_found():
    """Without its stop, the scale of a component would get the gradient of its location too."""
    x = UNITS[:, 0] + UNITS[:, 1] * Z
    head = heads.StandardizedMixture(MIXTURES["normals"])
    with mock.patch.object(mixtures.tf, "stop_gradient", lambda t: t), pytest.raises(AssertionError):
        test_training_scales_the_gradients_of_the_locations_alone("normals")
    assert np.isfinite(slopes(head, PARAMS, x, training=True)[0]).all()


def test_training_leaves_the_gradients_alone_if_asked_to():
    head, x = heads.StandardizedMixture(MIXTURES["normals"], scale_gradients=False), UNITS[:, 0]
    np.testing.assert_array_equal(slopes(head, PARAMS, x, True)[0], slopes(head, PARAMS, x, False)[0])
    for other in (heads.Bernoulli(), heads.NormalMixture(2)):
        params = RNG.normal(size=(5, other.params_size)).astype(np.float32)
        ones = tf.ones([5])
        np.testing.assert_array_equal(slopes(other, params, ones, True)[0], slopes(other, params, ones, False)[0])


@EACH
def test_initial_components_lie_side_by_side_at_scale_one(name):
    mixture = MIXTURES[name]
    logits, loc, scale = mixture.components(tf.constant([mixture.initial_params()]))
    np.testing.assert_array_equal(logits, [[0.0, 0.0, 0.0]])
    np.testing.assert_allclose(loc, [[-0.9674, 0.0, 0.9674]], atol=1e-4)
    np.testing.assert_allclose(scale, [[1.0, 1.0, 1.0]], rtol=1e-5)


def test_values_whose_standardised_value_is_too_large_are_not_given_a_density():
    head = heads.StandardizedMixture(MIXTURES["normals"])
    params = np.concatenate([INNER[0], [0.0, 1e-10]]).astype(np.float32)
    assert np.isnan(head.log_prob(params[None], [1e35]))


def test_config_round_trip():
    head = heads.StandardizedMixture(heads.LaplaceMixture(4, min_scale=0.2), scale_gradients=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert again.params_size == 14 and again.mixture.min_scale == 0.2 and not again.scale_gradients


def test_a_head_that_is_no_mixture_is_an_error():
    with pytest.raises(ValueError, match="Expected a mixture"):
        heads.StandardizedMixture(heads.Bernoulli())
