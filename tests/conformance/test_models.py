"""What every autoregressive model must hold: its dependences, its probabilities, its ways of computing them, its gradients.

The truth comes from the oracle of the case, from enumeration, or from another way of computing the same. Every test reads the
`facts` of its case, which are computed once.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance.facts import NUM_COMPARED, SEED, Facts
from tfar import testing
from tfar.testing import samples, support
from tfar.testing.normalization import integrate

SIGNIFICANCE = 1e-4
# A rectifier may bend within a long step; a short one has more rounding.
STEPS = np.array([2e-2, 5e-3, 1e-3, 1e-4])

# Dependences ---------------------------------------------------------------------------------------------------------


def test_influences_equal_the_connectivity_of_the_case(facts: Facts) -> None:
    """Measured both ways; rows are independent in value and in condition. The network must declare the same."""
    dist, connectivity = facts.dist, facts.case.oracle.connectivity(facts.dist)
    testing.check_autoregressive(dist, connectivity=connectivity)
    for member, own in enumerate(connectivity):
        how = {"member": member} if facts.law.orders is None else {"order": facts.law.orders[member]}
        how["num_sites"] = dist.num_sites
        np.testing.assert_array_equal(dist.network.influences(**how), own)
        np.testing.assert_array_equal(dist.network.influences([0], **how), own[:1])


# Probabilities -------------------------------------------------------------------------------------------------------


def test_log_prob_equals_the_paper(facts: Facts) -> None:
    rows = range(len(facts.x))
    expected = [facts.case.oracle.log_prob(facts.dist, facts.x[i], support.take(facts.condition, i)) for i in rows]
    np.testing.assert_allclose(facts.log_prob, expected, rtol=2e-5, atol=2e-5)


def test_normalized(facts: Facts) -> None:
    if not facts.can_be_summed:
        pytest.skip("the support cannot be enumerated")
    total = facts.probs.sum() if facts.case.support else integrate(facts.grid)
    assert abs(total - 1.0) <= (1e-5 if facts.case.support else 1e-3)


def test_site_log_probs_sum_to_log_prob(facts: Facts) -> None:
    shares = facts.law.site_log_probs(tf.constant(facts.x), facts.condition)
    np.testing.assert_allclose(tf.reduce_sum(shares, axis=-1), facts.log_prob, rtol=2e-5, atol=2e-5)


def test_samples_follow_log_prob(facts: Facts) -> None:
    if not facts.can_be_summed:
        pytest.skip("the support cannot be enumerated")
    if facts.case.support is None:
        probs, counts = samples.bin_counts(facts.grid, facts.draws)
    else:
        probs, counts = facts.probs, samples.event_counts(facts.dist, facts.draws)
    samples.require_frequencies(counts, probs, SIGNIFICANCE, facts.case.name)


def test_completions_follow_log_prob(facts: Facts) -> None:
    """Given the first half of an order; members with different orders have none in common, and nothing is given."""
    if not facts.can_be_summed or facts.case.support is None:
        pytest.skip("the support cannot be enumerated")
    dist, count = facts.dist, len(facts.draws)
    orders = dist.network.orders if facts.law.orders is None else np.asarray(facts.law.orders)
    marks = np.zeros([dist.num_sites, *dist.head.site_shape], bool)
    orders = np.arange(dist.num_sites)[None] if orders is None else orders
    if len(orders) == 1:
        marks[orders[0][: dist.num_sites // 2]] = True
    x = most_telling(facts, marks.reshape(facts.case.event_shape))
    pattern = np.tile(marks.reshape(1, dist.num_sites, -1).all(-1), (count, 1))
    rows = tf.constant(np.tile(x[None], (count, *[1] * x.ndim)))
    drawn = facts.law.complete(tfar.random.row_seeds(3, count), rows, tf.constant(pattern), facts.conditions(count))
    fits = (facts.events == x)[:, marks.reshape(x.shape)].all(axis=1)
    counts = samples.event_counts(dist, np.asarray(drawn))
    assert counts[~fits].sum() == 0
    probs = facts.probs[fits] / facts.probs[fits].sum()
    samples.require_frequencies(counts[fits], probs, SIGNIFICANCE, f"completions of {facts.case.name}")


def most_telling(facts: Facts, observed: np.ndarray) -> np.ndarray:
    """The event whose observed part changes the law of the rest most, so that a sampler that ignores it is seen."""
    parts, number = np.unique(facts.events[:, observed], axis=0, return_inverse=True)
    joint = np.zeros([len(parts), len(facts.events) // len(parts)])
    for part in range(len(parts)):
        joint[part] = facts.probs[number.ravel() == part]  # Enumeration keeps the order of the rest.
    given = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-30)
    change = (given - joint.sum(axis=0)) ** 2 / np.where(given > 0.0, given, np.inf)
    is_open = (given > 0.0).sum(axis=1) > 1  # after the end of a sequence, the rest is certain
    best = int(np.argmax(change.sum(axis=1) * is_open))
    return facts.events[np.flatnonzero(number.ravel() == best)[0]]


# Ways of computing them ----------------------------------------------------------------------------------------------


def test_steps_and_prefill_equal_the_pass(facts: Facts) -> None:
    testing.check_steps(facts.dist)


def test_samplers_agree(facts: Facts) -> None:
    samples.require_equal_draws(facts.dist, facts.draws_by_method, SEED)


def test_noise_inverts_sampling(facts: Facts) -> None:
    """For the right member of an ensemble; the noise of samples is uniform."""
    x, count = facts.draws[:NUM_COMPARED], facts.dist.num_members
    found = np.zeros(NUM_COMPARED, bool)
    for member in range(count):
        member_noise = np.full(NUM_COMPARED, (member + 0.5) / count, np.float32)
        again = facts.law.sample_from_noise(
            tf.constant(facts.noise), facts.conditions(NUM_COMPARED), tf.constant(member_noise)
        )
        # Of 2^16 values, float32 noise of a step of up to 2^-24 may round to a neighbour.
        limit = 1e-3 * (1.0 + np.abs(x)) if not facts.case.support else float(facts.case.support >= 2**16)
        found |= (np.abs(np.asarray(again) - x) <= limit).reshape(NUM_COMPARED, -1).all(axis=1)
    assert found.mean() >= 1.0 - 1.0 / NUM_COMPARED
    counts = np.histogram(facts.noise, bins=16, range=(0.0, 1.0))[0]
    samples.require_frequencies(counts, np.full(16, 1 / 16), SIGNIFICANCE, f"noise of {facts.case.name}")


# Training ------------------------------------------------------------------------------------------------------------


def test_training_loss_has_its_expectation(facts: Facts) -> None:
    """`-log_prob`, or the mean over members, or over orders and steps. Losses with random masks: see the next test."""
    if facts.case.has_random_masks:
        pytest.skip("the expectation over masks or dropout cannot be enumerated")
    for row in range(2):
        condition = support.take(facts.condition, row)
        require_mean(facts.losses(row), facts.case.oracle.expected_loss(facts.dist, facts.x[row], condition))


def test_training_loss_is_that_of_log_prob_if_masks_do_not_matter(facts: Facts) -> None:
    """With kernels of zero, parameters depend on biases alone: no mask, order or dropout changes their expectation."""
    weights = [variable.numpy() for variable in facts.dist.trainable_variables]
    try:
        for variable in facts.dist.trainable_variables:
            if variable.shape.rank > 1:
                variable.assign(tf.zeros_like(variable))
        log_prob = facts.law.log_prob(tf.constant(facts.x), facts.condition)
        require_mean(facts.losses(0), -float(log_prob[0]))
    finally:
        for variable, value in zip(facts.dist.trainable_variables, weights, strict=True):
            variable.assign(value)


def require_mean(losses: np.ndarray, expected: float) -> None:
    """The mean within five standard errors, which are 0 if nothing is random."""
    error = 5.0 * losses.std() / len(losses) ** 0.5
    assert abs(losses.mean() - expected) <= error + 3e-5 * max(1.0, abs(expected)), (losses.mean(), expected, error)


def test_gradients_are_true_and_reach_every_variable(facts: Facts) -> None:
    """Of `log_prob` and of the training loss: for each variable in a random direction, against differences."""
    variables = facts.dist.trainable_variables
    assert len(variables) == sum(len(layer.trainable_variables) for layer in facts.dist.layers.values()) > 0
    dead = [own.name for own, gradient in zip(variables, facts.gradients[0], strict=True) if not gradient.any()]
    assert not dead or facts.dist.num_sites == 1, f"no gradient of log_prob for {dead}"
    generator = np.random.default_rng(0)
    for number, variable in enumerate(variables):
        direction = generator.choice([-1.0, 1.0], size=variable.shape).astype(np.float32)
        own = [gradients[number] for gradients in facts.gradients[: 1 + facts.case.has_true_loss_gradient]]
        expected = np.array([(gradient * direction).sum() for gradient in own])
        limit = 0.02 * (np.abs(expected) + [np.linalg.norm(gradient) for gradient in own])
        errors = []
        for step in STEPS / np.sqrt(direction.size):
            rounding = np.spacing(np.float32(np.abs(facts.log_prob).sum())) / step
            errors.append(np.abs(slopes(facts, variable, direction, step)[: len(own)] - expected) - rounding)
            if (np.min(errors, axis=0) <= limit).all():
                break
        assert (np.min(errors, axis=0) <= limit).all(), (variable.name, "log_prob, training_loss", expected, errors)


def slopes(facts: Facts, variable: tf.Variable, direction: np.ndarray, step: float) -> np.ndarray:
    """Differences of both totals over a step to either side, relative to it."""
    value, ends = variable.numpy(), []
    for sign in (1.0, -1.0):
        variable.assign(value + np.float32(sign * step) * direction)
        ends.append([float(total) for total in facts.totals_in_graph()])
    variable.assign(value)
    return (np.array(ends[0]) - np.array(ends[1])) / (2.0 * step)
