"""Ordinal: the support of ratings, scores that are not cumulative, and the ordinal cost of training."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfar import heads

PARAMS = np.random.default_rng(0).normal(0.0, 1.5, (6, 4)).astype(np.float32)
RATINGS = np.float32([1, 2, 3, 4, 2, 4])


def scores_of(params):
    return [float(np.sum(np.float64(params[: k + 1]))) for k in range(len(params))]


def ordinal_cost(scores, rating):
    """The two chains of section 4.2, term by term."""
    cost = 0.0
    for j in range(1, rating + 1):
        cost -= math.log(math.exp(scores[j - 1]) / sum(math.exp(scores[t - 1]) for t in range(1, j + 1)))
    for j in range(rating, len(scores) + 1):
        cost -= math.log(math.exp(scores[j - 1]) / sum(math.exp(scores[t - 1]) for t in range(j, len(scores) + 1)))
    return cost


def test_zero_and_higher_values_than_the_last_class_are_outside_the_support():
    head = heads.Ordinal(4)
    assert str(head.support()) == "whole numbers 1 .. 4"
    log_prob = head.log_prob(np.repeat(PARAMS[:1], 7, 0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 2.5])
    assert np.isnan(log_prob).tolist() == [True, False, False, False, False, True, True]
    assert np.exp(log_prob)[1:5].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_ordinal_cost_is_part_of_training_alone(weight):
    head, plain = heads.Ordinal(4, ordinal_weight=weight), heads.Ordinal(4)
    np.testing.assert_array_equal(head.log_prob(PARAMS, RATINGS), plain.log_prob(PARAMS, RATINGS))
    expected = []
    for params, rating in zip(PARAMS, RATINGS.astype(int), strict=True):
        scores = scores_of(params)
        log_prob = scores[rating - 1] - math.log(sum(math.exp(s) for s in scores))
        expected.append((1.0 - weight) * log_prob - weight * ordinal_cost(scores, rating))
    np.testing.assert_allclose(head.training_log_prob(PARAMS, RATINGS), expected, rtol=1e-5)


def test_the_ordinal_cost_of_extreme_scores_has_a_finite_gradient():
    head, params = heads.Ordinal(4, ordinal_weight=1.0), tf.Variable(np.sign(PARAMS) * 200.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head.training_log_prob(params, RATINGS))
    assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, params)).all()


def test_scores_that_are_not_cumulative_are_those_of_a_categorical():
    head, other = heads.Ordinal(4, cumulative=False), heads.Categorical(4)
    np.testing.assert_array_equal(head.log_prob(PARAMS, RATINGS), other.log_prob(PARAMS, RATINGS - 1.0))
    np.testing.assert_array_equal(head.probs(PARAMS), other.probs(PARAMS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "`num_classes` to be an int of at least 2"),
        ({"num_classes": 3, "ordinal_weight": 1.5}, r"`ordinal_weight` to be a number in \[0, 1\]; received 1.5"),
        ({"num_classes": 3, "lowest": 0.5}, "`lowest` to be an int"),
        ({"num_classes": 3, "lowest": 2**24}, "at most"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        heads.Ordinal(**arguments)
