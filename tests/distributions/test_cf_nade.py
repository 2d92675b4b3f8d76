"""CF-NADE: what is observed and what is not, predictions and recommendations, and the objectives of training."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.cases import randomize
from tests.reference import cf_nade as reference
from tests.reference.oracles.orderless import _cf_weights
from tfar.networks import cf_nade as networks
from tfar.networks.inputs import row_seeds

NUM_ITEMS, NUM_RATINGS = 5, 3
OBSERVED = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
RATINGS = np.float32([[3, 0, 1, 0, 2], [0, 0, 0, 2, 0], [0, 0, 0, 0, 0]])


@functools.cache
def ratings_of():
    return randomize(tfar.CFNADE(NUM_ITEMS, [4], num_ratings=NUM_RATINGS, jit_compile=False))


@functools.cache
def positives_of():
    return randomize(tfar.ImplicitCFNADE(NUM_ITEMS, [4], jit_compile=False))


def log_prob(dist, x, observed):
    """By eager operations of the law, which spares the compilation of a call."""
    return dist.law.log_prob(tf.constant(x), None, tf.constant(np.broadcast_to(observed, x.shape)))


def parameters(dist, row):
    """By the equations of the paper, given the ratings of a row above 0."""
    known = {item: int(rating) for item, rating in enumerate(row) if rating > 0}
    return reference.parameters(_cf_weights(dist), known, share=True)


def probabilities(dist, row):
    return np.array([reference.rating_probabilities(own, share=True) for own in parameters(dist, row)])


# What is observed --------------------------------------------------------------------------------------------------------


def test_log_prob_of_a_part_is_that_of_its_ratings_in_the_order():
    dist = ratings_of()
    for order in ([0, 1, 2, 3, 4], [4, 1, 2, 0, 3]):
        expected = []
        for row, marks in zip(RATINGS, OBSERVED, strict=True):
            known, total = np.zeros(NUM_ITEMS), 0.0
            for item in [i for i in order if marks[i]]:
                total += np.log(probabilities(dist, known)[item, int(row[item]) - 1])
                known[item] = row[item]
            expected.append(total)
        found = log_prob(dist.with_orders([order]), RATINGS, OBSERVED)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_probabilities_of_the_observed_part_sum_to_one():
    marks = np.array([True, False, True, False, True])
    events = np.zeros([NUM_RATINGS**3, NUM_ITEMS], np.float32)
    events[:, marks] = list(itertools.product([1, 2, 3], repeat=3))
    dist = ratings_of().with_orders(3)
    assert np.exp(log_prob(dist, events, marks)).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("held_out", [np.nan, 0.0, 1.0, 3.0, 77.0])
def test_ratings_that_are_not_observed_change_nothing(held_out):
    """Neither predictions nor losses: a rating that is held out cannot leak."""
    dist, x = ratings_of(), np.where(OBSERVED, RATINGS, held_out).astype(np.float32)
    for found in (
        lambda x: dist.log_prob(x, observed=OBSERVED),
        lambda x: dist.predict_ratings(x, OBSERVED).probs,
        lambda x: dist.recommend(x, OBSERVED, 2).items,
        lambda x: dist.encode(x, OBSERVED),
        lambda x: dist.complete(x, OBSERVED, seed=3),
        lambda x: dist.training_loss(x, observed=OBSERVED, seed=3),
    ):
        np.testing.assert_array_equal(found(x), found(RATINGS))


def test_a_rating_of_zero_and_a_missing_mask_are_refused():
    dist = ratings_of()
    with pytest.raises(ValueError, match=r"whole numbers 1 .. 3; received 0.0 at row 1, site 2"):
        dist.log_prob([[1, 2, 3, 1, 2], [1, 2, 0, 1, 2]])
    for method in (dist.predict_ratings, functools.partial(dist.recommend, k=2), dist.encode):
        with pytest.raises(ValueError, match="Expected `observed`"):
            method(RATINGS)
        with pytest.raises(ValueError, match=r"received 0\.0 at row 0, site 1"):
            method(RATINGS, np.ones([3, NUM_ITEMS], bool))


def test_a_pass_visits_the_rated_items_alone():
    dist = tfar.CFNADE(100, 3)
    x, order = np.zeros([2, 100], np.float32), tf.constant(np.stack([np.roll(np.arange(100), -7), np.arange(100)]))
    x[0, 7:12], x[1, :3] = 4.0, 1.0
    ratings = tf.gather(x, order, axis=1, batch_dims=1)
    _, visited, _ = dist.network._visited(tf.transpose(ratings), tf.transpose(tf.cast(order, tf.int32)), 0.0)
    assert visited == networks.CHUNK < 100


def test_a_pass_gives_items_after_the_last_rating_the_same_parameters_as_the_others():
    """Each item is conditioned on the ratings before it, whether the pass visits it or not."""
    dist = randomize(tfar.CFNADE(40, [4], num_ratings=NUM_RATINGS))
    x = np.zeros([2, 40], np.float32)
    x[0, [2, 5, 18]], x[1, 1] = [3.0, 1.0, 2.0], 2.0
    expected = [[parameters(dist, np.where(np.arange(40) < i, row, 0.0))[i] for i in range(40)] for row in x]
    np.testing.assert_allclose(dist.network(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)


def test_training_reads_the_weight_rows_of_the_known_ratings_alone():
    """The gathered sums equal the product over all items, and other rows have no gradient."""
    dist = randomize(tfar.CFNADE(NUM_ITEMS, [4], num_ratings=NUM_RATINGS, share_ratings=False))
    network, x = dist.network, tf.constant(RATINGS)
    with tf.GradientTape() as tape:
        sums = network._gathered_sums(x)
    np.testing.assert_allclose(sums, network._sums(x), rtol=1e-5, atol=1e-6)
    rows = np.abs(tape.gradient(sums, network.kernel.value)).sum(1).reshape(NUM_ITEMS, NUM_RATINGS) > 0
    read = {(item, int(rating) - 1) for row in RATINGS for item, rating in enumerate(row) if rating > 0}
    assert {tuple(place) for place in np.argwhere(rows).tolist()} == read


# Predictions -------------------------------------------------------------------------------------------------------------


def test_predictions_are_the_conditionals_of_the_paper():
    dist = ratings_of()
    predicted = dist.predict_ratings(RATINGS, OBSERVED)
    expected = np.stack([probabilities(dist, row) for row in RATINGS])
    np.testing.assert_allclose(predicted.probs, expected, rtol=2e-5)
    np.testing.assert_allclose(predicted.mean, expected @ [1.0, 2.0, 3.0], rtol=2e-5)
    np.testing.assert_allclose(dist.conditionals(RATINGS, observed=OBSERVED).mean(), predicted.mean, rtol=1e-5)


def test_predictions_do_not_depend_on_orders():
    dist = ratings_of()
    expected = dist.predict_ratings(RATINGS, OBSERVED).probs
    np.testing.assert_array_equal(dist.with_orders(4).predict_ratings(RATINGS, OBSERVED).probs, expected)


def test_recommendations_are_the_best_items_that_are_not_observed():
    dist = ratings_of()
    means = np.stack([probabilities(dist, row) for row in RATINGS]) @ [1.0, 2.0, 3.0]
    found = dist.recommend(RATINGS, OBSERVED, 4)
    assert found.items.dtype == tf.int32 and found.items.shape == found.scores.shape == (3, 4)
    for row, (own, marks) in enumerate(zip(means, OBSERVED, strict=True)):
        best = sorted(np.flatnonzero(~marks), key=lambda item, own=own: -own[item])[:4]
        missing = 4 - len(best)
        assert found.items[row].numpy().tolist() == [*best, *[-1] * missing]
        np.testing.assert_allclose(found.scores[row], [*own[best], *[0.0] * missing], rtol=1e-5)
    with pytest.raises(ValueError, match="at most the number of items, 5; received 6"):
        dist.recommend(RATINGS, OBSERVED, 6)


def test_user_vectors_are_the_hidden_units_given_all_ratings():
    dist = ratings_of()
    known = [{item: int(rating) for item, rating in enumerate(row) if rating > 0} for row in RATINGS]
    expected = [reference.hidden(_cf_weights(dist), own, True, None) for own in known]
    np.testing.assert_allclose(dist.encode(RATINGS, OBSERVED), expected, rtol=1e-5)
    assert dist.encode(RATINGS[None, :, :], OBSERVED).shape == (1, 3, 4)


# Training ----------------------------------------------------------------------------------------------------------------


def test_the_ordinal_cost_is_part_of_training_alone():
    ordinal = tfar.CFNADE(NUM_ITEMS, [4], num_ratings=NUM_RATINGS, ordinal_weight=1.0, jit_compile=False)
    for own, other in zip(ordinal.trainable_variables, ratings_of().trainable_variables, strict=True):
        own.assign(other)
    scores = [log_prob(dist, RATINGS, OBSERVED) for dist in (ordinal, ratings_of())]
    np.testing.assert_array_equal(scores[0], scores[1])
    losses = [dist.training_loss(RATINGS, observed=OBSERVED, seed=1) for dist in (ordinal, ratings_of())]
    assert (losses[0] > losses[1])[:2].numpy().all()


def test_the_loss_of_a_partly_rated_row_has_its_expectation():
    dist, row, marks = ratings_of(), RATINGS[0], OBSERVED[0]
    rated, expected = np.flatnonzero(marks), 0.0
    for size in range(len(rated)):
        subsets = list(itertools.combinations(rated, size))
        for seen in subsets:
            probs = probabilities(dist, np.where(np.isin(np.arange(NUM_ITEMS), seen), row, 0.0))
            rest = sum(np.log(probs[i, int(row[i]) - 1]) for i in rated if i not in seen)
            expected -= rest / (len(rated) - size) / len(subsets)
    losses = np.asarray(dist.training_loss(np.tile(row, [8000, 1]), observed=marks, seed=1), np.float64)
    assert abs(losses.mean() - expected) < 5 * losses.std() / 8000**0.5


# Positive items ----------------------------------------------------------------------------------------------------------


def test_positive_items_are_given_and_others_are_ranked():
    dist, x = positives_of(), np.float32([[0, 1, 0, 1, 0]])
    logits = parameters(dist, x[0])[:, 0]
    expected = sorted([0, 2, 4], key=lambda item: -logits[item])
    found = dist.recommend(x, k=4)
    assert found.items.numpy().tolist() == [[*expected, -1]]
    np.testing.assert_allclose(found.scores[0, :3], 1.0 / (1.0 + np.exp(-logits[expected])), rtol=1e-5)
    known = dist.recommend(x, [[True, True, False, True, False]], k=4).items.numpy()[0]
    assert known.tolist() == [*[item for item in expected if item != 0], -1, -1]


def test_known_items_of_training_are_a_uniform_number_of_the_positive_ones():
    x = np.tile(np.float32([1, 0, 1, 1, 0]), [6000, 1])
    known, weights = positives_of().network._draw_known(row_seeds(tf.constant([1, 2]), 6000), tf.constant(x))
    known, weights = np.asarray(known), np.asarray(weights)
    assert not known[:, [1, 4]].any()
    number = known.sum(1)
    assert np.abs(np.bincount(number, minlength=4) / 6000 - 0.25).max() < 5 * (0.25 * 0.75 / 6000) ** 0.5
    np.testing.assert_allclose(weights[:, [1, 4]], 1.0)
    expected = np.where(known, 0.0, 4.0 / np.maximum(3 - number, 1)[:, None])
    np.testing.assert_allclose(weights[:, [0, 2, 3]], expected[:, [0, 2, 3]], rtol=1e-6)


def test_confidences_weight_the_loss_and_not_log_prob():
    """By the mean over orders of the weighted log-probabilities, of three items."""
    dist = randomize(tfar.ImplicitCFNADE(3, [4], jit_compile=False))
    x, confidence = np.float32([1, 0, 1]), np.float32([1.0 + 3.0 * 2.0, 1.0, 1.0 + 3.0 * 5.0])
    expected, orders = 0.0, list(itertools.permutations(range(3)))
    for order in orders:
        for step, item in enumerate(order):
            seen = np.where(np.isin(np.arange(3), order[:step]), x, 0.0)
            logit = parameters(dist, seen)[item, 0]
            expected += confidence[item] * np.logaddexp(0.0, (1.0 - 2.0 * x[item]) * logit) / len(orders)
    losses = dist.training_loss(np.tile(x, [8000, 1]), site_weight=confidence, seed=2)
    losses = np.asarray(losses, np.float64)
    assert abs(losses.mean() - expected) < 5 * losses.std() / 8000**0.5
