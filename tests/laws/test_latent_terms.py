"""What is reported of latent variables, and approximate completions, against enumerated latents and quadrature."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models as models
from tests.latent_models import CODES, EVENTS
from tests.laws.test_latent_variable import assert_means, binary, exact, gaussian, gaussian_log_prob  # noqa: F401
from tests.parameters import few_by_default

DRAWS = 2000


def evaluated(dist, seed, num_draws=DRAWS, **kwargs):
    """The metrics of independent draws of the latents of each event, `[events, draws, ...]`."""
    found = dist.evaluate(np.repeat(EVENTS, num_draws, axis=0), seed=seed, **kwargs)
    return {name: np.reshape(value, [len(EVENTS), num_draws, *value.shape[1:]]) for name, value in found.items()}


def test_the_terms_are_those_of_the_enumerated_bound(binary):  # noqa: F811
    log_likelihood, log_prior, log_q = (np.asarray(table, np.float64) for table in models.tables(binary))
    found, q = evaluated(binary, seed=1), np.exp(log_q)
    np.testing.assert_allclose(found["elbo"], -found["reconstruction"] - found["kl"], atol=1e-5)
    assert_means(found["reconstruction"], -(q * log_likelihood).sum(1))
    assert_means(found["kl"], (q * (log_q - log_prior)).sum(1))
    for unit in range(models.LATENTS):
        assert_means(found["latent_mean"][..., unit], q @ CODES[:, unit])
    first = found["latent_mean"][..., 0]
    assert np.ptp(first, axis=1).max() < 1e-6, "the mean of the first unit is exact, not that of a draw"


def test_the_mean_of_a_factorised_encoder_is_its_location(gaussian):  # noqa: F811
    loc, _ = models.normals(gaussian)
    np.testing.assert_allclose(gaussian.evaluate(EVENTS, seed=1)["latent_mean"], loc, atol=1e-5)


@pytest.mark.slow(ci=True)
def test_the_standard_error_is_the_spread_of_the_importance_bound(gaussian, gaussian_log_prob):  # noqa: F811
    found = evaluated(gaussian, seed=3, num_draws=300, num_samples=50)
    bound, error = (np.asarray(found[f"importance_{name}"], np.float64) for name in ("log_prob", "standard_error"))
    np.testing.assert_allclose(bound, found["importance_log_prob"])
    assert_means(np.exp(bound), np.exp(gaussian_log_prob))
    np.testing.assert_allclose(np.sqrt((error**2).mean(axis=1)), bound.std(axis=1), rtol=0.25)
    alone = gaussian.evaluate(EVENTS, seed=3, num_samples=1)
    assert np.isnan(alone["importance_standard_error"]).all() and np.isfinite(alone["importance_log_prob"]).all()


def test_decode_is_the_decoder_given_the_latent(binary):  # noqa: F811
    found = binary.decode(CODES).log_prob(EVENTS[5])
    np.testing.assert_allclose(found, np.asarray(models.tables(binary)[0])[5], rtol=1e-5)
    assert binary.decode(CODES[None]).batch_shape == (1, len(CODES))


# Completions ---------------------------------------------------------------------------------------------------------


def conditional(log_prob, row, observed):
    """The exact probabilities of all events given the observed part of a row."""
    probs = np.exp(log_prob) * (EVENTS[row] == EVENTS)[:, observed].all(axis=1)
    return probs / probs.sum()


@pytest.mark.parametrize(("kind", "row"), few_by_default([("gaussian", 4), ("binary", 0)], count=0, in_ci=1))
def test_approximate_completions_follow_the_exact_conditional(kind, row, request):
    """For the rows of which the weights of the latents change the conditional most."""
    dist = request.getfixturevalue(kind)
    log_prob = request.getfixturevalue("exact")[0] if kind == "binary" else request.getfixturevalue("gaussian_log_prob")
    observed = np.array([True, False, False])
    value = np.where(observed, EVENTS[row], np.nan)
    x, size = dist.complete_approximately(value, observed, num_samples=4000, seed=2, num_latents=30)
    assert x.shape == (4000, 3) and size.shape == (4000,)
    assert np.min(size) >= 1.0 and np.max(size) <= 30.001 and np.std(size) > 0.0
    counts = np.bincount(np.asarray(x).astype(int) @ (2 ** np.arange(models.DIMS)[::-1]), minlength=len(EVENTS))
    tfar.testing.samples.require_frequencies(counts, conditional(log_prob, row, observed), 1e-4, kind)


def test_one_event_is_completed_from_each_pattern(binary):  # noqa: F811
    """Every completion for every pattern, and not completion k for pattern k."""
    patterns = np.array([[True, False, False], [True, True, False]])
    x, size = binary.complete_approximately(EVENTS[5], patterns, num_samples=2, seed=1, num_latents=3)
    assert x.shape == (2, 2, 3) and size.shape == (2, 2)
    for number, pattern in enumerate(patterns):
        assert (np.asarray(x)[:, number, pattern] == EVENTS[5][pattern]).all()


@pytest.mark.slow(ci=True)
def test_one_latent_alone_does_not_follow_the_conditional(exact, binary):  # noqa: F811
    """So that the test above is seen to depend on the weights."""
    observed, row = np.array([True, False, False]), 0
    x, size = binary.complete_approximately(EVENTS[row], observed, num_samples=4000, seed=2, num_latents=1)
    np.testing.assert_allclose(size, 1.0, rtol=1e-5)
    counts = np.bincount(np.asarray(x).astype(int) @ (2 ** np.arange(models.DIMS)[::-1]), minlength=len(EVENTS))
    with pytest.raises(AssertionError):
        tfar.testing.samples.require_frequencies(counts, conditional(exact[0], row, observed), 1e-4, "one")


def test_the_effective_sample_size_is_that_of_the_weights():
    """Of weights 1, 2 and 3, (1 + 2 + 3)^2 / (1 + 4 + 9); the choice has their probabilities."""
    weights, seeds = tf.constant([1.0, 2.0, 3.0]), tfar.random.row_seeds(1, 6000)
    numbers = [tfar.random.derived_seeds(seeds, k, tfar.random.Stream.IMPORTANCE) for k in range(3)]

    def propose(own):
        number = sum(k * tf.cast(tf.reduce_all(own == numbers[k], axis=-1), tf.float32) for k in range(3))
        return number, tf.math.log(tf.gather(weights, tf.cast(number, tf.int32))) - 300.0

    chosen, size = tfar.laws.resampling.resampled(seeds, propose, 3)
    np.testing.assert_allclose(size, 36.0 / 14.0, rtol=1e-4)
    counts = np.bincount(np.asarray(chosen).astype(int), minlength=3)
    tfar.testing.samples.require_frequencies(counts, np.array([1, 2, 3]) / 6.0, 1e-4, "resampled")


@pytest.mark.slow(ci=True)
def test_what_cannot_be_completed_is_refused(gaussian):  # noqa: F811
    with pytest.raises(NotImplementedError, match="complete_approximately"):
        gaussian.complete(EVENTS, EVENTS)
    with pytest.raises(ValueError, match="observed sites to come first"):
        gaussian.complete_approximately(EVENTS, [False, True, False], seed=1, num_latents=2)
    with pytest.raises(ValueError, match="support of Bernoulli"):
        gaussian.complete_approximately(EVENTS + 0.5, [True, False, False], seed=1, num_latents=2)
    with pytest.raises(ValueError, match="`num_latents`"):
        gaussian.complete_approximately(EVENTS, [True, False, False], num_latents=0)
