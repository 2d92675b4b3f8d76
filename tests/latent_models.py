"""Small latent-variable models whose latents can be enumerated, or integrated by Gauss-Hermite quadrature."""

import itertools

import keras
import numpy as np
import tensorflow as tf

import tfar
from tests.registry import randomize

LATENTS, DIMS, NODES = 3, 3, 64
EVENTS = np.array(list(itertools.product([0, 1], repeat=DIMS)), np.float32)
# Estimates are within this many standard errors: a right estimate fails once in 10**6 comparisons.
SIGMAS = 5.0
CODES = np.array(list(itertools.product([0, 1], repeat=LATENTS)), np.float32)


def binary(kl_weight=1.0, **kwargs):
    """Bernoulli latents with a MADE for each part, so that neither the prior nor the encoder is factorised."""
    prior = tfar.MADE([LATENTS], [5], seed=1, jit_compile=False)
    encoder = tfar.MADE([LATENTS], [5], conditional_shape=[DIMS], seed=2, jit_compile=False)
    decoder = tfar.MADE([DIMS], [5], conditional_shape=[LATENTS], seed=3, jit_compile=False)
    for number, part in enumerate((prior, encoder, decoder)):
        randomize(part, number, scale=0.8)
    return tfar.LatentVariable(prior, encoder, decoder, kl_weight=kl_weight, jit_compile=False, **kwargs)


def gaussian(kl_weight=1.0, **kwargs):
    """Two normal latents with a standard normal prior and a MADE as decoder."""
    head = tfar.heads.NormalMixture(1)
    prior = tfar.Factorized([2], tfar.heads.NormalMixture(1), trainable=False, jit_compile=False)
    network = keras.Sequential([keras.Input([DIMS]), keras.layers.Dense(2 * head.params_size)])
    encoder = tfar.Factorized([2], head, network=network, conditional_shape=[DIMS], jit_compile=False)
    # A smooth decoder, as quadrature is slow to converge at the kinks of a rectifier.
    decoder = tfar.MADE([DIMS], [5], conditional_shape=[2], activation="tanh", seed=3, jit_compile=False)
    randomize(encoder, 2, scale=0.2)
    randomize(decoder, 3, scale=0.8)
    return tfar.LatentVariable(prior, encoder, decoder, kl_weight=kl_weight, jit_compile=False, **kwargs)


def pairs(first, second):
    """Returns all pairs of rows, in the order of the first."""
    return tf.repeat(first, len(second), axis=0), tf.tile(second, [len(first), *[1] * (len(second.shape) - 1)])


def tables(dist):
    """Returns log p(x | z), log p(z) and log q(z | x) of all pairs, `[events, codes]`, differentiable."""
    x, z = pairs(EVENTS, CODES)
    shape = [len(EVENTS), len(CODES)]
    log_likelihood = tf.reshape(dist.decoder.law.log_prob(x, z), shape)
    log_q = tf.reshape(dist.encoder.law.log_prob(z, x), shape)
    return log_likelihood, dist.prior.law.log_prob(tf.constant(CODES))[None], log_q


def quadrature(num_nodes=NODES):
    """Returns nodes `[N, 2]` and log weights `[N]` of the expectation under two standard normals."""
    points, weights = np.polynomial.hermite.hermgauss(num_nodes)
    grid = np.array(list(itertools.product(points, repeat=2))) * np.sqrt(2.0)
    log_weights = np.log(np.array(list(itertools.product(weights, repeat=2)))).sum(1) - np.log(np.pi)
    return grid.astype(np.float32), log_weights.astype(np.float32)


def normals(dist):
    """Returns the locations and scales of q(z | x) for all events, both `[events, 2]`, differentiable."""
    params = dist.encoder.law.member(0).params(tf.zeros([len(EVENTS), 2]), tf.constant(EVENTS))
    conditional = dist.encoder.head.distribution(params)
    return conditional.mean(), conditional.stddev()


def log_likelihoods(dist, z):
    """Returns log p(x | z) of all events for nodes `[events, nodes, 2]` of each: `[events, nodes]`, differentiable."""
    x = tf.repeat(EVENTS, z.shape[1], axis=0)
    return tf.reshape(dist.decoder.law.log_prob(x, tf.reshape(z, [-1, 2])), z.shape[:2])


def gaussian_loss(dist, weight=1.0, num_nodes=NODES):
    """Returns E_q[-log p(x | z)] + weight KL(q, p) of all events: the first by quadrature, KL by its closed form."""
    nodes, log_weights = quadrature(num_nodes)
    loc, scale = normals(dist)
    z = loc[:, None] + scale[:, None] * nodes[None]
    likelihood = tf.reduce_sum(tf.exp(log_weights) * log_likelihoods(dist, z), axis=1)
    divergence = tf.reduce_sum(0.5 * (scale**2 + loc**2 - 1.0) - tf.math.log(scale), axis=1)
    return weight * divergence - likelihood


def gradient_estimates(dist, step=0, batches=40, rows=250, events=EVENTS):
    """Returns gradients of the mean training loss of all events, one flat row for each seed."""

    @tf.function(autograph=False)
    def gradient(seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(tf.repeat(events, rows, axis=0), seed=seed, step=step))
        return flat(tape.gradient(loss, dist.trainable_variables))

    return np.stack([np.asarray(gradient(tf.constant([7, number]))) for number in range(batches)])


def flat(gradients):
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)


def assert_gradient(found, expected):
    """The mean of the estimates is the gradient within its error, and the error is small beside the gradient."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(0) - expected), (SIGMAS + 1.0) * error + 1e-5)
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(expected)
