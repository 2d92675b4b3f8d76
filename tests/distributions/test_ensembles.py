"""Ensembles, observed parts and completions against enumeration."""

import numpy as np
import pytest
import tensorflow as tf
from enumeration import all_events, chi_square_pvalue, counts_of, matching, member_site_log_probs, spread
from scipy import special

import tfar
from tests.parameters import few_by_default

# Error rate of each statistical test, for a fixed seed.
ALPHA = 1e-4
EVENTS = all_events(5)

# Most run without XLA, which tests/conformance covers: compiling is what takes long here.
MAKERS = {
    "one": {"jit_compile": True},
    "one-random-order": {"order": "random", "seed": 4},
    "shared-natural": {"num_masks": 3, "degrees": "random"},
    "shared-permuted": {"num_masks": 3, "order": [2, 0, 1, 4, 3]},
    "orders": {"num_masks": 3, "order": "random"},
    "agnostic": {"num_masks": None, "num_eval_masks": 4, "order": "random"},
    "agnostic-degrees": {"num_masks": None, "num_eval_masks": 3, "order": "reverse", "connectivity_weights": True},
}


@pytest.fixture(scope="module")
def dists():
    return {n: spread(tfar.MADE([5], [12, 9], **{"jit_compile": False, **kw})) for n, kw in MAKERS.items()}


ALL = pytest.mark.parametrize("name", MAKERS)
SOME_MAKERS = pytest.mark.parametrize("name", few_by_default(reversed(MAKERS), count=2))


def members(dist, x):
    """log p_k(x), `[K, B]`."""
    return np.stack([member_site_log_probs(dist, x, k).sum(-1) for k in range(dist.num_members)])


@ALL
def test_log_prob_is_the_mean_of_the_members_probabilities(name, dists):
    dist = dists[name]
    expected = special.logsumexp(members(dist, EVENTS), axis=0) - np.log(dist.num_members)
    np.testing.assert_allclose(dist.log_prob(EVENTS), expected, rtol=2e-5, atol=1e-5)
    assert abs(np.exp(expected).sum() - 1.0) < 1e-5
    if dist.num_members > 1:
        assert np.abs(np.diff(members(dist, EVENTS), axis=0)).max() > 0.1, "the members must differ"


@ALL
def test_site_log_probs_sum_to_log_prob(name, dists):
    dist = dists[name]
    shares = dist.site_log_probs(EVENTS)
    assert shares.shape == (32, 5)
    np.testing.assert_allclose(tf.reduce_sum(shares, -1), dist.log_prob(EVENTS), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["shared-natural", "shared-permuted"])
def test_shares_of_an_observed_prefix_are_conditionals_of_the_mixture(name, dists):
    dist, order = dists[name], dists[name].network.orders[0]
    observed = np.isin(np.arange(5), order[:3])
    log_probs = np.stack([member_site_log_probs(dist, EVENTS, k) for k in range(dist.num_members)])[..., order]
    prefixes = special.logsumexp(np.cumsum(log_probs, axis=-1), axis=0) - np.log(dist.num_members)
    expected = np.zeros([32, 5])
    expected[:, order[:3]] = np.diff(prefixes, axis=-1, prepend=0.0)[:, :3]
    np.testing.assert_allclose(dist.site_log_probs(EVENTS, observed=observed), expected, rtol=1e-4, atol=1e-5)


def test_members_of_different_orders_have_no_shares_of_a_part(dists):
    with pytest.raises(ValueError, match="Expected members of one order"):
        dists["agnostic"].site_log_probs(EVENTS, observed=np.array([1, 0, 0, 1, 1], bool))


@pytest.mark.parametrize("name", ["one", "one-random-order", "shared-natural", "shared-permuted", "agnostic-degrees"])
def test_site_log_probs_are_conditionals_where_the_order_is_shared(name, dists):
    dist = dists[name]
    order = dist.network.orders[0]
    joint = np.exp(special.logsumexp(members(dist, EVENTS), axis=0))
    shares = dist.site_log_probs(EVENTS).numpy()
    for row, x in enumerate(EVENTS):
        for t, site in enumerate(order):
            before, through = (joint[(EVENTS[:, order[:n]] == x[order[:n]]).all(-1)].sum() for n in (t, t + 1))
            assert abs(shares[row, site] - np.log(through / before)) < 1e-4


def prefixes(order):
    patterns = np.zeros([len(order) + 1, len(order)], bool)
    for n in range(len(order) + 1):
        patterns[n, order[:n]] = True
    return patterns


PREFIX = ["one", "one-random-order", "shared-natural", "shared-permuted", "agnostic-degrees"]


@pytest.mark.parametrize("name", PREFIX)
def test_log_prob_of_a_prefix_is_the_sum_over_the_rest(name, dists):
    dist = dists[name]
    joint = np.exp(dist.log_prob(EVENTS).numpy().astype(np.float64))
    for observed in prefixes(dist.network.orders[0]):
        expected = [np.log(joint[matching(EVENTS, x, observed)].sum()) for x in EVENTS]
        hidden = np.where(observed, EVENTS, np.nan)
        np.testing.assert_allclose(dist.log_prob(hidden, observed=observed), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", few_by_default(reversed(PREFIX), count=2))
def test_completing_a_prefix_follows_the_conditional(name, dists):
    """For an ensemble that is the mixture whose members weigh what they give the prefix."""
    dist = dists[name]
    joint = np.exp(dist.log_prob(EVENTS).numpy().astype(np.float64))
    observed, value = prefixes(dist.network.orders[0])[2], np.array([1, 0, 1, 1, 0], np.float32)
    draws = dist.complete(np.where(observed, value, np.nan), observed, num_samples=4000, seed=3).numpy()
    assert draws.shape == (4000, 5) and (draws[:, observed] == value[observed]).all()
    probs = joint * matching(EVENTS, value, observed)
    assert chi_square_pvalue(counts_of(draws), probs) > ALPHA
    if dist.num_members > 1:
        uniform = np.zeros(32)
        for log_probs in np.exp(members(dist, EVENTS)):
            part = log_probs * matching(EVENTS, value, observed)
            uniform += part / part.sum()
        if np.abs(uniform / uniform.sum() - probs / probs.sum()).sum() > 0.1:
            assert chi_square_pvalue(counts_of(draws), uniform) < ALPHA, "members must be weighed"


def observed_first_law(dist, value, observed):
    """log p_k(observed part) and p_k(. | observed) of each member with its order rearranged, by enumeration."""
    log_probs, laws = [], []
    for k in range(dist.num_members):
        order = dist.network.orders[k]
        order = np.concatenate([order[observed[order]], order[~observed[order]]]).astype(np.int32)
        params = dist.network(EVENTS, member=k, order=tf.constant(order))
        joint = np.exp(np.asarray(dist.head.log_prob(params, EVENTS), np.float64).sum(-1))
        part = joint * matching(EVENTS, value, observed)
        log_probs.append(np.log(part.sum()))
        laws.append(part / part.sum())
    return np.array(log_probs), np.stack(laws)


PATTERNS = [[0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0]]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: "".join(map(str, p)))
def test_any_pattern_of_an_order_agnostic_model(pattern, dists):
    dist, observed, value = dists["agnostic"], np.array(pattern, bool), np.array([1, 0, 0, 1, 1], np.float32)
    log_probs, laws = observed_first_law(dist, value, observed)
    expected = special.logsumexp(log_probs) - np.log(len(log_probs))
    hidden = np.where(observed, value, np.nan)
    np.testing.assert_allclose(dist.log_prob(hidden, observed=observed), expected, rtol=1e-4, atol=1e-5)
    draws = dist.complete(hidden, observed, num_samples=4000, seed=5).numpy()
    assert (draws[:, observed] == value[observed]).all()
    assert chi_square_pvalue(counts_of(draws), special.softmax(log_probs) @ laws) > ALPHA


def test_rows_may_observe_different_patterns(dists):
    dist = dists["agnostic"]
    patterns = np.array(PATTERNS, bool)
    together = dist.log_prob(EVENTS[7:12], observed=patterns)
    for i, observed in enumerate(patterns):
        np.testing.assert_allclose(together[i], dist.log_prob(EVENTS[7 + i], observed=observed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", few_by_default(["shared-permuted", "one", "orders"]))
def test_a_pattern_that_the_order_does_not_allow(name, dists):
    dist = dists[name]
    order = dist.network.orders[0]
    observed = np.ones([2, 5], bool)
    observed[1, order[0]] = False
    for call in (lambda o: dist.log_prob(EVENTS[:2], observed=o), lambda o: dist.complete(EVENTS[:2], o, seed=1)):
        with pytest.raises(ValueError, match="row 1 observes others"):
            call(observed)
        in_graph = tf.function(call)(tf.constant(observed)).numpy()
        assert np.isnan(in_graph[1]).all() and np.isfinite(in_graph[0]).all()


@SOME_MAKERS
def test_all_and_nothing_observed(name, dists):
    dist = dists[name]
    np.testing.assert_allclose(dist.log_prob(EVENTS, observed=np.zeros(5, bool)), np.zeros(32), atol=1e-6)
    np.testing.assert_allclose(dist.log_prob(EVENTS, observed=np.ones(5)), dist.log_prob(EVENTS), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(dist.complete(EVENTS, np.ones(5, bool), seed=0), EVENTS)


@SOME_MAKERS
def test_samples_follow_log_prob(name, dists):
    dist = dists[name]
    draws = dist.sample(6000, seed=8)
    assert chi_square_pvalue(counts_of(draws), np.exp(dist.log_prob(EVENTS).numpy().astype(np.float64))) > ALPHA


# with_order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["natural", "reverse", "random", [2, 0, 4, 1, 3]], ids=str)
def test_with_order_is_normalised_shares_weights_and_samples_itself(order, dists):
    dist = dists["agnostic"]
    ordered = dist.with_order(order)
    assert ordered.network is dist.network and all(
        a is b for a, b in zip(ordered.variables, dist.variables, strict=True)
    )
    log_prob = ordered.log_prob(EVENTS).numpy().astype(np.float64)
    assert abs(np.exp(log_prob).sum() - 1.0) < 1e-5
    assert np.abs(log_prob - dist.log_prob(EVENTS)).max() > 1e-3
    permutation = tf.constant(tfar.orders.resolve(order, 5))
    by_hand = [
        dist.head.log_prob(dist.network(EVENTS, member=k, order=permutation), EVENTS).numpy().sum(-1) for k in range(4)
    ]
    np.testing.assert_allclose(log_prob, special.logsumexp(by_hand, axis=0) - np.log(4), rtol=1e-4, atol=1e-5)
    assert chi_square_pvalue(counts_of(ordered.sample(4000, seed=2)), np.exp(log_prob)) > ALPHA
    np.testing.assert_allclose(tf.reduce_sum(ordered.site_log_probs(EVENTS), -1), log_prob, rtol=1e-4, atol=1e-4)


def test_with_order_completes_its_prefixes_alone(dists):
    ordered = dists["agnostic"].with_order([2, 0, 4, 1, 3])
    observed = np.array([1, 0, 1, 0, 0], bool)
    joint = np.exp(ordered.log_prob(EVENTS).numpy().astype(np.float64))
    value = EVENTS[21]
    expected = np.log(joint[matching(EVENTS, value, observed)].sum())
    np.testing.assert_allclose(ordered.log_prob(value, observed=observed), expected, rtol=1e-4)
    draws = ordered.complete(value, observed, num_samples=3000, seed=1)
    assert chi_square_pvalue(counts_of(draws), joint * matching(EVENTS, value, observed)) > ALPHA
    with pytest.raises(ValueError, match="come first"):
        ordered.log_prob(value, observed=~observed)


@pytest.mark.parametrize("name", ["one", "shared-natural", "orders", "agnostic-degrees"])
def test_with_order_of_a_model_of_one_order_is_an_error(name, dists):
    with pytest.raises(ValueError, match="num_masks=None"):
        dists[name].with_order([1, 0, 2, 3, 4])


def test_with_its_own_order_is_the_same(dists):
    dist = dists["shared-permuted"]
    np.testing.assert_array_equal(dist.with_order(dist.network.orders[0]).log_prob(EVENTS), dist.log_prob(EVENTS))
    with pytest.raises(ValueError, match="Expected `order`"):
        dists["agnostic"].with_order([0, 0, 1, 2, 3])
