"""What every latent-variable model of the registry must hold, by enumerating its events, and its latents or by quadrature.

Its parts are autoregressive, and the other tests of this folder hold for models like them.
"""

from typing import Any

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
NUM_NODES = 121


def latents_of(prior: Any) -> tuple[np.ndarray, np.ndarray]:
    """All latents with their log-probabilities, or the nodes of the trapezoidal rule with their log weights.

    A prior of real latents is one standard normal, or one normal given a latent of its own. The trapezoidal rule converges
    at the kinks of rectifiers, where Gauss-Hermite quadrature is slow.
    """
    points = np.linspace(-6.0, 6.0, NUM_NODES)
    log_weights = -0.5 * points**2
    log_weights -= np.logaddexp.reduce(log_weights)
    if isinstance(prior, tfar.LatentVariable):
        top, log_top = latents_of(prior.prior)
        params = prior.decoder.law.conditional_params(tf.zeros([len(top), *prior.event_shape]), tf.constant(top))
        loc, log_scale = (np.asarray(part).reshape(-1, 1) for part in prior.head.loc_and_log_scale(params))
        nodes = loc + np.exp(log_scale) * points
        return nodes.reshape(-1, *prior.event_shape).astype(np.float32), (log_top[:, None] + log_weights).ravel()
    if prior.head.support().num_values:
        latents = support.enumerate_events(prior)
        return latents, np.asarray(prior.law.log_prob(tf.constant(latents)), np.float64)
    assert prior.num_sites == 1
    return points.reshape(-1, 1).astype(np.float32), log_weights


def enumerated(dist: tfar.LatentVariable) -> tuple[np.ndarray, np.ndarray]:
    """All events, and log p(x) = log sum_z p(z) p(x | z) of each: -inf of texts that go on after their end."""
    events = support.enumerate_events(dist.decoder)
    latents, log_weights = latents_of(dist.prior)
    x, z = np.tile(events, (len(latents), *[1] * (events.ndim - 1))), np.repeat(latents, len(events), axis=0)
    given = np.asarray(dist.decoder.law.log_prob(tf.constant(x), tf.constant(z)), np.float64)
    given = np.where(np.isnan(dist.law.bad_row_marks(tf.constant(x))), -np.inf, given)
    return events, np.logaddexp.reduce(given.reshape(len(latents), -1) + log_weights[:, None], axis=0)


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
    row = 3 + int(np.argmax(np.isfinite(log_probs[3:])))
    x = tf.constant(np.repeat(events[row : row + 1], NUM_DRAWS, axis=0))
    seeds = tfar.random.row_seeds(2, NUM_DRAWS)
    elbo = np.asarray(dist.law.elbo(seeds, x))
    several = np.logaddexp.reduce(elbo.reshape(-1, 8).astype(np.float64), axis=1) - np.log(8.0)
    in_graph = tf.function(dist.law.importance_log_prob, autograph=False)
    bounds = [elbo, several, np.asarray(in_graph(seeds[:500], x[:500], 64))]
    means, errors = [bound.mean() for bound in bounds], [5.0 * bound.std() / len(bound) ** 0.5 for bound in bounds]
    assert means[0] + errors[0] < means[1] + errors[1] and means[1] - errors[1] < means[2] + errors[2]
    assert abs(np.mean(np.exp(elbo - log_probs[row])) - 1.0) < 0.1, "importance weights average to p(x)"
    assert -0.05 < means[2] - log_probs[row] < errors[2] + 1e-3


def test_every_variable_gets_a_gradient(case: Case) -> None:
    dist = case.make()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(dist.training_loss(case.values(64), seed=1))
    for gradient, variable in zip(tape.gradient(loss, dist.trainable_variables), dist.trainable_variables, strict=True):
        assert gradient is not None, variable.name
        values = np.asarray(tf.convert_to_tensor(gradient))  # Those of vectors of words are sparse.
        assert np.any(values) and np.isfinite(values).all(), variable.name
