"""What makes it a density: influences as declared, probabilities that sum to one, samples that follow them."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.registry import Case
from tfar import testing

pytestmark = pytest.mark.in_ci("MADE-large")


@pytest.mark.in_ci
def test_influences_equal_the_declared_connectivity(case: Case, distributions: Any) -> None:
    testing.check_autoregressive(distributions(case))


def test_fresh_weights_leak_nothing(case: Case) -> None:
    """Initial weights, zeros included, under a few steps of plain gradient descent by hand."""
    dist = case.make()
    for variable in dist.trainable_variables:
        variable.assign(tf.zeros_like(variable) if variable.shape.rank == 1 else 0.3 * tf.ones_like(variable))
    x, condition = case.values(8), case.condition(8)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.copy(jit_compile=False).training_loss(x, condition, seed=1))
        variables = dist.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            if gradient is not None:
                variable.assign_sub(0.1 * gradient)
    testing.check_autoregressive(dist, randomize=False)


def test_normalized(case: Case, distributions: Any) -> None:
    if not case.enumerable:
        pytest.skip("the support cannot be enumerated")
    testing.check_normalized(distributions(case))


def test_site_log_probs_sum_to_log_prob(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case, jit_compile=False), case.values(6), case.condition(6)
    total = tf.reduce_sum(dist.site_log_probs(x, conditional_input=condition), axis=-1)
    np.testing.assert_allclose(total, dist.log_prob(x, conditional_input=condition), rtol=2e-5, atol=2e-5)


def test_samples_follow_log_prob(case: Case, distributions: Any) -> None:
    if not case.enumerable:
        pytest.skip("the support cannot be enumerated")
    testing.check_samples(distributions(case, jit_compile=False), num_samples=8000, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["naive", "fixed_point"])
def test_samples_of_other_methods_follow_log_prob(case: Case, distributions: Any, method: str) -> None:
    if not case.enumerable:
        pytest.skip("the support cannot be enumerated")
    testing.check_samples(distributions(case), num_samples=8000, seed=6, method=method)


def test_completions_follow_log_prob(case: Case, distributions: Any) -> None:
    """Completions of nothing observed are samples: the law is that of `log_prob`."""
    if not case.enumerable or case.support is None:
        pytest.skip("the support cannot be enumerated")
    dist = distributions(case, jit_compile=False)
    events = testing.support.enumerate_events(dist)
    condition = testing.support.take(testing.support.condition_rows(dist, None, 1, 0), 0)
    x = tf.zeros(case.event_shape)
    drawn = dist.complete(x, tf.zeros(case.event_shape, tf.bool), 4000, seed=3, conditional_input=condition)
    flat = np.asarray(drawn).reshape(4000, -1) @ (case.support ** np.arange(events[0].size - 1, -1, -1))
    counts = np.bincount(flat.astype(int), minlength=len(events))
    probs = np.exp(testing.support.log_probs(dist, events, None, 0))
    assert testing.samples.chi_square(counts, probs * 4000)[2] > 1e-4
