"""What every latent-variable model of the registry must hold, by enumerating its latents and its events.

Its parts are autoregressive, and the other tests of this folder hold for models like them.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import CASES, Case
from tfar.testing import samples, support

CASES_WITH_LATENTS = sorted([case for case in CASES if case.oracle is None], key=lambda case: not case.main)
NUM_MAIN = sum(case.main for case in CASES_WITH_LATENTS)
pytestmark = pytest.mark.parametrize(
    "case", few_by_default(CASES_WITH_LATENTS, count=NUM_MAIN), ids=lambda case: case.name
)
NUM_DRAWS = 4000


def enumerated(dist: tfar.LatentVariable) -> tuple[np.ndarray, np.ndarray]:
    """All events, and log p(x) = log sum_z p(z) p(x | z) of each."""
    events, latents = support.enumerate_events(dist.decoder), support.enumerate_events(dist.prior)
    joint = [
        dist.prior.law.log_prob(tf.constant(z[None]))
        + dist.decoder.law.log_prob(tf.constant(events), tf.constant(np.repeat(z[None], len(events), axis=0)))
        for z in latents
    ]
    return events, np.asarray(tf.reduce_logsumexp(tf.stack(joint), axis=0), np.float64)


def test_samples_follow_the_enumerated_marginal(case: Case) -> None:
    dist = case.make()
    _, log_probs = enumerated(dist)
    assert abs(np.exp(log_probs).sum() - 1.0) < 1e-5
    drawn = np.asarray(dist.law.sample(tfar.random.row_seeds(1, NUM_DRAWS)))
    counts = samples.event_counts(dist.decoder, drawn)
    samples.require_frequencies(counts, np.exp(log_probs), 1e-4, case.name)


def test_bounds_rise_to_the_log_probability(case: Case) -> None:
    """In the mean over draws: the elbo is below, the importance bound of many samples is near, and none is above."""
    dist = case.make()
    events, log_probs = enumerated(dist)
    x = tf.constant(np.repeat(events[3:4], NUM_DRAWS, axis=0))
    seeds = tfar.random.row_seeds(2, NUM_DRAWS)
    elbo = np.asarray(dist.law.elbo(seeds, x))
    bounds = [elbo] + [np.asarray(dist.law.importance_log_prob(seeds[:500], x[:500], count)) for count in (8, 64)]
    means, errors = [bound.mean() for bound in bounds], [5.0 * bound.std() / len(bound) ** 0.5 for bound in bounds]
    assert means[0] + errors[0] < means[1] + errors[1] and means[1] - errors[1] < means[2] + errors[2]
    assert abs(np.mean(np.exp(elbo - log_probs[3])) - 1.0) < 0.1, "importance weights average to p(x)"
    assert -0.05 < means[2] - log_probs[3] < errors[2] + 1e-3


def test_every_variable_gets_a_gradient(case: Case) -> None:
    dist = case.make()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(dist.training_loss(case.values(64), seed=1))
    for gradient, variable in zip(tape.gradient(loss, dist.trainable_variables), dist.trainable_variables, strict=True):
        assert gradient is not None and np.any(gradient) and np.isfinite(gradient).all(), variable.name
