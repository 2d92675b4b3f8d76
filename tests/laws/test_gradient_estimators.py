"""Estimators of the gradient of a latent-variable model against the gradient of its bound, summed over all latents."""

import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models as models
from tests.latent_models import CODES, DIMS, EVENTS, LATENTS, assert_gradient, flat, gradient_estimates
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar.laws.gradient_estimators import HalfBernoulli

POINTS = np.array([[0.5, -1.0], [2.0, 0.3]], np.float32)
WEIGHT = 0.7


def factorized(head, size, condition, kernel=None, seed=0):
    """Independent sites whose parameters are linear in the condition."""
    dense = keras.layers.Dense(size * head.params_size)
    network = keras.Sequential([keras.Input([condition]), dense])
    dist = tfar.Factorized([size], head, network=network, conditional_shape=[condition], jit_compile=False)
    randomize(dist, seed)
    if kernel is not None:
        dense.kernel.assign(kernel(dense.kernel.numpy()))
    return dist


def quadratic(estimator, kernel_scale=1.0, **kwargs):
    """Bits from which a decoder computes the locations of normals with constant scales: log p(x | z) is quadratic in z."""

    def only_locations(kernel):
        mask = np.tile([0.0, 1.0, 0.0], len(POINTS[0]))  # The parameters are a weight, a location and a scale.
        return kernel * mask * kernel_scale

    prior = randomize(tfar.Factorized([LATENTS], jit_compile=False), 1)
    encoder = factorized(tfar.heads.Bernoulli(), LATENTS, 2, seed=2)
    decoder = factorized(tfar.heads.NormalMixture(1), 2, LATENTS, only_locations, seed=3)
    parts = (prior, encoder, decoder)
    return tfar.LatentVariable(*parts, gradient_estimator=estimator, jit_compile=False, **kwargs)


def exact_gradient(dist, events, weight=1.0):
    """The gradient of the mean over events of the sum over all latents of q (log p(x | z) + w (log p(z) - log q))."""
    x, z = models.pairs(events, CODES)
    with tf.GradientTape() as tape:
        log_q = dist.encoder.law.log_prob(z, x)
        ratio = weight * (log_q - dist.prior.law.log_prob(z)) - dist.decoder.law.log_prob(x, z)
        loss = tf.reduce_sum(tf.exp(log_q) * ratio) / len(events)
    return np.asarray(flat(tape.gradient(loss, dist.trainable_variables)), np.float64)


def test_the_half_estimator_is_exact_for_a_quadratic_loss():
    dist = quadratic("half", kl_weight=WEIGHT)
    expected = exact_gradient(dist, POINTS, WEIGHT)
    assert_gradient(gradient_estimates(dist, batches=60, rows=1000, events=POINTS), expected)


def test_the_half_estimator_computes_the_entropy_in_closed_form():
    """With a decoder that ignores the latent and a uniform prior, the loss is a function of the event."""
    dist = quadratic("half", kernel_scale=0.0, kl_weight=WEIGHT)
    dist.prior.trainable_variables[0].assign(tf.zeros([LATENTS, 1]))
    losses = np.stack([dist.training_loss(POINTS, seed=seed) for seed in range(3)])
    np.testing.assert_allclose(losses, losses[[0, 0, 0]], rtol=1e-6)
    kernel, bias = (np.asarray(v, np.float64) for v in dist.encoder.trainable_variables)
    probs = 1.0 / (1.0 + np.exp(-(POINTS @ kernel + bias)))
    entropy = -(probs * np.log(probs) + (1.0 - probs) * np.log1p(-probs)).sum(1)
    log_likelihood = np.asarray(dist.decoder.law.log_prob(tf.constant(POINTS), tf.zeros([2, LATENTS])))
    expected = WEIGHT * (LATENTS * np.log(2.0) - entropy) - log_likelihood
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)


def test_the_half_gradient_of_a_bit_is_half_the_probability_of_the_other_value():
    """dq/da / (2 q(h)), also for bits that are nearly certain."""
    logits = tf.constant([-16.0, -1.0, 0.0, 2.0, 16.0])
    for bit in (0.0, 1.0):
        noise = tf.fill([5, 1], 1.0 - 2.0**-24 if bit else 2.0**-24)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            bits = HalfBernoulli().sample(logits[:, None], noise)
        np.testing.assert_array_equal(bits, np.full(5, bit))
        probs = 1.0 / (1.0 + np.exp((2.0 * bit - 1.0) * np.asarray(logits, np.float64)))
        np.testing.assert_allclose(tape.gradient(bits, logits), 0.5 * probs, rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_the_half_estimator_reaches_every_weight_of_an_autoregressive_encoder():
    """It is biased where a later bit depends on an earlier one by a sigmoid, and still near the gradient."""
    dist = models.binary(gradient_estimator="half")
    found = gradient_estimates(dist, batches=10, rows=1000).mean(0)
    expected = exact_gradient(dist, EVENTS)
    assert np.linalg.norm(found - expected) < 0.15 * np.linalg.norm(expected)


@pytest.mark.slow(ci=True)
def test_the_half_estimator_is_biased_for_layers_of_latents():
    """So the default of DARN is another one there. The gradient of the decoder is unbiased."""
    dist = randomize(tfar.DARN([DIMS], [2, 1], gradient_estimator="half", jit_compile=False), scale=2.0)
    found = gradient_estimates(dist, batches=20, rows=2000)
    errors = np.abs(found.mean(0) - exact_gradient(dist, EVENTS)) / (found.std(0, ddof=1) / np.sqrt(len(found)) + 1e-6)
    own = {id(variable) for variable in dist.encoder.trainable_variables}
    of_encoder = np.concatenate([np.full(np.prod(v.shape, dtype=int), id(v) in own) for v in dist.trainable_variables])
    assert errors[of_encoder].max() > 10.0
    assert errors[~of_encoder].max() < models.SIGMAS


@pytest.mark.parametrize(
    ("kwargs", "estimator"),
    [
        ({"latent_units": [3]}, tfar.laws.gradient_estimators.Half),
        ({"latent_units": [2, 1]}, tfar.laws.VIMCO),
        ({"latent_units": [3], "encoder_autoregression": True}, tfar.laws.VIMCO),
        ({"latent_units": [2, 1], "gradient_estimator": "half"}, tfar.laws.gradient_estimators.Half),
    ],
)
def test_the_default_of_darn_is_unbiased_where_half_is_not(kwargs, estimator):
    assert type(tfar.DARN([DIMS], **kwargs, jit_compile=False).law.gradient_estimator) is estimator


def test_the_enumerated_gradient_is_that_of_the_exact_bound():
    dist = models.binary(WEIGHT, gradient_estimator="enumerate")
    found = gradient_estimates(dist, batches=1, rows=1)
    np.testing.assert_allclose(found[0], exact_gradient(dist, EVENTS, WEIGHT), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", few_by_default([2, 3]))
def test_vimco_is_unbiased_for_the_bound_of_its_latents(count):
    dist = models.binary(WEIGHT, gradient_estimator=tfar.laws.VIMCO(count))
    tuples = np.array(list(itertools.product(range(len(CODES)), repeat=count)))
    with tf.GradientTape() as tape:
        log_likelihood, log_prior, log_q = models.tables(dist)
        ratios = log_likelihood + WEIGHT * (log_prior - log_q)
        bounds = tf.reduce_logsumexp(tf.gather(ratios, tuples, axis=1), axis=2) - np.log(count)
        probs = tf.exp(tf.reduce_sum(tf.gather(log_q, tuples, axis=1), axis=2))
        loss = -tf.reduce_sum(probs * bounds) / len(EVENTS)
    expected = np.asarray(flat(tape.gradient(loss, dist.trainable_variables)))
    assert_gradient(gradient_estimates(dist), expected)


@pytest.mark.slow(ci=True)
def test_a_row_outside_the_support_is_nan_alone():
    x = EVENTS[:3].copy()
    x[1, 0] = 0.5
    for estimator in ("score_function", "half", "vimco", "enumerate"):
        losses = models.binary(gradient_estimator=estimator).training_loss(x, seed=1)
        assert np.isnan(losses).tolist() == [False, True, False], estimator


@pytest.mark.parametrize("estimator", few_by_default([tfar.laws.VIMCO(3), "half", "enumerate"]))
def test_a_copy_by_configuration_has_the_same_loss(estimator):
    dist = models.binary(gradient_estimator=estimator)
    loss = dist.training_loss(EVENTS, seed=3)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(dist)).training_loss(EVENTS, seed=3), loss, rtol=1e-5)
    assert not np.allclose(models.binary().training_loss(EVENTS, seed=3), loss)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.gaussian(gradient_estimator="half"), "encoder to have bits"),
        (lambda: models.gaussian(gradient_estimator="enumerate"), "encoder to have bits"),
        (lambda: models.binary(gradient_estimator="reparameterized"), "reparameterised"),
        (lambda: models.binary(gradient_estimator="gumbel"), "`gradient_estimator`.*received 'gumbel'"),
        (lambda: tfar.laws.VIMCO(1), "`num_samples`"),
        (lambda: above_bits("half"), "prior to have bits.*received LatentVariableLaw"),
        (lambda: above_bits("enumerate"), "prior to have bits.*received LatentVariableLaw"),
        (lambda: wide("enumerate"), "at most 12 bits.*received 13"),
        (lambda: wide("half", num_masks=2), "encoder to have one member.*received 2"),
    ],
)
def test_an_estimator_that_does_not_apply_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def wide(estimator, **kwargs):
    """A latent of 13 bits."""
    encoder = tfar.MADE([13], [5], conditional_shape=[3], **kwargs)
    return tfar.LatentVariable(
        tfar.Factorized([13]), encoder, tfar.MADE([3], [5], conditional_shape=[13]), gradient_estimator=estimator
    )


def above_bits(estimator):
    """A latent of three bits whose prior has a latent itself."""
    encoder, decoder = (tfar.MADE([3], [5], conditional_shape=[3]) for _ in range(2))
    return tfar.LatentVariable(models.binary(), encoder, decoder, gradient_estimator=estimator)
