"""The observed part of a model for any order: one pass with an order for each row."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import randomize
from tfar.networks.permutations import observed_first

SITES = 5
EVENTS = np.array(list(itertools.product([0, 1], repeat=SITES)), np.float32)
PATTERNS = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 1, 0]], bool)


def made(num_members):
    return randomize(
        tfar.MADE([SITES], [9], order="random", num_masks=None, num_eval_masks=num_members, seed=2, jit_compile=False)
    )


def enumerated(dist, member, x, observed):
    """log p(x_O) of one row: the sum over all completions, in the member's order with the observed sites first."""
    order = np.asarray(dist.law.member(member).order_of_rows(1)).reshape(-1)
    order = [*[site for site in order if observed[site]], *[site for site in order if not observed[site]]]
    params = dist.network(EVENTS, member=member, order=tf.constant(order, tf.int32))
    log_probs = np.asarray(tf.reduce_sum(dist.head.log_prob(params, EVENTS), axis=1), np.float64)
    np.testing.assert_allclose(np.exp(log_probs).sum(), 1.0, atol=1e-5)
    return np.logaddexp.reduce(log_probs[(EVENTS[:, observed] == x[observed]).all(axis=1)])


@pytest.mark.parametrize("num_members", [1, 3])
def test_the_observed_part_has_the_enumerated_marginal_of_its_order(num_members):
    dist = made(num_members)
    x = EVENTS[[3, 17, 30, 8, 25]]
    parts = [[enumerated(dist, k, *row) for k in range(num_members)] for row in zip(x, PATTERNS, strict=True)]
    expected = np.logaddexp.reduce(parts, axis=1) - np.log(num_members)
    hidden = np.where(PATTERNS, x, np.nan).astype(np.float32)
    np.testing.assert_allclose(dist.log_prob(hidden, observed=PATTERNS), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        dist.copy(jit_compile=True).log_prob(hidden, observed=PATTERNS), expected, rtol=1e-5, atol=1e-6
    )


def test_observed_sites_come_first_in_the_order_of_each_row():
    found = observed_first(tf.constant([3, 1, 4, 0, 2]), tf.constant(PATTERNS))
    for order, observed in zip(found.numpy(), PATTERNS, strict=True):
        assert order.tolist() == sorted([3, 1, 4, 0, 2], key=lambda site, observed=observed: not observed[site])


def loops(graph):
    """The names of the loops of a graph and of all functions in it."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for f in definition.library.function for node in f.node_def)]
    return [node.name for node in nodes if node.op in ("While", "StatelessWhile")]


@pytest.mark.parametrize(("num_members", "num_loops"), [(1, 0), (3, 1)])
def test_the_graph_has_no_loop_over_the_sites(num_members, num_loops):
    """A loop over members is the only one."""
    dist = made(num_members)
    function = tf.function(lambda x, observed: dist.log_prob(x, observed=observed), autograph=False)
    specs = tf.TensorSpec([None, SITES]), tf.TensorSpec([None, SITES], tf.bool)
    assert len(loops(function.get_concrete_function(*specs).graph)) == num_loops
    sampler = tf.function(lambda: dist.sample(2, seed=1), autograph=False)
    assert len(loops(sampler.get_concrete_function().graph)) > 0
