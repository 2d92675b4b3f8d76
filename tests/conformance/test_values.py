"""Bad arguments are ValueErrors; bad values are too, and NaN in their row alone where nothing can be raised."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.registry import FEW, MAIN, Case
from tfar import testing

BAD = (np.nan, np.inf, -np.inf, 0.5, -1.0, 99.0)


def bad_values(case: Case) -> tuple[float, ...]:
    return BAD[:3] if case.support is None else BAD


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
def test_bad_values_are_errors_eagerly(case: Case, distributions: Any) -> None:
    dist, condition = distributions(case, jit_compile=False), case.condition(3)
    observed = np.ones(case.event_shape, bool)
    for bad in bad_values(case):
        x = case.values(3)
        x[(1, *[-1] * len(case.event_shape))] = bad
        for call in (dist.log_prob, dist.site_log_probs):
            with pytest.raises(ValueError, match=r"Expected values in the support .* received .* at row 1"):
                call(x, conditional_input=condition)
        with pytest.raises(ValueError, match="Expected values in the support"):
            dist.complete(x, observed, seed=1, conditional_input=condition)


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
def test_bad_values_are_nan_in_their_row_alone(case: Case, distributions: Any) -> None:
    check_rows(distributions(case), case, jit_compile=False)


@pytest.mark.by_default("MADE-bernoulli")
@pytest.mark.in_ci("NADE-bernoulli", "PixelCNN-binary")
def test_bad_values_are_nan_in_their_row_alone_under_xla(case: Case, distributions: Any) -> None:
    check_rows(distributions(case), case, jit_compile=True)


def check_rows(dist: Any, case: Case, jit_compile: bool) -> None:
    """Every bad value in a row of its own between good rows."""
    bad = bad_values(case)
    x, condition = case.values(2 * len(bad) + 1), case.condition(2 * len(bad) + 1)
    x[(slice(1, None, 2), *[0] * len(case.event_shape))] = bad

    @tf.function(jit_compile=jit_compile)
    def scores(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        observed = tf.ones_like(x)
        return (
            dist.log_prob(x, conditional_input=condition),
            dist.site_log_probs(x, conditional_input=condition),
            dist.complete(x, observed, seed=1, conditional_input=condition),
            dist.log_prob(x, conditional_input=condition, observed=observed),
            dist.training_loss(x, condition, seed=1),
        )

    good = case.values(len(x))
    for result, clean in zip(scores(tf.constant(x)), scores(tf.constant(good)), strict=True):
        nan = np.isnan(np.asarray(result)).reshape(len(x), -1)
        assert nan[1::2].all() and not nan[::2].any()
        np.testing.assert_allclose(np.asarray(result)[::2], np.asarray(clean)[::2], rtol=1e-5, atol=1e-5)


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
def test_bad_values_that_are_not_observed_do_not_matter(case: Case, distributions: Any) -> None:
    dist, condition = distributions(case, jit_compile=False), case.condition(2)
    nothing = np.zeros(case.event_shape, bool)
    x = np.full((2, *case.event_shape), np.nan, np.float32)
    np.testing.assert_array_equal(dist.log_prob(x, conditional_input=condition, observed=nothing), [0.0, 0.0])
    drawn = dist.complete(x, nothing, seed=1, conditional_input=condition)
    assert np.isfinite(drawn).all()


def test_bad_shapes_are_errors(case: Case, distributions: Any) -> None:
    dist, condition = distributions(case, jit_compile=False), case.condition(2)
    for shape in ((2, *[n + 1 for n in case.event_shape]), case.event_shape[1:]):
        with pytest.raises(ValueError, match=r"Expected `value`.*received"):
            dist.log_prob(np.zeros(shape, np.float32), conditional_input=condition)
        with pytest.raises(ValueError, match=r"Expected `value`.*received"):
            tf.function(lambda x: dist.log_prob(x, conditional_input=condition))(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"Expected `observed`.*received"):
        dist.complete(case.values(2), np.ones([7, 7, 7], bool), conditional_input=condition)


def test_bad_dtypes_are_errors(case: Case, distributions: Any) -> None:
    dist, condition = distributions(case, jit_compile=False), case.condition(2)
    x = case.values(2)
    for bad in (x.astype(np.complex64), np.full(x.shape, "a")):
        with pytest.raises(ValueError, match=r"Expected `value` to be .*received"):
            dist.log_prob(bad, conditional_input=condition)


def test_integers_and_booleans_are_cast(case: Case, distributions: Any) -> None:
    dist, condition = distributions(case, jit_compile=False), case.condition(2)
    x = np.arange(2 * int(np.prod(case.event_shape))).reshape(2, *case.event_shape) % 2
    expected = dist.log_prob(x.astype(np.float32), conditional_input=condition)
    for dtype in (np.int32, np.uint8, np.int64, np.float64, bool):
        np.testing.assert_array_equal(dist.log_prob(x.astype(dtype), conditional_input=condition), expected)


def test_bad_conditions_are_errors(case: Case, distributions: Any) -> None:
    dist, x = distributions(case, jit_compile=False), case.values(2)
    wrong: list[Any] = [np.zeros([2, 17], np.float32), {"unknown": np.zeros([2, 3], np.float32)}]
    if case.conditional_shape is not None:
        wrong.append(None)
    for bad in wrong:
        for call in (
            lambda c=bad: dist.log_prob(x, conditional_input=c),
            lambda c=bad: dist.site_log_probs(x, conditional_input=c),
            lambda c=bad: dist.training_loss(x, c, seed=1),
            lambda c=bad: dist.sample(2, seed=1, conditional_input=c),
            lambda c=bad: dist.complete(x, np.zeros(case.event_shape), seed=1, conditional_input=c),
        ):
            with pytest.raises(ValueError, match="Expected"):
                call()


def test_bad_orders_methods_and_seeds_are_errors(case: Case, distributions: Any) -> None:
    dist = distributions(case, jit_compile=False)
    condition = testing.support.take(case.condition(1), 0)
    for order in ("spiral", [0, 0], np.arange(dist.num_sites) + 0.5, np.arange(dist.num_sites + 1)):
        with pytest.raises(ValueError, match=r"Expected `order`.*received"):
            dist.with_order(order)
    with pytest.raises(ValueError, match=r"Expected `method`.*received"):
        dist.sample(2, seed=1, method="guess", conditional_input=condition)
    with pytest.raises(ValueError, match=r"Expected `seed`.*received"):
        dist.sample(2, seed="one", conditional_input=condition)
