"""A case over folds: what it averages, in which units, and that the Gaussian beside it is one."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from benchmarks import data, folds, likelihood, render, results, tables, training
from benchmarks.cases import LikelihoodCase, Settings, load_cases

RNG = np.random.default_rng(0)
MIXING = np.array([[2.0, 0.0, 0.0], [10.0, 30.0, 0.0], [0.0, 0.1, 0.2]])


def make_fold():
    parts = [(RNG.normal(size=(rows, 3)) @ MIXING.T + [5.0, -1e3, 0.0]).astype(np.float32) for rows in (150, 50, 80)]
    return data.Splits("table", *parts, "drawn here")


class Known:
    """The true density, which nothing trains, and whether it was told the training rows."""

    trainable_variables = ()

    def __init__(self):
        self.normal = stats.multivariate_normal([5.0, -1e3, 0.0], MIXING @ MIXING.T)

    def log_prob(self, x):
        return self.normal.logpdf(np.asarray(x, np.float64))


CASE = LikelihoodCase(
    "table", "the truth", "red_wine", Settings(), lambda *_: (Known(), None), -3.0, "me", -5.0, False, ">="
)


@pytest.fixture
def result(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "train", lambda case, splits, place: (Known(), [{"seconds": 1.0}] * 4))
    return folds.run_case(CASE, [make_fold() for _ in range(3)], tmp_path, "command")


def test_figures_are_means_over_the_folds_in_both_units(result):
    figures = result.figures
    assert figures["epochs"] == [4, 4, 4] and figures["train_seconds"] == 12.0
    units = np.log(np.sqrt(np.diag(MIXING @ MIXING.T))).sum()
    assert figures["test_log_likelihood"] == pytest.approx(figures["test_log_likelihood_in_units"] + units, abs=0.3)
    entropy = 1.5 * np.log(2 * np.pi * np.e) + np.linalg.slogdet(MIXING)[1]
    assert figures["test_log_likelihood_in_units"] == pytest.approx(-entropy, abs=0.3)
    assert figures["test_log_likelihood"] == pytest.approx(np.mean(figures["folds"]), abs=1e-4)
    assert figures["standard_error"] == pytest.approx(np.std(figures["folds"], ddof=1) / np.sqrt(3), abs=1e-4)
    assert figures["gaussian"]["test_log_likelihood"] == pytest.approx(figures["test_log_likelihood"], abs=0.2)
    assert result.targets[0]["met"] is (figures["test_log_likelihood"] >= -5.0)


def test_a_model_of_standardised_rows_is_reported_in_the_same_units(monkeypatch, tmp_path):
    class Fitted:
        trainable_variables = ()

        def __init__(self, rows):
            self.log_prob = folds.gaussian(rows)

    def train(case, splits, place):
        rows = folds._training_rows(splits)
        np.testing.assert_allclose([rows.mean(axis=0), rows.std(axis=0)], [[0] * 3, [1] * 3], atol=1e-4)
        return Fitted(rows), [{"seconds": 1.0}]

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "evaluate", lambda log_prob, x: (-log_prob(x).mean(), 0.0))
    case = dataclasses.replace(CASE, standardize=True)
    figures = folds.run_case(case, [make_fold() for _ in range(3)], tmp_path, "command").figures
    for name in ("test_log_likelihood", "test_log_likelihood_in_units"):
        assert figures[name] == pytest.approx(figures["gaussian"][name], abs=1e-3)


def test_a_refitted_case_tests_the_second_model_and_validates_the_first(monkeypatch, tmp_path):
    class Shifted(Known):
        def log_prob(self, x):
            return super().log_prob(x) - 1.0

    monkeypatch.setattr(training, "train", lambda case, splits, place: (Shifted(), [{"seconds": 1.0}] * 4))
    monkeypatch.setattr(training, "refit", lambda case, splits, place, epochs: (Known(), [{"seconds": 2.0}] * 3))
    all_folds = [make_fold() for _ in range(3)]
    plain = folds.run_case(CASE, all_folds, tmp_path, "command").figures
    figures = folds.run_case(dataclasses.replace(CASE, refit=True), all_folds, tmp_path, "command").figures
    assert figures["test_log_likelihood"] == pytest.approx(plain["test_log_likelihood"] + 1.0, abs=1e-4)
    assert figures["valid_log_likelihood"] == plain["valid_log_likelihood"]
    assert figures["refitted_epochs"] == [3] * 3 and "refitted_epochs" not in plain
    assert figures["train_seconds"] == 3 * (4.0 + 6.0)


def test_results_do_not_depend_on_the_units_of_the_file(monkeypatch, tmp_path, result):
    fold = make_fold()
    scaled = dataclasses.replace(fold, **{p: getattr(fold, p) * np.float32(1000) for p in ("train", "valid", "test")})
    gaussians = [folds.gaussian(folds._training_rows(f))(f.test).mean() + folds.log_units(f) for f in (fold, scaled)]
    assert gaussians[0] == pytest.approx(gaussians[1], abs=1e-3)


def test_the_gaussian_is_scipys():
    fold = make_fold()
    rows = folds._training_rows(fold)
    oracle = stats.multivariate_normal(rows.mean(0), np.cov(rows, rowvar=False, bias=True))
    np.testing.assert_allclose(folds.gaussian(rows)(fold.test), oracle.logpdf(fold.test), rtol=1e-6)


def test_the_table_says_larger_is_better_and_shows_the_gaussian(result, tmp_path):
    results.write(result, tmp_path)
    table = render.likelihood_table([CASE], [results.find("likelihood", "table", tmp_path)])
    assert f"| {result.figures['test_log_likelihood']:.2f} ± " in table and "| >= -5.00 | met |" in table
    assert f"scores {result.figures['gaussian']['test_log_likelihood']:.2f}" in table
    assert "| >= -5.00 |  |" in render.likelihood_table([CASE], [None])
    assert str(tmp_path) not in str(result)


def test_red_wine_has_its_row_in_the_tables(tmp_path):
    assert "| red_wine | RNADE" in tables.tables(tmp_path)["likelihood"]


def test_models_that_can_adapt_do(monkeypatch, tmp_path):
    seen = []

    class Adapts(Known):
        def adapt(self, x):
            seen.append(x)

    class Model:
        optimizer = None

        def __getattr__(self, name):
            return lambda *args, **kwargs: (tmp_path / args[0].name).touch() if name == "save_weights" else None

    fold = make_fold()
    case = dataclasses.replace(CASE, build=lambda *_: (Adapts(), Model()))
    monkeypatch.setattr(training, "_fit", lambda *args: None)
    training.train(case, fold, tmp_path)
    np.testing.assert_array_equal(seen[0], fold.train)


def test_hashes_of_bits_stay_and_reals_are_told_apart():
    bits = RNG.integers(0, 2, (4, 5)).astype(np.float32)
    assert data.digest(bits) == data.digest(bits.astype(np.uint8)) == data.digest(bits.astype(bool))
    reals = RNG.uniform(size=(4, 5)).astype(np.float32)
    assert data.digest(reals) != data.digest(reals + np.float32(0.01))


@pytest.mark.data
def test_red_wine_folds_are_the_papers():
    try:
        found = data.load_folds("red_wine")
    except ValueError as reason:
        pytest.skip(str(reason))
    assert len(found) == 10 and sum(len(fold.test) for fold in found) == 1599
    rows = {tuple(map(tuple, np.sort(np.concatenate([f.train, f.valid, f.test]), 0))) for f in found}
    assert len(rows) == 1 and all(len(f.valid) == (1599 - len(f.test)) // 9 for f in found)
    everything = np.concatenate([found[0].train, found[0].valid, found[0].test])
    assert min(len(np.unique(column)) for column in everything.T) >= 60
    assert (np.abs(np.corrcoef(everything.T)) - np.eye(11)).max() < 0.69
    gaussians = [folds.gaussian(folds._training_rows(f))(f.test).mean() + folds.log_units(f) for f in found]
    assert np.mean(gaussians) == pytest.approx(-13.2, abs=0.05)


def test_unknown_folds_are_an_error():
    with pytest.raises(ValueError, match="Expected a data set out of"):
        data.load_folds("dna")


def test_quick_cases_keep_their_mixture():
    (case,) = load_cases("rnade").likelihood
    quick = likelihood.quick_case(case)
    assert quick.settings.mixture == "NormalMixture" and quick.settings.max_epochs == 2
