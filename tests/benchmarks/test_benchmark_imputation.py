"""Benchmark of imputation: removed bits, scores, and probabilities of the missing bits."""

import numpy as np

import tfar
from benchmarks import data, imputation
from benchmarks.imputation import Rows
from tests.distributions.enumeration import all_events, matching
from tests.registry import randomize


def splits(rows=300, columns=20):
    generator = np.random.default_rng(0)
    arrays = [generator.integers(2, size=[rows, columns]).astype(np.float32) for _ in range(3)]
    return data.Splits("adult", *arrays, note="drawn for this test")


def test_the_same_bits_are_knocked_out_each_time():
    first, second = imputation.knock_out(splits()), imputation.knock_out(splits())
    for name, rows in first.items():
        np.testing.assert_array_equal(rows.observed, second[name].observed)
        assert abs(rows.observed.mean() - 0.7) < 0.03
        np.testing.assert_array_equal(np.isnan(rows.masked), ~rows.observed)


def test_only_missing_bits_are_scored():
    rows = Rows(np.array([[1.0, 0.0, 1.0]]), np.array([[False, False, True]]))
    found = imputation.score(np.array([[0.8, 0.6, 0.0]]), rows)
    assert found == {"log_loss": round(-(np.log(0.8) + np.log(0.4)) / 2, 4), "accuracy": 0.5}


def test_completions_become_the_probabilities_of_the_law():
    dist = randomize(tfar.MADE([4], [8], order="random", num_masks=None, num_eval_masks=1), scale=1.5)
    events, observed = all_events(4), np.array([[True, False, True, False]])
    bits = np.array([[1.0, 0.0, 0.0, 1.0]], np.float32)
    rows = Rows(np.repeat(bits, 300, 0), np.repeat(observed, 300, 0))
    order = dist.network.orders[0]
    ordered = dist.with_order([*[s for s in order if observed[0, s]], *[s for s in order if not observed[0, s]]])
    weights = np.exp(ordered.log_prob(events).numpy()) * matching(events, bits[0], observed[0])
    expected = (weights[:, None] * events).sum(0) / weights.sum()
    found = imputation.completed(dist, rows)
    assert found.shape == (300, 4) and found.min() > 0.0 and found.max() < 1.0
    np.testing.assert_allclose(found.mean(0)[~observed[0]], expected[~observed[0]], atol=0.02)


def test_models_of_any_order_predict_each_bit_given_the_observed_ones():
    dist = randomize(tfar.OrderlessNADE([4], [8]), scale=1.5)
    observed = np.array([[True, False, True, False], [False, True, True, False]])
    bits = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]], np.float32)
    found = imputation.predicted(dist, Rows(bits, observed))
    for row, site in ((0, 1), (0, 3), (1, 0), (1, 3)):
        known = np.flatnonzero(observed[row])
        rest = [s for s in range(4) if s not in (*known, site)]
        # The model whose order puts the site directly after the observed ones, summed over all events.
        events, one_order = all_events(4), dist.with_order([*known, site, *rest])
        weights = np.exp(one_order.log_prob(events).numpy()) * matching(events, bits[row], observed[row])
        np.testing.assert_allclose(found[row, site], weights @ events[:, site] / weights.sum(), atol=1e-5)


def test_scikit_learn_gets_its_best_clipping():
    class Sure:
        def fit(self, x):
            return self

        def transform(self, x):
            return np.nan_to_num(x, nan=1.0)

    rows = imputation.knock_out(splits())
    probs, chosen = imputation.theirs({"sure": Sure()}, rows)
    assert chosen == {"parameter": "sure", "clip": max(imputation.CLIPS)} and probs.max() == 1.0 - max(imputation.CLIPS)
