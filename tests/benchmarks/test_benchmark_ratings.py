"""Benchmarks of ratings and recommendations: splits, scores and metrics on cases that are counted by hand."""

import math

import numpy as np
import pytest

from benchmarks import ranking, ranking_metrics, ratings, ratings_table
from benchmarks.models import cf_nade
from benchmarks.peers import implicit_lists, surprise_side
from benchmarks.ratings import Forecast, Ratings


def some(count=40):
    generator = np.random.default_rng(0)
    places = generator.permutation(6 * 8)[:count]
    return Ratings(places // 8, places % 8, generator.integers(1, 6, size=count))


# Splits ------------------------------------------------------------------------------------------------------------------


def test_held_out_ratings_are_a_tenth_and_no_input():
    found = some()
    train, test = ratings.split(found, seed=3)
    assert len(test.users) == 4 and len(train.users) == 36
    pairs = [set(zip(part.users.tolist(), part.items.tolist(), strict=True)) for part in (train, test)]
    assert not pairs[0] & pairs[1] and len(pairs[0] | pairs[1]) == 40
    again, other = ratings.split(found, seed=3)[1], ratings.split(found, seed=4)[1]
    np.testing.assert_array_equal(again.users * 8 + again.items, test.users * 8 + test.items)
    assert (other.users * 8 + other.items).tolist() != (test.users * 8 + test.items).tolist()
    for item_based in (False, True):
        rows = ratings.matrices(train, test, item_based=item_based)
        users, films = (rows.train.T, rows.test.T) if item_based else (rows.train, rows.test)
        assert (users[train.users, train.items] == train.ratings).all() and (films > 0).sum() == 4
        assert (users[test.users, test.items] == 0).all()
        np.testing.assert_array_equal(rows.examples("train")["observed"], rows.train > 0)


@pytest.mark.slow(ci=True)
def test_ratings_that_are_held_out_change_no_forecast(tmp_path):
    """Training and forecasts with permuted test ratings are the same, bit for bit."""
    train, test = ratings.split(some(), seed=3)
    permuted = test._replace(ratings=np.roll(test.ratings, 1) % 5 + 1)
    case = cf_nade.likelihood_case(
        "leak", "small", cf_nade.RatingSettings(hidden_units=(4,), max_epochs=2, activation="tanh")
    )
    found = []
    for number, held_out in enumerate((test, permuted)):
        splits = ratings.matrices(train, held_out, item_based=True)
        found.append(ratings.ours(case, splits, held_out, tmp_path / str(number))[0])
    np.testing.assert_array_equal(found[0].probs, found[1].probs)
    assert ratings.score(found[0], test.ratings) != ratings.score(found[1], permuted.ratings)


def test_a_fifth_of_the_items_of_each_user_is_held_out():
    positive = np.random.default_rng(1).random([7, 30]) < 0.5
    kept, held = ranking.split(positive, seed=0)
    for user, own in enumerate(held):
        assert len(own) == int(0.2 * positive[user].sum())
        assert positive[user, own].all() and not kept[user, own].any()
        assert kept[user].sum() + len(own) == positive[user].sum()


# Scores ------------------------------------------------------------------------------------------------------------------


def test_errors_and_likelihoods_of_ratings():
    probs = np.array([[0.1, 0.1, 0.1, 0.2, 0.5], [0.6, 0.1, 0.1, 0.1, 0.1]])
    found = ratings.score(ratings.forecast_of(probs), np.array([4, 1]))
    means = (0.1 + 0.2 + 0.3 + 0.8 + 2.5, 0.6 + 0.2 + 0.3 + 0.4 + 0.5)
    assert found["rmse"] == round(math.sqrt(((means[0] - 4) ** 2 + (means[1] - 1) ** 2) / 2), 4)
    assert found["nll"] == round(-(math.log(0.2) + math.log(0.6)) / 2, 4)
    assert ratings.score(Forecast(np.array([7.0, 0.0]), None), np.array([5, 1])) == {"rmse": 0.0}
    both = ratings.summary([{"rmse": 0.9, "nll": 1.0}, {"rmse": 1.1, "nll": 1.4}])
    assert (both["rmse"], both["test_nll"], both["standard_error"]) == (1.0, 1.2, 0.2)


def test_masses_of_a_normal_are_those_of_its_intervals():
    stats = pytest.importorskip("scipy.stats")
    found = surprise_side.interval_masses(np.array([0.3, 3.8]), 0.9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    for row, mean in enumerate((0.3, 3.8)):
        for k in range(1, 6):
            low, high = -np.inf if k == 1 else k - 0.5, np.inf if k == 5 else k + 0.5
            expected = stats.norm(mean, 0.9).cdf(high) - stats.norm(mean, 0.9).cdf(low)
            assert found[row, k - 1] == pytest.approx(expected, abs=1e-9)


def test_frequencies_of_a_film_are_its_ratings_and_five_of_all():
    train = Ratings(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([5, 5, 1]))
    found = ratings.item_histogram(train, Ratings(np.array([3, 3]), np.array([0, 2]), np.array([1, 1])))
    np.testing.assert_allclose(found.probs[0], [5 / 3 / 7, 0, 0, 0, (2 + 10 / 3) / 7])
    np.testing.assert_allclose(found.probs[1], [1 / 3, 0, 0, 0, 2 / 3])


# Other libraries ---------------------------------------------------------------------------------------------------------


def of_tastes(num_users=40, num_items=20):
    """Every rating of two groups of users, who give 5 to the films of their group and 1 to the others."""
    users, items = (part.ravel() for part in np.indices([num_users, num_items]))
    return Ratings(users, items, np.where(users % 2 == items % 2, 5, 1))


@pytest.mark.parametrize(
    "name", ["Surprise BaselineOnly", "Surprise KNNBaseline", "Surprise SVD", "Gaussian around SVD"]
)
def test_surprise_forecasts_every_held_out_rating(name):
    pytest.importorskip("surprise", reason="scikit-surprise is not installed")
    train, test = ratings.split(of_tastes(), seed=3)
    method = surprise_side.methods()[name]
    found = method(train, test)
    errors = found.means - test.ratings
    assert found.means.shape == test.ratings.shape and (found.means >= 1.0).all() and (found.means <= 5.0).all()
    # The biases of users and films say nothing about these ratings; neighbours and factors find the groups.
    rmse = math.sqrt(np.mean(errors**2))
    assert rmse > 1.9 if name == "Surprise BaselineOnly" else rmse < 0.5, rmse
    if found.probs is not None:
        np.testing.assert_allclose(found.probs.sum(axis=1), 1.0)
        assert (found.probs.argmax(axis=1) + 1 == test.ratings).mean() > 0.95
    permuted = method(train, test._replace(ratings=6 - test.ratings))
    np.testing.assert_array_equal(permuted.means, found.means)


@pytest.mark.parametrize("name", ["ALS", "BPR"])
def test_implicit_recommends_what_the_group_of_a_user_likes(name):
    pytest.importorskip("implicit", reason="implicit is not installed")
    likes = np.indices([60, 30]).sum(axis=0) % 2 == 0
    positive = likes & (np.random.default_rng(0).random(likes.shape) < 0.7)
    settings = {"ALS": {"factors": 4, "regularization": 1.0}, "BPR": {"factors": 8, "iterations": 100}}[name]
    scores = implicit_lists.factors(positive, name.lower(), **settings)
    best = ranking.best(scores, positive)[:, :3]
    assert np.take_along_axis(likes, best, axis=1).mean() > 0.95


# Metrics -----------------------------------------------------------------------------------------------------------------

RANKED, RELEVANT = [9, 2, 5, 7, 1], [2, 7, 8]


def test_metrics_of_a_list_by_hand():
    assert ranking_metrics.recall(RANKED, RELEVANT, 4) == 2 / 3
    assert ranking_metrics.recall(RANKED, RELEVANT, 2) == 1 / 3
    assert ranking_metrics.limited_recall(RANKED, RELEVANT, 2) == 1 / 2
    assert ranking_metrics.limited_recall(RANKED, RELEVANT, 4) == 2 / 3
    assert ranking_metrics.average_precision(RANKED, RELEVANT, 5) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert ranking_metrics.average_precision(RANKED, RELEVANT, 2) == pytest.approx((1 / 2) / 2)
    best = 1.0 + 1 / math.log2(3) + 1 / 2
    assert ranking_metrics.ndcg(RANKED, RELEVANT, 5) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ranking_metrics.ndcg([2, 8, 7], RELEVANT, 3) == pytest.approx(1.0)
    assert ranking_metrics.average_precision([2, 8, 7], RELEVANT, 3) == 1.0
    assert ranking_metrics.ndcg(RANKED[:1], RELEVANT, 5) == 0.0


def test_users_without_held_out_items_do_not_count():
    found = ranking_metrics.of_users(np.array([[1, 2], [1, 2], [2, 1]]), [[1], [], [3]])
    assert found["recall@20"].tolist() == [1.0, 0.0]


def test_the_interval_of_a_difference_contains_its_mean():
    differences = np.random.default_rng(0).normal(0.3, 1.0, 400)
    low, high = ranking_metrics.bootstrap(differences)
    assert low < differences.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)
    assert ranking_metrics.bootstrap(np.zeros(10)) == (0.0, 0.0)


def test_the_linear_autoencoder_predicts_each_item_from_the_others():
    """Its columns are ridge regressions on the other items."""
    positive = np.random.default_rng(2).random([30, 5]) < 0.4
    x = positive.astype(float)
    for item in range(5):
        others = np.delete(x, item, axis=1)
        weights = np.linalg.solve(others.T @ others + 2.0 * np.eye(4), others.T @ x[:, item])
        np.testing.assert_allclose(implicit_lists.ease(positive, 2.0)[:, item], others @ weights)


def test_lists_leave_out_the_items_of_training():
    positive = np.array([[True, False, False], [False, False, True]])
    scores = np.array([[9.0, 1.0, 2.0], [1.0, 3.0, 9.0]])
    assert ranking.best(scores, positive)[:, :2].tolist() == [[2, 1], [1, 0]]


# Tables ------------------------------------------------------------------------------------------------------------------


def test_a_table_has_a_row_for_each_model_and_each_other_method():
    (case, *_) = cf_nade.CASES.likelihood
    assert "not run" in ratings_table.ratings_table([case], [None])
    assert "not run" in ratings_table.ranking_table(None)
