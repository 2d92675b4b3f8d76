"""Free bits against their formula in loops: the loss, the gradient, rows that are NaN, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models as models
from tests.latent_models import DIMS, EVENTS
from tests.reference.pixel_vae import moments
from tests.reference.sentence_vae import floored, normal_divergence
from tests.registry import randomize

LATENTS, WEIGHT = 3, 0.5


def make(free_bits=0.0, prior=None, **kwargs):
    """Three normal latents of three bits under a MADE, with the weight 0.5 of the KL term."""
    network = keras.Sequential([keras.Input([DIMS]), keras.layers.Dense(2 * LATENTS)])
    encoder = tfar.Factorized([LATENTS], tfar.heads.Normal(), network=network, conditional_shape=[DIMS])
    decoder = tfar.MADE([DIMS], [5], conditional_shape=[LATENTS], jit_compile=False)
    randomize(encoder, 1, scale=0.6)
    randomize(decoder, 2, scale=0.8)
    prior = tfar.Factorized([LATENTS], tfar.heads.Normal(), trainable=False) if prior is None else prior
    how = {"kl_weight": WEIGHT, "jit_compile": False, **kwargs}
    return tfar.LatentVariable(prior, encoder, decoder, free_bits=free_bits, **how)


def divergences(dist):
    """KL of each entry of the latent of all events, `[events, latents]`, from the weights of the encoder."""
    kernel, bias = (np.asarray(v, np.float64) for v in dist.encoder.trainable_variables)
    return np.array([normal_divergence(*moments(event @ kernel + bias)) for event in EVENTS.astype(np.float64)])


def test_the_loss_has_the_mean_divergence_of_each_entry_or_the_floor():
    own = divergences(make())
    means = np.sort(own.mean(axis=0))
    floor = float(means[:2].mean())  # One entry is below it.
    assert means[0] < floor - 0.01 and floor + 0.01 < means[1]
    for free_bits in (floor, 1e-9, 100.0):
        dist = make(free_bits)
        z = dist.law.encode(tfar.random.row_seeds(1, len(EVENTS)), tf.constant(EVENTS))
        reconstruction = -np.asarray(dist.decoder.law.log_prob(tf.constant(EVENTS), z), np.float64)
        loss = np.asarray(dist.training_loss(EVENTS, seed=1), np.float64)
        np.testing.assert_allclose(loss.mean(), reconstruction.mean() + WEIGHT * floored(own, free_bits), rtol=1e-5)
        kept = own * (own.mean(axis=0) >= free_bits)
        share = free_bits * np.sum(own.mean(axis=0) < free_bits)
        np.testing.assert_allclose(loss - reconstruction, WEIGHT * (kept.sum(axis=1) + share), rtol=1e-4, atol=1e-5)


def test_the_bounds_are_without_free_bits():
    first, second = make(), make(5.0)
    np.testing.assert_array_equal(*[dist.elbo(EVENTS, seed=1) for dist in (first, second)])


def test_an_entry_below_the_floor_has_the_gradient_of_the_reconstruction_alone():
    """The gradient with a floor above all entries is that with the weight 0 of the KL term."""
    found = []
    for dist in (make(100.0), make(kl_weight=0.0)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(EVENTS, seed=1))
        found.append(models.flat(tape.gradient(loss, dist.trainable_variables)))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)
    assert np.abs(found[0]).max() > 0.01


@pytest.mark.parametrize("value", [np.nan, 1000.0])
def test_a_row_outside_the_support_changes_no_other_row(value):
    """It does not enter the mean, so that the entries below the floor are the same ones."""
    dist = make(100.0)
    x = np.concatenate([EVENTS[:3], [[value, 0.0, 0.0]], EVENTS[3:]])
    found, right = (
        np.asarray(dist.law.training_loss(tf.constant(rows, tf.float32), None, [0, 1])) for rows in (x, EVENTS)
    )
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]
    np.testing.assert_allclose(found[:3], right[:3], rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make(-0.1), "`free_bits` to be a finite number of at least 0; received -0.1"),
        (lambda: make(np.inf), "`free_bits` to be a finite number"),
        (lambda: make(True), "`free_bits` to be a finite number"),
        (lambda: models.binary(free_bits=0.1), "closed form.*received Bernoulli and Bernoulli"),
        (lambda: models.gaussian(free_bits=0.1), "closed form.*received NormalMixture"),
        (lambda: make(0.1, gradient_estimator="vimco"), "'reparameterized' for `free_bits`; received VIMCO"),
        (lambda: make(0.1, tfar.MADE([LATENTS], [4], head=tfar.heads.Normal())), "independent entries"),
        (lambda: make(0.1, make()), "received LatentVariableLaw and Normal"),
    ],
)
def test_latents_without_a_divergence_of_each_entry_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
