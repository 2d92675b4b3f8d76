"""The baselines agree with their formulas."""

import itertools

import numpy as np
import pytest

from tfar.cli import baselines


def bits(rows: int = 60, dims: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((rows, dims)) < rng.random(dims)).astype(np.float64)


def test_independent_bernoullis_are_the_closed_form() -> None:
    train, test = bits(), bits(seed=1)
    p = (train.sum(axis=0) + 1.0) / (len(train) + 2.0)
    expected = (test * np.log(p) + (1.0 - test) * np.log(1.0 - p)).sum(axis=1)
    np.testing.assert_allclose(baselines.fit_independent(train).log_prob(test), expected, rtol=1e-12)


@pytest.mark.parametrize("num_components", [2, 5, 20])
def test_no_step_of_em_lowers_the_objective(num_components: int) -> None:
    _, objectives = baselines.fit_mixture(bits(), num_components, num_steps=40)
    assert np.diff(objectives).min() >= -1e-9
    assert objectives[-1] > objectives[0]


def test_the_probabilities_of_a_mixture_sum_to_one() -> None:
    mixture, _ = baselines.fit_mixture(bits(), 3)
    support = np.array(list(itertools.product([0.0, 1.0], repeat=5)))
    assert np.exp(mixture.log_prob(support)).sum() == pytest.approx(1.0, abs=1e-12)


def test_em_finds_two_clear_clusters() -> None:
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 2, 400)
    x = (rng.random((400, 8)) < np.where(cluster[:, None] == 1, 0.9, 0.1)).astype(np.float64)
    mixture, _ = baselines.fit_mixture(x, 2)
    np.testing.assert_allclose(np.sort(mixture.means.mean(axis=1)), [0.1, 0.9], atol=0.03)
    assert mixture.log_prob(x).mean() > baselines.fit_independent(x).log_prob(x).mean() + 1.0


def test_components_are_chosen_on_the_validation_rows() -> None:
    train, valid = bits(), bits(seed=1)
    seen: list[int] = []
    mixture, count = baselines.choose_mixture(train, valid, [1, 2, 8], on_fit=seen.append)
    scores = {k: baselines.fit_mixture(train, k)[0].log_prob(valid).mean() for k in (1, 2, 8)}
    assert seen == [1, 2, 8]
    assert count == max(scores, key=scores.__getitem__) == len(mixture.weights)


def test_no_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one number of components"):
        baselines.choose_mixture(bits(), bits(), [])
