"""The samplers against each other and against inverting the distribution functions by hand."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import random
from tfar.laws import samplers

CASES = {
    "bernoulli": lambda: tfar.MADE([7], [20], order="random", jit_compile=False),
    "categorical": lambda: tfar.MADE([5], [20, 10], head=tfar.heads.Categorical(4), order="reverse", jit_compile=False),
    "normals": lambda: tfar.MADE([4], [16], head=tfar.heads.NormalMixture(2), jit_compile=False),
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
    seeds = random.row_seeds(5, 50)
    noise, member_noise = dist.law.uniform_noise(seeds), dist.law.member_noise(seeds)
    members = np.floor(member_noise * dist.num_members).astype(int)
    values = np.zeros((50, dist.num_sites), np.float32)
    for t in range(dist.num_sites):
        for k in set(members):
            rows = np.flatnonzero(members == k)
            site = dist.network.orders[k if len(dist.network.orders) > 1 else 0][t]
            params = tf.gather(dist.network(values, member=int(k)), rows)[:, site]
            values[rows, site] = dist.head.sample(params, tf.gather(noise, rows)[:, site])
    return noise, dist.law.member(tf.constant(members, tf.int32) if dist.num_members > 1 else 0), members, values


def assert_equal(dist, actual, expected):
    """Rows may differ where a draw falls on an edge of the distribution function: under one in fifty here."""
    tolerance = 0.0 if dist.head.discrete else 1e-4
    assert (np.abs(np.asarray(actual) - expected) <= tolerance * (1 + np.abs(expected))).all(-1).mean() >= 0.98


@pytest.mark.parametrize("sampler", ["ancestral", "naive", "fixed_point"])
def test_samplers_equal_drawing_by_hand(dist, drawn, sampler):
    noise, member, _, expected = drawn
    result = getattr(samplers, sampler)(member, noise)
    assert_equal(dist, result[0] if sampler == "fixed_point" else result, expected)
    if sampler == "fixed_point":
        assert 1 <= int(result[1]) <= dist.num_sites + 1


def test_methods_of_sample(dist, drawn):
    for method in ("ancestral", "naive", "fixed_point"):
        assert_equal(dist, dist.sample(50, seed=5, method=method), drawn[-1])
    values, passes = dist.sample_fixed_point(50, seed=5)
    assert_equal(dist, values, drawn[-1])
    assert passes.shape == [] and 1 <= int(passes) <= dist.num_sites + 1
    with pytest.raises(ValueError, match="Expected `method`"):
        dist.sample(2, seed=5, method="guess")


def test_ancestral_keeps_what_is_given(dist, drawn):
    noise, member, _, values = drawn
    given = tf.constant(1.0 - values)
    everything = tf.ones([50, dist.num_sites], tf.bool)
    kept = samplers.ancestral(member, noise, given=given, observed=everything)
    np.testing.assert_array_equal(kept, given)
    nothing = samplers.ancestral(member, noise, given=given, observed=~everything.numpy())
    assert_equal(dist, nothing, values)


def test_independent_sites_take_two_passes():
    """Zero weights: the first pass is right, the second sees it."""
    dist = tfar.MADE([6], [4], jit_compile=False)
    for variable in dist.variables:
        variable.assign(tf.zeros_like(variable))
    assert int(dist.sample_fixed_point(20, seed=1)[1]) == 2
