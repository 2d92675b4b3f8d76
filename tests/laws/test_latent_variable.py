"""Bounds, draws and gradients of latent-variable models against enumerated latents and Gauss-Hermite quadrature."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models as models
from tests.latent_models import CODES, EVENTS, SIGMAS, assert_gradient, flat, gradient_estimates
from tests.parameters import few_by_default

DRAWS = 2000


@pytest.fixture(scope="module")
def binary():
    return models.binary()


@pytest.fixture(scope="module")
def gaussian():
    return models.gaussian()


@pytest.fixture(scope="module")
def exact(binary):
    """log p(x) and the ratios log p(x, z) - log q(z | x) with q(z | x), all `[events, ...]` in float64."""
    log_likelihood, log_prior, log_q = (np.asarray(t, np.float64) for t in models.tables(binary))
    joint = log_likelihood + log_prior
    return np.logaddexp.reduce(joint, axis=1), joint - log_q, np.exp(log_q)


@pytest.fixture(scope="module")
def gaussian_log_prob(gaussian):
    nodes, log_weights = models.quadrature()
    z = tf.tile(nodes[None], [len(EVENTS), 1, 1])
    return np.asarray(tf.reduce_logsumexp(models.log_likelihoods(gaussian, z) + log_weights, axis=1), np.float64)


def draws(function, seed, num_draws=DRAWS, **kwargs):
    """Returns independent estimates of each event, `[events, draws]`."""
    found = function(np.repeat(EVENTS, num_draws, axis=0), seed=seed, **kwargs)
    return np.asarray(found, np.float64).reshape(len(EVENTS), num_draws)


def assert_means(found, expected):
    error = found.std(axis=1, ddof=1) / np.sqrt(found.shape[1])
    np.testing.assert_array_less(np.abs(found.mean(axis=1) - expected), SIGMAS * error + 1e-5)


def assert_rises_to(dist, log_prob):
    """The bound comes closer with 100 latents, and exp of it is an unbiased estimate of the probability."""
    found = draws(dist.importance_log_prob, seed=3, num_draws=300, num_samples=100)
    np.testing.assert_allclose(found.mean(axis=1), log_prob, atol=0.1)
    assert_means(np.exp(found), np.exp(log_prob))


# Binary latents --------------------------------------------------------------------------------------------------------


def test_the_enumerated_marginal_sums_to_one(exact):
    np.testing.assert_allclose(np.exp(exact[0]).sum(), 1.0, atol=1e-6)


def test_an_elbo_is_the_ratio_of_a_latent_that_the_encoder_draws(binary, exact):
    log_prob, ratios, q = exact
    found = draws(binary.elbo, seed=1)
    nearest = np.abs(found[:, :, None] - ratios[:, None]).argmin(axis=2)
    np.testing.assert_allclose(found, np.take_along_axis(ratios, nearest, axis=1), atol=1e-4)
    for event in range(len(EVENTS)):
        counts = np.bincount(nearest[event], minlength=len(CODES))
        _, _, p_value = tfar.testing.samples.chi_square(counts, q[event] * DRAWS)
        assert p_value > 1e-5
    assert ((q * ratios).sum(1) < log_prob - 0.05).any()
    assert ((q * ratios).sum(1) <= log_prob).all()
    assert_means(found, (q * ratios).sum(1))


@pytest.mark.slow(ci=True)
def test_the_importance_bound_rises_to_the_log_probability(binary, exact):
    log_prob, ratios, q = exact
    bounds = [(q * ratios).sum(1)]
    pair = np.logaddexp(ratios[:, :, None], ratios[:, None]) - np.log(2.0)
    bounds.append((q[:, :, None] * q[:, None] * pair).sum((1, 2)))
    triple = np.logaddexp(pair[..., None] + np.log(2.0), ratios[:, None, None]) - np.log(3.0)
    bounds.append((q[:, :, None, None] * q[:, None, :, None] * q[:, None, None] * triple).sum((1, 2, 3)))
    for number, bound in enumerate(bounds):
        assert_means(draws(binary.importance_log_prob, seed=2, num_samples=number + 1), bound)
        assert (bound <= log_prob).all()
        assert not number or (bound > bounds[number - 1]).all()
    assert_rises_to(binary, log_prob)


def test_samples_follow_the_enumerated_marginal(binary, exact):
    x = np.asarray(binary.sample(8000, seed=4)).astype(int)
    counts = np.bincount(x @ (2 ** np.arange(models.DIMS)[::-1]), minlength=len(EVENTS))
    _, _, p_value = tfar.testing.samples.chi_square(counts, np.exp(exact[0]) * 8000)
    assert p_value > 1e-4


def test_latents_follow_the_encoder(binary, exact):
    z = np.asarray(binary.encode(EVENTS[5]).sample(8000, seed=4)).astype(int)
    counts = np.bincount(z @ (2 ** np.arange(models.LATENTS)[::-1]), minlength=len(CODES))
    _, _, p_value = tfar.testing.samples.chi_square(counts, exact[2][5] * 8000)
    assert p_value > 1e-4


# Gradients -------------------------------------------------------------------------------------------------------------


def linear(step):
    return 0.2 + 0.4 * tf.cast(step, tf.float32)


@pytest.mark.parametrize("step", [0, 2])
def test_the_score_function_gradient_is_that_of_the_enumerated_bound(step):
    dist = models.binary(linear)
    with tf.GradientTape() as tape:
        log_likelihood, log_prior, log_q = models.tables(dist)
        weight = 0.2 + 0.4 * step
        terms = tf.exp(log_q) * (weight * (log_q - log_prior) - log_likelihood)
        loss = tf.reduce_mean(tf.reduce_sum(terms, axis=1))
    expected = np.asarray(flat(tape.gradient(loss, dist.trainable_variables)))
    assert_gradient(gradient_estimates(dist, step), expected)


@pytest.mark.parametrize("step", [0, 2])
def test_the_reparameterised_gradient_is_that_of_the_quadrature(step):
    dist = models.gaussian(linear)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(models.gaussian_loss(dist, 0.2 + 0.4 * step, num_nodes=24))
    expected = np.asarray(flat(tape.gradient(loss, dist.trainable_variables, unconnected_gradients="zero")))
    assert_gradient(gradient_estimates(dist, step), expected)


def test_the_weight_of_the_kl_term_is_a_function_of_the_step():
    dist = models.binary(tfar.laws.LinearAnnealing(10))
    losses = [np.asarray(dist.training_loss(EVENTS, seed=5, step=step), np.float64) for step in (0, 5, 10, 20)]
    np.testing.assert_allclose(losses[1], (losses[0] + losses[2]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(losses[3], losses[2])
    assert not np.allclose(losses[0], losses[2])
    seeds = tfar.random.row_seeds(5, len(EVENTS))
    np.testing.assert_allclose(-losses[2], dist.law.elbo(seeds, tf.constant(EVENTS)), rtol=1e-5)


# Normal latents --------------------------------------------------------------------------------------------------------


def test_the_marginal_by_quadrature_sums_to_one(gaussian_log_prob):
    np.testing.assert_allclose(np.exp(gaussian_log_prob).sum(), 1.0, atol=1e-5)


@pytest.mark.slow(ci=True)
def test_the_bounds_of_normal_latents_are_those_of_the_quadrature(gaussian, gaussian_log_prob):
    bound = -np.asarray(models.gaussian_loss(gaussian), np.float64)
    assert (bound < gaussian_log_prob).all()
    assert_means(draws(gaussian.elbo, seed=1), bound)
    several = draws(gaussian.importance_log_prob, seed=2, num_samples=5)
    error = several.std(axis=1, ddof=1) / np.sqrt(DRAWS)
    assert (several.mean(1) > bound + SIGMAS * error).all()
    assert (several.mean(1) < gaussian_log_prob + SIGMAS * error).all()
    assert_rises_to(gaussian, gaussian_log_prob)


def test_samples_follow_the_marginal_by_quadrature(gaussian, gaussian_log_prob):
    x = np.asarray(gaussian.sample(8000, seed=4)).astype(int)
    counts = np.bincount(x @ (2 ** np.arange(models.DIMS)[::-1]), minlength=len(EVENTS))
    _, _, p_value = tfar.testing.samples.chi_square(counts, np.exp(gaussian_log_prob) * 8000)
    assert p_value > 1e-4


# The distribution ------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_bounds_have_the_leading_shape_of_the_values(gaussian):
    x = EVENTS.reshape(2, 4, 3)
    assert gaussian.elbo(x, seed=1).shape == (2, 4)
    assert gaussian.importance_log_prob(EVENTS[0], num_samples=2, seed=1).shape == ()
    assert gaussian.encode(x).batch_shape == (2, 4)
    assert gaussian.encode(x).sample(3, seed=0).shape == (3, 2, 4, 2)
    assert gaussian.sample((2, 3), seed=0).shape == (2, 3, 3)
    assert gaussian.training_loss(EVENTS, seed=0).shape == (8,)
    np.testing.assert_array_equal(gaussian.evaluate(EVENTS, seed=3)["elbo"], gaussian.elbo(EVENTS, seed=3))


def test_the_same_seed_gives_the_same_bound_in_any_mode(gaussian):
    eager = gaussian.elbo(EVENTS, seed=3)
    np.testing.assert_allclose(gaussian.copy(jit_compile=True).elbo(EVENTS, seed=3), eager, rtol=1e-4)
    np.testing.assert_allclose(tf.function(gaussian.elbo, autograph=False)(EVENTS, seed=3), eager, rtol=1e-4)
    np.testing.assert_allclose(gaussian.elbo(EVENTS[:3], seed=3), eager[:3], rtol=1e-4)
    assert not np.allclose(gaussian.elbo(EVENTS, seed=4), eager)


def test_log_prob_names_the_bounds(binary):
    with pytest.raises(NotImplementedError, match=r"elbo.*importance_log_prob"):
        binary.log_prob(EVENTS)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: d.training_loss(EVENTS, EVENTS), ValueError, "no `conditional_input`"),
        (lambda d: d.training_loss(EVENTS, observed=EVENTS), ValueError, "no `observed`"),
        (lambda d: d.training_loss(EVENTS, site_weight=EVENTS), ValueError, "no `site_weight`"),
        (lambda d: d.evaluate(EVENTS, observed=EVENTS), ValueError, "no `observed`"),
        (lambda d: d.given(EVENTS), ValueError, "no `conditional_input`"),
        (lambda d: d.complete(EVENTS, EVENTS), NotImplementedError, "complete_approximately"),
        (lambda d: d.elbo(EVENTS[:, :2]), ValueError, r"\[\.\.\., 3\]"),
        (lambda d: d.elbo(EVENTS + 0.5), ValueError, "support of Bernoulli"),
        (lambda d: d.importance_log_prob(EVENTS, num_samples=0), ValueError, "`num_samples`"),
        (lambda d: d.sample(2, method="guess"), ValueError, "`method`"),
        (lambda d: tfar.LatentVariable(d.prior, d.decoder, d.encoder), ValueError, "to have shape"),
        (lambda d: tfar.LatentVariable(d.prior, d.encoder, d.prior), ValueError, "condition of the encoder"),
        (
            lambda d: tfar.LatentVariable(d.prior, d.encode(EVENTS[0]), d.decoder),
            ValueError,
            "`encoder` without a bound",
        ),
        (lambda d: d.kl_divergence(d), NotImplementedError, r"a.importance_log_prob\(x\) - b.importance_log_prob"),
        (lambda d: tfar.LatentVariable(3, d.encoder, d.prior), ValueError, "`prior`.*received int"),
    ],
)
def test_what_is_not_supported_is_refused_clearly(gaussian, call, error, message):
    with pytest.raises(error, match=message):
        call(gaussian)


def annealed():
    return models.binary(tfar.laws.LogisticAnnealing(3, rate=0.5))


@pytest.mark.parametrize("make", [models.gaussian, annealed])
def test_copies_give_the_same_bound_and_loss(make):
    dist = make()
    bound, loss = dist.elbo(EVENTS, seed=3), dist.training_loss(EVENTS, seed=3, step=2)
    for other in (copy.copy(dist), dist.copy(name="Other"), copy.deepcopy(dist)):
        np.testing.assert_allclose(other.elbo(EVENTS, seed=3), bound, rtol=1e-5)
    other = pickle.loads(pickle.dumps(dist))
    np.testing.assert_allclose(other.training_loss(EVENTS, seed=3, step=2), loss, rtol=1e-5)


def test_a_deep_copy_has_weights_of_its_own(binary):
    other = copy.deepcopy(binary)
    other.variables[0].assign_add(tf.ones_like(other.variables[0]))
    assert not np.allclose(other.variables[0], binary.variables[0])


@pytest.mark.parametrize("make", few_by_default([annealed, models.gaussian]))
def test_fit_raises_the_bound_and_the_file_brings_it_back(make, tmp_path):
    dist = make()
    x = EVENTS[[0, 7] * 64]
    before = np.asarray(dist.elbo(x, seed=1)).mean()
    model = tfar.training.DensityModel(dist)
    model.compile("adam", jit_compile=False)
    model.optimizer.learning_rate = 0.05
    model.fit(x, epochs=10, batch_size=32, verbose=0)
    after = np.asarray(dist.elbo(x, seed=1))
    assert after.mean() > before + 0.5
    model.save(tmp_path / "latent.keras")
    loaded = tfar.load(tmp_path / "latent.keras")
    assert isinstance(loaded, tfar.LatentVariable)
    np.testing.assert_allclose(loaded.elbo(x, seed=1), after, rtol=1e-5)
    loss = dist.training_loss(x, seed=1, step=4)
    np.testing.assert_allclose(loaded.training_loss(x, seed=1, step=4), loss, rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_fit_sets_the_units_of_the_decoder_from_all_rows():
    prior = tfar.Factorized([1], tfar.heads.NormalMixture(1), trainable=False)
    encoder_network = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
    encoder = tfar.Factorized([1], tfar.heads.NormalMixture(1), network=encoder_network, conditional_shape=[2])
    dist = tfar.LatentVariable(prior, encoder, tfar.RNADE([2], 3, conditional_shape=[1]), jit_compile=False)
    assert dist.awaits_data and dist.initializes_with_all_rows
    x = np.random.default_rng(0).normal(100.0, 3.0, [48, 2]).astype(np.float32)
    model = tfar.training.DensityModel(dist)
    model.compile("sgd", jit_compile=False)
    model.fit(x, batch_size=16, verbose=0)
    np.testing.assert_allclose(dist.head.units.loc, x.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert not dist.awaits_data


def test_fit_names_the_row_that_is_outside_the_support(gaussian):
    model = tfar.training.DensityModel(gaussian)
    model.compile("adam", jit_compile=False)
    x = EVENTS.copy()
    x[6, 2] = 0.5
    for data in (x, tf.data.Dataset.from_tensor_slices(x).batch(8)):
        with pytest.raises(ValueError, match="row 6, site 2"):
            model.fit(data, verbose=0)


def test_every_trainable_variable_gets_a_gradient(binary, gaussian):
    for dist, names in ((binary, 3), (gaussian, 2)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(EVENTS, seed=0))
        gradients = tape.gradient(loss, dist.trainable_variables)
        assert len(gradients) >= 2 * names
        assert all(gradient is not None and np.abs(gradient).max() > 0.0 for gradient in gradients)
