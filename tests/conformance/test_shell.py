"""What belongs to the shell alone, once: on a stub with two members, named conditions, several channels and an order of its own.

Arguments, leading axes, rows without a result, patterns of observed sites and the seeds of rows do not depend on the model.
"""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_models
from tests.conformance.facts import Facts
from tests.conformance.stub import CHANNELS, ORDER, STUB
from tests.contract_networks import GroupsNetwork
from tfar import random, testing
from tfar.testing import support

BAD = (np.nan, np.inf, -np.inf, 0.5, -1.0, 99.0)
SITES = len(ORDER)
CHECKS = [check for name, check in sorted(vars(test_models).items()) if name.startswith("test_")]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts(STUB)


@pytest.fixture(scope="module")
def dist(facts: Facts) -> Any:
    """The stub, whose eager calls run as plain graphs."""
    return facts.dist.copy(jit_compile=False)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_stub_is_a_model(check: Any, facts: Facts) -> None:
    check(facts)


# Shares and patterns -------------------------------------------------------------------------------------------------


def test_shares_of_sites_are_conditionals_of_the_enumerated_law(facts: Facts, dist: Any) -> None:
    """By site, in raster order, although the sites are decided in another order, which is not its own inverse."""
    shares = dist.site_log_probs(facts.events, conditional_input=facts.conditions(len(facts.events)))
    for row in (3, 100, 201):
        for step, site in enumerate(ORDER):
            before, through = (
                facts.probs[(facts.events == facts.events[row])[:, list(ORDER[:n])].all(axis=(1, 2))].sum()
                for n in (step, step + 1)
            )
            assert abs(float(shares[row, site]) - np.log(through / before)) < 1e-4, (row, site)


def test_a_part_that_comes_first_has_the_probability_of_the_enumerated_law(facts: Facts, dist: Any) -> None:
    for length in range(SITES + 1):
        observed = np.zeros([SITES, CHANNELS], bool)
        observed[list(ORDER[:length])] = True
        fits = (facts.events == facts.draws[0])[:, observed].all(axis=1)
        found = dist.log_prob(facts.draws[0], conditional_input=facts.one_condition, observed=observed)
        assert abs(float(found) - np.log(facts.probs[fits].sum())) < 1e-4


@pytest.mark.parametrize("steps", [np.argsort(ORDER), [0, 0, 1, 1, 2]], ids=["stub", "groups"])
def test_the_law_allows_prefixes_alone(steps: Any, facts: Facts) -> None:
    """Every pattern: an observed site is decided no later than any that is not; a group may be observed in part."""
    law = facts.law if len(steps) == SITES else groups().law
    patterns = np.array(list(itertools.product([False, True], repeat=len(steps))))
    expected = [all(steps[i] <= steps[j] for i in np.flatnonzero(p) for j in np.flatnonzero(~p)) for p in patterns]
    np.testing.assert_array_equal(law.allows(tf.constant(patterns)), expected)


def groups() -> Any:
    return tfar.Autoregressive(GroupsNetwork([0, 0, 1, 1, 2]), tfar.heads.Bernoulli())


# Leading axes and seeds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_leading_axes(dist: Any, lead: tuple[int, ...]) -> None:
    count = int(np.prod(lead))
    x, condition = STUB.values(count), STUB.condition(count)
    shaped = x.reshape(*lead, *STUB.event_shape)
    bound = tf.nest.map_structure(lambda t: t.reshape(*lead, *t.shape[1:]), condition)
    result = dist.log_prob(shaped, conditional_input=bound)
    assert result.shape == lead
    flat = dist.log_prob(x, conditional_input=condition)
    np.testing.assert_allclose(tf.reshape(result, [-1]), flat, rtol=1e-6, atol=1e-6)
    assert dist.site_log_probs(shaped, conditional_input=bound).shape == (*lead, SITES)
    assert dist.sample(5, seed=1, conditional_input=bound).shape == (5, *lead, *STUB.event_shape)
    np.testing.assert_allclose(dist.given(bound).log_prob(shaped), result, rtol=1e-6)


def test_a_row_of_a_sample_depends_on_its_seed_and_condition_alone(dist: Any) -> None:
    condition = support.take(STUB.condition(1), 0)
    short, long = (np.asarray(dist.sample(n, seed=9, conditional_input=condition)) for n in (3, 7))
    np.testing.assert_array_equal(short, long[:3])
    rows = support.take(STUB.condition(1), np.zeros(7, int))
    np.testing.assert_array_equal(long, dist.law.sample(random.row_seeds(9, 7), rows))
    x, observed = STUB.values(4), np.zeros(STUB.event_shape, bool)
    condition = STUB.condition(4)
    drawn = np.asarray(dist.complete(x, observed, seed=9, conditional_input=condition))
    first = dist.complete(x[:2], observed, seed=9, conditional_input=support.take(condition, slice(0, 2)))
    np.testing.assert_array_equal(first, drawn[:2])


# Rows without a result -----------------------------------------------------------------------------------------------


def test_bad_values_are_errors_eagerly(dist: Any) -> None:
    observed, condition = np.ones(STUB.event_shape, bool), STUB.condition(3)
    for bad in BAD:
        x = STUB.values(3)
        x[1, -1, -1] = bad
        for call in (dist.log_prob, dist.site_log_probs):
            with pytest.raises(ValueError, match=r"Expected values in the support .* received .* at row 1"):
                call(x, conditional_input=condition)
        with pytest.raises(ValueError, match="Expected values in the support"):
            dist.complete(x, observed, seed=1, conditional_input=condition)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_bad_rows_are_nan_alone_in_a_graph(dist: Any, jit_compile: bool) -> None:
    """Every bad value, and a condition that is not finite, in a row of its own between good rows."""
    count = 2 * len(BAD) + 3
    x, condition = STUB.values(count), STUB.condition(count)
    good, x = x.copy(), x.copy()
    x[1 : 2 * len(BAD) : 2, 0, 0] = BAD
    broken = {**condition, "speaker": condition["speaker"].copy()}
    broken["speaker"][-2, 1] = np.inf

    @tf.function(jit_compile=jit_compile)
    def scores(x: tf.Tensor, condition: Any) -> tuple[tf.Tensor, ...]:
        observed = tf.ones_like(x)
        return (
            dist.log_prob(x, conditional_input=condition),
            dist.site_log_probs(x, conditional_input=condition),
            dist.complete(x, observed, seed=1, conditional_input=condition),
            dist.log_prob(x, conditional_input=condition, observed=observed),
            dist.training_loss(x, condition, seed=1),
        )

    for result, clean in zip(scores(x, broken), scores(good, condition), strict=True):
        nan = np.isnan(np.asarray(result)).reshape(count, -1)
        assert nan[1::2].all() and not nan[::2].any()
        np.testing.assert_allclose(np.asarray(result)[::2], np.asarray(clean)[::2], rtol=1e-5, atol=1e-5)


def test_bad_values_that_are_not_observed_do_not_matter(dist: Any) -> None:
    nothing, condition = np.zeros(STUB.event_shape, bool), STUB.condition(2)
    x = np.full((2, *STUB.event_shape), np.nan, np.float32)
    np.testing.assert_array_equal(dist.log_prob(x, conditional_input=condition, observed=nothing), [0.0, 0.0])
    assert np.isfinite(dist.complete(x, nothing, seed=1, conditional_input=condition)).all()


# Arguments -----------------------------------------------------------------------------------------------------------


def test_bad_shapes_are_errors(dist: Any) -> None:
    condition = STUB.condition(2)
    for shape in ((2, *[n + 1 for n in STUB.event_shape]), STUB.event_shape[1:]):
        with pytest.raises(ValueError, match=r"Expected `value`.*received"):
            dist.log_prob(np.zeros(shape, np.float32), conditional_input=condition)
        with pytest.raises(ValueError, match=r"Expected `value`.*received"):
            tf.function(lambda x: dist.log_prob(x, conditional_input=condition))(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"Expected `observed`.*received"):
        dist.complete(STUB.values(2), np.ones([7, 7, 7], bool), conditional_input=condition)


def test_bad_dtypes_are_errors(dist: Any) -> None:
    x = STUB.values(2)
    for bad in (x.astype(np.complex64), np.full(x.shape, "a")):
        with pytest.raises(ValueError, match=r"Expected `value` to be .*received"):
            dist.log_prob(bad, conditional_input=STUB.condition(2))


def test_integers_and_booleans_are_cast(dist: Any) -> None:
    x, condition = STUB.values(2), STUB.condition(2)
    expected = dist.log_prob(x, conditional_input=condition)
    for dtype in (np.int32, np.uint8, np.int64, np.float64, bool):
        np.testing.assert_array_equal(dist.log_prob(x.astype(dtype), conditional_input=condition), expected)


def test_bad_conditions_are_errors(dist: Any) -> None:
    x, right = STUB.values(2), STUB.condition(2)
    wrong = [None, np.zeros([2, 17], np.float32), {"unknown": np.zeros([2, 3])}, {**right, "speaker": np.zeros([2, 3])}]
    for bad in wrong:
        for call in (
            lambda c=bad: dist.log_prob(x, conditional_input=c),
            lambda c=bad: dist.site_log_probs(x, conditional_input=c),
            lambda c=bad: dist.training_loss(x, c, seed=1),
            lambda c=bad: dist.sample(2, seed=1, conditional_input=c),
            lambda c=bad: dist.complete(x, np.zeros(STUB.event_shape), seed=1, conditional_input=c),
        ):
            with pytest.raises(ValueError, match="Expected"):
                call()


def test_bad_orders_methods_and_seeds_are_errors(dist: Any) -> None:
    condition = support.take(STUB.condition(1), 0)
    for order in ("spiral", [0, 0], np.arange(SITES) + 0.5, np.arange(SITES + 1)):
        with pytest.raises(ValueError, match=r"Expected `order`.*received"):
            dist.with_order(order)
    with pytest.raises(ValueError, match=r"Expected `method`.*received"):
        dist.sample(2, seed=1, method="guess", conditional_input=condition)
    with pytest.raises(ValueError, match=r"Expected `seed`.*received"):
        dist.sample(2, seed="one", conditional_input=condition)


def test_the_checks_of_the_package_accept_it(dist: Any) -> None:
    testing.check_normalized(dist)
    testing.check_samples(dist, num_samples=4000)
    testing.check_samplers_agree(dist, num_samples=100)
