"""DARN against its equations in loops, with all latents enumerated."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.reference.oracles.latent import darn_log_prob
from tests.registry import randomize
from tfar.laws.gradient_estimators import VIMCO, Half

UNITS, NUM_BITS, NUM_DRAWS = [2, 1], 3, 2000
X = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
CODES = np.array(list(itertools.product([0.0, 1.0], repeat=NUM_BITS)), np.float32)


@pytest.fixture(scope="module")
def dist():
    made = tfar.DARN([2, 2], UNITS, hidden_units=[3], encoder_units=[4], jit_compile=False)
    return randomize(made, scale=0.9)


@pytest.fixture(scope="module")
def terms(dist):
    """log p(h), log q(h | x) and log p(x | h) of one event and all latents, from the loops of the paper."""
    prior = [darn_log_prob(dist.prior, h, None) for h in CODES]
    encoder = [darn_log_prob(dist.encoder, h, X) for h in CODES]
    decoder = [darn_log_prob(dist.decoder, X, h) for h in CODES]
    return np.array([prior, encoder, decoder])


def test_the_parts_of_the_description_length_are_those_of_a_drawn_latent(dist, terms):
    """For each draw, both parts are those of one latent in the paper's equations, and latents occur as often as q says."""
    lengths = dist.description_length(np.tile(X, [NUM_DRAWS, 1, 1]), seed=3)
    found = np.stack([lengths.latent, lengths.data])
    prior, encoder, decoder = terms / np.log(2.0)
    expected = np.stack([encoder - prior, -decoder])
    distances = np.abs(found[:, :, None] - expected[:, None]).max(axis=0)
    assert distances.min(axis=1).max() < 1e-4
    counts = np.bincount(distances.argmin(axis=1), minlength=len(CODES))
    tfar.testing.samples.require_frequencies(counts, np.exp(terms[1]), 1e-4, "latents")


def test_the_description_length_is_the_bound_in_bits(dist):
    total = dist.description_length(X, seed=4).total
    np.testing.assert_allclose(total, -dist.elbo(X, seed=4) / np.log(2.0), rtol=1e-6)


def test_samples_follow_the_marginal_of_the_paper(dist):
    events = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(-1, 2, 2)
    prior = [darn_log_prob(dist.prior, h, None) for h in CODES]
    joint = [[p + darn_log_prob(dist.decoder, x, h) for h, p in zip(CODES, prior, strict=True)] for x in events]
    probs = np.exp(np.logaddexp.reduce(joint, axis=1))
    assert abs(probs.sum() - 1.0) < 1e-9
    drawn = np.asarray(dist.sample(5000, seed=5)).reshape(-1, 4)
    counts = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=len(events))
    tfar.testing.samples.require_frequencies(counts, probs, 1e-4, "samples")


@pytest.mark.slow(ci=True)
def test_fit_raises_the_bound_of_data_of_two_kinds():
    """Two kinds of events under a decoder without autoregression, which needs a latent to tell them apart."""
    x = np.repeat(np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], np.float32), 200, axis=0)
    dist = tfar.DARN([6], [2], visible_autoregression=False, jit_compile=False)
    model = tfar.training.DensityModel(dist, seed=0)
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    model.fit(x, epochs=20, batch_size=50, verbose=0)
    log_prob = np.asarray(dist.importance_log_prob(x[::100], num_samples=100, seed=1))
    assert log_prob.min() > np.log(0.5) - 0.3  # Independent bits give 6 log(0.5).


def test_the_encoder_takes_a_step_for_each_layer_or_for_each_bit():
    steps = {
        encoder: tfar.DARN([4], [3, 2], encoder_autoregression=encoder).encoder.network.step_of_site.tolist()
        for encoder in (False, True)
    }
    assert steps == {False: [[0, 0, 0, 1, 1]], True: [[0, 1, 2, 3, 4]]}
    assert tfar.DARN([4], [3, 2]).prior.network.step_of_site.tolist() == [[2, 3, 4, 0, 1]]


def test_arguments_reach_the_parts():
    dist = tfar.DARN([4], 3, hidden_units=5, gradient_estimator=VIMCO(3), order="reverse", visible_autoregression=False)
    assert dist.law.gradient_estimator.num_samples == 3 and not dist.decoder.network.autoregressive
    assert dist.decoder.network.hidden_units == dist.encoder.network.hidden_units == (5,)
    assert dist.decoder.network.order == "reverse" and dist.encoder.network.order == "natural"
    assert isinstance(tfar.DARN([4], [3]).law.gradient_estimator, Half)
    kernels = [np.asarray(part.trainable_variables[1]) for part in (dist.prior, tfar.DARN([4], 3, seed=1).prior)]
    assert not np.allclose(*kernels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tfar.DARN([4], []), "`latent_units`"),
        (lambda: tfar.DARN([4], [0]), "`latent_units`"),
        (lambda: tfar.DARN([4], [2], hidden_units=[0]), "`hidden_units`"),
        (lambda: tfar.DARN([4], [2], encoder_units=[1.5]), "`encoder_units`"),
        (lambda: tfar.DARN([4], [2], order=[0, 1]), "`order`"),
        (lambda: tfar.DARN([4], [2], gradient_estimator="reparameterized"), "reparameterised"),
        (lambda: tfar.DARN([4], [2]).elbo([[0.0, 0.5, 1.0, 1.0]]), "support of Bernoulli"),
        (lambda: tfar.networks.DARNNetwork((4,), (2, 3)), "`layer_units` to sum to the 4 sites.*received"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_events_given_a_latent(dist):
    """The decoder given a latent is p(x | h), and uses the first layer of the latent alone."""
    latent = tf.constant([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    log_probs = dist.decoder.given(latent).log_prob(np.stack([X, X]))
    np.testing.assert_allclose(log_probs, [darn_log_prob(dist.decoder, X, h) for h in latent.numpy()], rtol=1e-5)
    np.testing.assert_allclose(log_probs[0], log_probs[1], rtol=1e-6)


def test_a_graph_takes_the_steps_that_a_pass_confirms(dist):
    """In a graph the number of a step is a tensor, and a condition decides where a layer begins."""
    for part in (dist.prior, dist.encoder.given(X)):
        drawn = part.sample(100, seed=6)
        np.testing.assert_array_equal(drawn, part.sample(100, seed=6, method="naive"))
