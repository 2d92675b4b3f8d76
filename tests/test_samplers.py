"""The samplers against each other and against inverting the distribution functions by hand."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import random, samplers

CASES = {
    "bernoulli": lambda: tfar.MADE([7], [20], order="random", jit_compile=False),
    "categorical": lambda: tfar.MADE([5], [20, 10], tfar.heads.Categorical(4), "reverse", jit_compile=False),
    "normals": lambda: tfar.MADE([4], [16], tfar.heads.NormalMixture(2), jit_compile=False),
    "members": lambda: tfar.MADE([5], [16], order="random", num_masks=3, jit_compile=False),
}


@pytest.fixture(scope="module", params=CASES)
def dist(request):
    dist = CASES[request.param]()
    rng = np.random.default_rng(3)
    for variable in dist.variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return dist


@pytest.fixture(scope="module")
def drawn(dist):
    """Seeds, noise and members of 50 rows, and their values site by site, from whole passes in plain Python."""
    density = dist.density
    seeds = random.row_seeds(5, 50)
    noise, member = density.noise(seeds), density._uniform_member(density.member_noise(seeds))
    values = np.zeros((50, dist.num_sites), np.float32)
    members = np.zeros(50, int) if member is None else member.numpy()
    for t in range(dist.num_sites):
        for k in set(members):
            rows = np.flatnonzero(members == k)
            site = dist.network.orders[k if len(dist.network.orders) > 1 else 0][t]
            params = tf.gather(dist.network(values, member=int(k)), rows)[:, site]
            values[rows, site] = dist.head.sample(params, tf.gather(noise, rows)[:, site])
    return noise, member, values


def assert_equal(dist, actual, expected):
    """Rows may differ where a draw falls on an edge of the distribution function: under one in fifty here."""
    tolerance = 0.0 if dist.head.discrete else 1e-4
    assert (np.abs(np.asarray(actual) - expected) <= tolerance * (1 + np.abs(expected))).all(-1).mean() >= 0.98


@pytest.mark.parametrize("sampler", ["walk", "naive", "fixed_point"])
def test_samplers_equal_drawing_by_hand(dist, drawn, sampler):
    noise, member, expected = drawn
    result = getattr(samplers, sampler)(dist.network, dist.head, noise, member=member)
    assert_equal(dist, result if sampler == "naive" else result[0], expected)
    if sampler == "fixed_point":
        assert 1 <= int(result[1]) <= dist.num_sites + 1


def test_methods_of_sample(dist, drawn):
    for method in ("ancestral", "naive", "fixed_point"):
        assert_equal(dist, dist.sample(50, seed=5, method=method), drawn[2])
    values, passes = dist.sample_fixed_point(50, seed=5)
    assert_equal(dist, values, drawn[2])
    assert passes.shape == [] and 1 <= int(passes) <= dist.num_sites + 1
    with pytest.raises(ValueError, match="Expected `method`"):
        dist.sample(2, seed=5, method="guess")


def test_walk_keeps_and_scores_what_is_given(dist, drawn):
    noise, member, values = drawn
    given = tf.constant(values)
    everything = tf.ones([50, dist.num_sites], tf.bool)
    walk = samplers.walk(dist.network, dist.head, noise, member=member, given=given, observed=everything)
    np.testing.assert_array_equal(walk.sites, values)
    members = np.zeros(50, int) if member is None else member.numpy()
    expected = [dist.head.log_prob(dist.network(values, member=int(k)), values)[i] for i, k in enumerate(members)]
    np.testing.assert_allclose(walk.log_prob, np.sum(expected, -1), rtol=1e-4, atol=1e-4)
    nothing = samplers.walk(dist.network, dist.head, noise, member=member, given=given, observed=~everything.numpy())
    assert_equal(dist, nothing.sites, values)
    assert np.all(nothing.log_prob == 0.0)


def test_independent_sites_take_two_passes():
    """Zero weights: the first pass is right, the second sees it."""
    dist = tfar.MADE([6], [4], jit_compile=False)
    for variable in dist.variables:
        variable.assign(tf.zeros_like(variable))
    assert int(dist.sample_fixed_point(20, seed=1)[1]) == 2
