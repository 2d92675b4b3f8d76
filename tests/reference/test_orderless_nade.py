"""OrderlessNADE equals the papers' equations."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.reference import orderless_nade as reference
from tests.registry import randomize

SIZE = 4
EVENTS = np.array(list(itertools.product([0, 1], repeat=SIZE)), np.float32)


@pytest.fixture(scope="module")
def dist():
    return randomize(tfar.OrderlessNADE([SIZE], [5, 3], activation="tanh", num_orders=3, jit_compile=False))


@pytest.fixture(scope="module")
def weights(dist):
    network = dist.network
    numpy = lambda variable: np.asarray(variable, np.float64)  # noqa: E731
    return {
        "W": numpy(network.input_layer.kernel),
        "A": numpy(network.mask_layer.kernel),
        "c": numpy(network.input_layer.bias),
        "hidden": [(numpy(layer.kernel), numpy(layer.bias)) for layer in network.hidden_layers],
        "V": numpy(network.output_layer.kernel),
        "b": numpy(network.output_layer.bias),
    }


def test_log_prob_of_orders(dist, weights):
    expected = [reference.ensemble_log_prob(weights, x, dist.law.orders) for x in EVENTS]
    np.testing.assert_allclose(dist.log_prob(EVENTS), expected, rtol=1e-5)
    expected = [reference.log_prob(weights, x, [3, 1, 0, 2]) for x in EVENTS]
    np.testing.assert_allclose(dist.with_order([3, 1, 0, 2]).log_prob(EVENTS), expected, rtol=1e-5)


def test_completions_and_marginals_put_what_is_observed_first(dist, weights):
    observed = np.array([True, False, True, False])
    expected = []
    for x in EVENTS:
        parts = []
        for order in dist.law.orders:
            first = [site for site in order if observed[site]]
            known, total = np.zeros(SIZE), 0.0
            for site in first:
                total += reference.site_log_prob(weights, x, known, site)
                known[site] = 1.0
            parts.append(total)
        expected.append(np.log(np.mean(np.exp(parts))))
    np.testing.assert_allclose(dist.log_prob(EVENTS, observed=observed), expected, rtol=1e-5)


def test_training_loss_is_the_objective(dist, weights):
    x, rows = EVENTS[11], 20000
    losses = np.asarray(dist.training_loss(tf.tile(tf.constant(x)[None], [rows, 1]), seed=1))
    assert abs(losses.mean() - reference.objective(weights, x)) < 5 * losses.std() / rows**0.5
