"""The estimators beside the models that they hold, and beside counting."""

import pickle

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.base import clone

import tfar.sklearn
from tests.sklearn.quick import QUICK
from tests.tables.frames import messy

ROWS = 150
# Keras runs the functions of its own data sets as graphs, and TensorFlow says so.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")


@pytest.fixture(scope="module", autouse=True)
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def frame():
    return messy(ROWS)[["city", "size", "age", "gain", "day", "same", "nothing"]]


@pytest.fixture(scope="module")
def detector(frame):
    return tfar.sklearn.OutlierDetector(**QUICK, contamination=0.2, calibration_fraction=0.2).fit(frame)


@pytest.fixture(scope="module")
def imputer(frame):
    return tfar.sklearn.Imputer(**QUICK).fit(frame)


def test_columns_of_an_array_are_real_though_their_numbers_are_whole():
    estimator = tfar.sklearn.DensityEstimator()
    df = estimator._table(np.arange(12).reshape(6, 2), reset=True)
    schema = estimator._schema_of(df, "marginalise")
    assert {column.name: column.kind for column in schema.columns} == {"x0": "real", "x1": "real"}
    wild = pd.DataFrame({"x0": range(6), "x1": range(6)})
    schema = estimator._schema_of(estimator._table(wild, reset=True), "marginalise")
    assert [column.kind for column in schema.columns] == ["count", "count"]


@pytest.mark.slow(ci=True)
def test_an_array_has_real_columns_in_its_own_units():
    """The same rows in other units have a density that differs by the product of the units."""
    rows = np.random.default_rng(0).normal(size=[60, 2])
    scales = np.array([10.0, 0.01])
    one, other = (tfar.sklearn.DensityEstimator(**QUICK).fit(x) for x in (rows, rows * scales))
    shift = np.log(scales).sum()
    np.testing.assert_allclose(one.score_samples(rows), other.score_samples(rows * scales) + shift, atol=1e-4)
    assert one.score(rows) == pytest.approx(one.score_samples(rows).mean())
    assert one.sample(3, random_state=1).shape == (3, 2)
    copy = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(copy.score_samples(rows), one.score_samples(rows))
    assert copy.model_.dist is copy.model_.model.dist
    assert clone(one).get_params() == one.get_params()


def test_the_rows_that_decide_when_to_stop_are_not_trained_on():
    rows = np.random.default_rng(0).normal(size=[40, 2])
    estimator = tfar.sklearn.DensityEstimator(**{**QUICK, "epochs": 30, "learning_rate": 0.0, "patience": 2}).fit(rows)
    assert estimator.n_iter_ == 3  # the first epoch, and two that are no better
    train, valid = estimator._split(pd.DataFrame(rows), 0.1, 0)
    assert (len(train), len(valid)) == (36, 4)
    assert not set(train.index) & set(valid.index)


@pytest.mark.slow(ci=True)
def test_outliers_are_the_rows_of_low_density(detector, frame):
    scores = detector.model_.log_prob(frame).to_numpy()
    np.testing.assert_allclose(detector.score_samples(frame), scores, rtol=1e-6)
    np.testing.assert_allclose(detector.decision_function(frame), scores - detector.offset_, rtol=1e-5)
    assert (detector.predict(frame) == -1).sum() == pytest.approx(0.2 * ROWS, abs=1)
    np.testing.assert_allclose(-detector.explain(frame).sum(axis=1), scores, rtol=1e-4)


@pytest.mark.slow(ci=True)
def test_p_values_count_rows_that_training_has_not_seen(detector, frame):
    held_out = detector._split(frame, 0.2, 1)[1]
    calibration, scores = detector.score_samples(held_out), detector.score_samples(frame)
    assert len(calibration) == 0.2 * ROWS
    expected = [(1 + sum(c <= s for c in calibration)) / (1 + len(calibration)) for s in scores]
    np.testing.assert_allclose(detector.p_values(frame), expected)
    assert not set(held_out.index) & set(detector._training_rows(frame).index)


@pytest.mark.slow(ci=True)
def test_imputed_cells_are_draws_and_the_others_stay(imputer, frame):
    filled = imputer.transform(frame)
    modelled = [name for name in frame if name != "nothing"]
    assert not filled[modelled].isna().any().any()
    assert filled["nothing"].isna().all()
    for name in modelled:
        there = frame[name].notna()
        pd.testing.assert_series_equal(filled[name][there], frame[name][there], check_dtype=False)
    pd.testing.assert_frame_equal(imputer.transform(frame), filled)
    first, second = imputer.draws(frame, 2, seed=5)
    assert not first["age"].equals(second["age"])
    assert list(filled.columns) == list(imputer.get_feature_names_out()) == list(frame.columns)


def test_set_output_names_the_columns_of_an_array():
    rows = np.random.default_rng(0).normal(size=[30, 2])
    rows[::5, 1] = np.nan
    filled = tfar.sklearn.Imputer(**QUICK).set_output(transform="pandas").fit_transform(rows)
    assert filled.columns.tolist() == ["x0", "x1"]
    assert not filled.isna().any().any()


@pytest.mark.slow(ci=True)
def test_the_median_of_draws_is_that_of_each_cell(imputer, frame):
    frames = imputer.draws(frame, 5, seed=3)
    found = tfar.sklearn.imputer.medians(frames, imputer.schema_)
    for name in ("age", "gain", "day"):
        expected = [sorted(f[name].iloc[i] for f in frames)[2] for i in range(ROWS)]
        assert found[name].tolist() == expected, name
    sizes = [sorted("SML".index(f["size"].iloc[i]) for f in frames)[2] for i in range(ROWS)]
    assert found["size"].tolist() == ["SML"[code] for code in sizes]
    for i in range(ROWS):
        cities = [f["city"].iloc[i] for f in frames]
        assert cities.count(found["city"].iloc[i]) == max(map(cities.count, cities))


@pytest.mark.parametrize("levels", [["low", "mid", "high"], [1.0, 2.0, 10.0]])
def test_the_median_of_ordered_classes_is_in_their_order(levels):
    schema = tfar.tables.Schema([tfar.tables.OrdinalColumn("o", "object", levels)])
    draws = [[0, 1], [1, 1], [2, 0], [1, 2], [0, 2]]  # places of the levels of two cells in five tables
    frames = [pd.DataFrame({"o": pd.Series([levels[i] for i in draw], dtype=object)}) for draw in draws]
    assert tfar.sklearn.imputer.medians(frames, schema)["o"].tolist() == [levels[1], levels[1]]
    assert tfar.sklearn.imputer.medians(frames[2:], schema)["o"].tolist() == [levels[1], levels[2]]


def test_a_part_with_fewer_categories_is_imputed():
    frame = pd.DataFrame({"a": np.arange(30.0) ** 0.5, "c": pd.Series(["x", "y", "z"] * 10, dtype="category")})
    imputer = tfar.sklearn.Imputer(**QUICK, strategy="median", num_samples=3).fit(frame)
    part = pd.DataFrame({"a": [1.0, 2.0, 3.0], "c": pd.Series(["y", None, "x"], dtype="category")})
    found = imputer.transform(part)["c"]
    assert found.dtype == frame["c"].dtype and found[[0, 2]].tolist() == ["y", "x"] and found[1] in "xyz"


def test_a_constant_column_is_filled_with_its_value():
    frame = pd.DataFrame({"a": np.arange(20.0) ** 0.5, "b": ["x", None] * 10})
    assert tfar.sklearn.Imputer(**QUICK).fit_transform(frame)["b"].tolist() == ["x"] * 20


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (tfar.sklearn.OutlierDetector(contamination=0.7), "`contamination` in .0, 0.5.; received 0.7"),
        (tfar.sklearn.OutlierDetector(calibration_fraction=1.0), "`calibration_fraction` in .0, 1.; received 1.0"),
        (tfar.sklearn.DensityEstimator(validation_fraction=-0.1), "`validation_fraction` in .0, 1.; received -0.1"),
        (tfar.sklearn.Imputer(strategy="mean"), "`strategy` to be one of .*; received 'mean'"),
    ],
    ids=["contamination", "calibration", "validation", "strategy"],
)
def test_bad_parameters_are_refused(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(np.eye(4))


@pytest.mark.slow(ci=True)
def test_p_values_need_rows_that_are_held_out(frame):
    detector = tfar.sklearn.OutlierDetector(**QUICK, calibration_fraction=0.0).fit(
        np.random.default_rng(0).normal(size=[20, 2])
    )
    with pytest.raises(ValueError, match=r"calibration_fraction=0\.0\. Raise it"):
        detector.p_values([[0.0, 0.0]])


def test_every_network_of_tables_serves():
    """A transformer too, which has `units` in place of `hidden_units`."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    how = {"units": 8, "num_layers": 1, "num_heads": 2, "jit_compile": False}
    estimator = tfar.sklearn.DensityEstimator(network="transformer", network_arguments=how, epochs=1, random_state=0)
    assert isinstance(estimator.fit(x).model_.dist, tfar.AnyOrderTransformer)
    x[0, 1] = np.nan
    assert np.isfinite(estimator.score_samples(x)).all()
