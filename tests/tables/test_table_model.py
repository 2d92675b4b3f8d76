"""Models of small tables against enumeration: scores, conditionals, completions, surprises and probabilities of conditions."""

import itertools
import os

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import tfar
from tests.registry import randomize
from tests.tables.frames import messy, small
from tfar import tables

FRAME = small()
TOP = 120  # beyond it there is almost nothing
# All rows: "?" is a category that the schema has not seen.
ROWS = pd.DataFrame(list(itertools.product("?xyz", ["?", "no", "yes"], range(TOP))), columns=["a", "b", "n"])
ANY_ORDER = ["orderless", "transformer"]
NETWORKS = ["made", *ANY_ORDER]
SIZES = {network: {"hidden_units": [8]} for network in NETWORKS}
SIZES["transformer"] = {"units": 8, "num_layers": 1, "num_heads": 2}
EACH = pytest.mark.parametrize("network", NETWORKS)
EACH_ANY_ORDER = pytest.mark.parametrize("network", ANY_ORDER)


def randomized(schema, network, **kwargs):
    model = tfar.TableModel(schema, network, num_components=2, jit_compile=False, **SIZES[network], **kwargs)
    randomize(model.dist)
    return model


@pytest.fixture(scope="module")
def models():
    schema = tables.Schema.infer(FRAME)
    return {network: randomized(schema, network) for network in NETWORKS}


@pytest.fixture(scope="module")
def probs(models):
    """The probability of each of `ROWS`, by `log_prob`, float64 `[4, 3, TOP]`."""
    return {name: np.exp(model.log_prob(ROWS)).to_numpy().reshape(4, 3, TOP) for name, model in models.items()}


@EACH
def test_probabilities_of_all_rows_sum_to_one(probs, network):
    assert probs[network].sum() == pytest.approx(1.0, abs=1e-4)
    assert probs[network].std() > 1e-4


@EACH
def test_surprises_before_sum_to_log_prob_and_are_conditionals(models, probs, network):
    model, p = models[network], probs[network]
    found = model.explain(ROWS)
    np.testing.assert_allclose(-found.sum(axis=1), model.log_prob(ROWS), rtol=1e-4, atol=1e-4)
    first, pair = p.sum((1, 2)), p.sum(2)
    i, j, k = np.array(list(np.ndindex(p.shape))).T
    np.testing.assert_allclose(found["a"], -np.log(first[i]), atol=2e-3)
    np.testing.assert_allclose(found["b"], -np.log(pair[i, j] / first[i]), atol=2e-3)
    rows = p[i, j, k] > 1e-7
    np.testing.assert_allclose(found["n"][rows], -np.log(p / pair[..., None])[i, j, k][rows], atol=2e-3)


@EACH_ANY_ORDER
def test_surprises_given_others_are_those_of_an_order_that_ends_with_the_column(models, network):
    """Beside enumeration of the joint distribution in that order, of which the last conditional is the same."""
    model = models[network]
    found = model.explain(ROWS, given="others")
    for name, order in (("a", [1, 2, 0]), ("b", [0, 2, 1]), ("n", [0, 1, 2])):
        dist = model.dist.with_order(order)
        p = np.exp(np.float64(dist.log_prob(model.schema.encode(ROWS).values))).reshape(4, 3, TOP)
        axis = "abn".index(name)
        rows = p.ravel() > 1e-7
        expected = -np.log(p / p.sum(axis, keepdims=True)).ravel()
        np.testing.assert_allclose(found[name][rows], expected[rows], atol=2e-3)
    with pytest.raises(ValueError, match="Use network='orderless' or network='transformer'"):
        models["made"].explain(ROWS[:3], given="others")


@EACH
@pytest.mark.parametrize(
    ("where", "select"),
    [
        ({"a": ["x", "z"]}, (np.s_[[1, 3]], np.s_[:], np.s_[:])),
        ({"a": "y", "b": ["yes"]}, (np.s_[[2]], np.s_[[2]], np.s_[:])),
        ({"a": ["x", "y"], "n": (1, 3)}, (np.s_[1:3], np.s_[:], np.s_[1:4])),
        ({"n": (None, 2)}, (np.s_[:], np.s_[:], np.s_[:3])),
        ({"n": 4}, (np.s_[:], np.s_[:], np.s_[4:5])),
    ],
)
def test_probabilities_of_conditions_are_those_of_enumeration(models, probs, network, where, select):
    """All are exact, as the columns before the last one have few values."""
    if network in ANY_ORDER:  # the columns with conditions come first
        order = [i for i, name in enumerate("abn") if name in where]
        order += [i for i in range(3) if i not in order]
        dist = models[network].dist.with_order(order)
        p = np.exp(np.float64(dist.log_prob(models[network].schema.encode(ROWS).values))).reshape(4, 3, TOP)
    else:
        p = probs[network]
    expected = p[select[0]][:, select[1]][:, :, select[2]].sum()
    found = models[network].prob(where)
    assert found.standard_error == 0.0 and found.value == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow(ci=True)
def test_drawn_probabilities_are_unbiased_with_the_stated_error():
    """Columns in an order in which a count comes before others, so that nothing is enumerated."""
    schema = tables.Schema.infer(FRAME[["n", "a", "b"]])
    model = randomized(schema, "made")
    p = np.exp(model.log_prob(ROWS)).to_numpy().reshape(4, 3, TOP)
    for where, expected in (
        ({"n": (1, 3), "b": "yes"}, p[:, 2, 1:4].sum()),
        ({"a": ["x", "y"]}, p[1:3].sum()),
        ({"n": (2, None), "a": "z", "b": "no"}, p[3, 1, 2:].sum()),
    ):
        found = [model.prob(where, num_samples=1000, seed=seed) for seed in range(3)]
        assert found[0] == model.prob(where, num_samples=1000, seed=0)
        for value, error in found:
            assert 0.0 < error < 0.05 and abs(value - expected) < 5.0 * error
        # A wrong weight would show in the mean of many estimates.
        many = model.prob(where, num_samples=40_000, seed=9)
        assert abs(many.value - expected) < 4.5 * many.standard_error < 0.02


@pytest.mark.slow(ci=True)
@EACH_ANY_ORDER
def test_completions_follow_the_exact_conditional(models, network):
    model = models[network]
    given = pd.DataFrame({"a": [None], "b": ["yes"], "n": [2]})
    p = np.exp(np.float64(model.dist.with_order([1, 2, 0]).log_prob(model.schema.encode(ROWS).values)))
    p = p.reshape(4, 3, TOP)[:, 2, 2]
    drawn = model.complete(given, num_samples=4000, seed=1)
    assert drawn.index.names == ["draw", None] and (drawn["b"] == "yes").all() and (drawn["n"] == 2).all()
    counts = [(drawn["a"] == value).sum() for value in "xyz"]  # the class of unseen categories is not drawn
    assert sum(counts) == 4000 and p[0] > 0.01 * p.sum()
    assert stats.chisquare(counts, 4000 * p[1:] / p[1:].sum()).pvalue > 1e-4
    pd.testing.assert_frame_equal(model.complete(given, seed=1).loc[[0]], drawn.loc[0])
    table = model.conditionals(given, ["a"])["a"]
    np.testing.assert_allclose(table.to_numpy()[0], (p / p.sum())[[1, 2, 3, 0]], atol=1e-4)
    n = model.conditionals(given.assign(a="x"), ["n"])["n"]
    q = np.exp(np.float64(model.dist.log_prob(model.schema.encode(ROWS).values))).reshape(4, 3, TOP)[1, 2]
    np.testing.assert_allclose(n["mean"], (q * np.arange(TOP)).sum() / q.sum(), rtol=1e-2)
    np.testing.assert_allclose(n["quantile_0.5"], np.searchsorted(np.cumsum(q / q.sum()), 0.5))


@pytest.mark.slow(ci=True)
@EACH
def test_draws_follow_the_distribution_given_that_no_category_is_unseen(models, probs, network):
    drawn = models[network].sample(5000, seed=2)
    assert drawn.notna().all(axis=None) and drawn["n"].dtype == FRAME["n"].dtype
    p = probs[network][1:, 1:]
    counts = [((drawn["a"] == a) & (drawn["b"] == b)).sum() for a in "xyz" for b in ("no", "yes")]
    assert stats.chisquare(counts, 5000 * p.sum(2).ravel() / p.sum()).pvalue > 1e-4
    at_most = p.sum((0, 1)).cumsum() / p.sum()
    assert abs((drawn["n"] <= 2).mean() - at_most[2]) < 0.03


@EACH_ANY_ORDER
def test_log_prob_of_a_partly_missing_row_is_that_of_its_other_cells(models, network):
    model = models[network]
    p = np.exp(np.float64(model.dist.with_order([2, 0, 1]).log_prob(model.schema.encode(ROWS).values)))
    p = p.reshape(4, 3, TOP).sum((0, 1))
    rows = pd.DataFrame({"a": [None] * 4, "b": [None] * 4, "n": range(4)})
    np.testing.assert_allclose(np.exp(model.log_prob(rows)), p[:4], atol=1e-4)
    with pytest.raises(ValueError, match=r"missing in a, b\. Use network='orderless' or 'transformer', or missing"):
        models["made"].log_prob(rows)
    last = models["made"].log_prob(pd.DataFrame({"a": ["x"], "b": ["no"], "n": [None]}))
    full = models["made"].log_prob(ROWS)[(ROWS["a"] == "x") & (ROWS["b"] == "no")]
    np.testing.assert_allclose(last, np.log(np.exp(full).sum()), atol=1e-4)


def test_an_unseen_category_has_a_probability(models):
    found = models["made"].log_prob(pd.DataFrame({"a": ["new"], "b": ["no"], "n": [1]}))
    expected = models["made"].log_prob(ROWS)[(ROWS["a"] == "?") & (ROWS["b"] == "no") & (ROWS["n"] == 1)]
    assert np.isfinite(found).all() and found.to_numpy() == expected.to_numpy()


@pytest.mark.slow(ci=True)
@EACH
def test_a_missing_cell_as_a_value_is_part_of_the_distribution(network):
    frame = FRAME.assign(n=FRAME["n"].mask(FRAME["a"] == "x"), b=FRAME["b"].mask(FRAME["a"] == "y"))
    model = randomized(tables.Schema.infer(frame, missing="value"), network)
    rows = pd.DataFrame(
        list(itertools.product("?xyz", ["?", "no", "yes", None], [None, *range(TOP)])), columns=["a", "b", "n"]
    )
    p = np.exp(model.log_prob(rows)).to_numpy().reshape(4, 4, TOP + 1)
    assert p.sum() == pytest.approx(1.0, abs=1e-4) and p[:, 3].sum() > 1e-3 and p[:, :, 0].sum() > 1e-3
    if network == "made":
        assert model.prob({"b": None}).value == pytest.approx(p[:, 3].sum(), abs=1e-4)
        assert model.prob({"n": None}).value == pytest.approx(p[..., 0].sum(), abs=1e-4)
        assert model.prob({"n": (None, 2)}).value == pytest.approx(p[..., 1:4].sum(), abs=1e-4)
        of_n = model.conditionals(pd.DataFrame({"a": ["x"], "b": ["no"], "n": [7]}), ["n"])["n"]
        q = p[1, 1, 1:]
        np.testing.assert_allclose(of_n["missing"], p[1, 1, 0] / p[1, 1].sum(), atol=1e-4)
        np.testing.assert_allclose(of_n["mean"], (q * np.arange(TOP)).sum() / q.sum(), rtol=1e-2)
    draws = model.sample(500, seed=1)
    assert draws["n"].isna().any() and draws["b"].isna().any()
    assert model.complete(frame[:50], seed=1).isna().equals(frame[:50].isna())


@pytest.mark.slow(ci=True)
@EACH_ANY_ORDER
def test_digits_are_one_column(network):
    frame = pd.DataFrame({"k": [f"v{i}" for i in range(11)] * 3, "n": [0, 1, 2] * 11})
    model = randomized(tables.Schema.infer(frame, max_classes=6), network)
    assert model.schema["k"].digits == (4, 3)
    rows = pd.DataFrame({"k": ["?", *model.schema["k"].categories], "n": [1] * 12})
    first = np.exp(
        model.dist.with_order([0, 1, 2]).site_log_probs(model.schema.encode(rows).values).numpy()[:, :2].sum(1)
    )
    assert first.sum() == pytest.approx(1.0, abs=1e-5)
    found = model.prob({"k": ["v3", "v7", "v10"]})
    places = [1 + model.schema["k"].categories.index(value) for value in ("v3", "v7", "v10")]
    assert found.standard_error == 0.0 and found.value == pytest.approx(first[places].sum(), abs=1e-6)
    of_k = model.conditionals(rows[:1], ["k"])["k"]
    # Each digit given what is known before it, in the order of the columns: n, then the first digit and n.
    orders = ([2, 0, 1], [0, 2, 1])
    digits = [model.dist.with_order(order).site_log_probs(model.schema.encode(rows).values) for order in orders]
    shares = np.exp(np.float64(digits[0][:, 0] + digits[1][:, 1]))
    np.testing.assert_allclose(of_k.to_numpy()[0], [*shares[1:], shares[0]], atol=1e-5)
    surprise = model.explain(rows, given="others")["k"]
    np.testing.assert_allclose(surprise, -np.log(shares), atol=1e-4)


# Units, files and errors ------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_densities_are_in_the_units_of_the_data():
    """The density of a real column integrates to 1 over the data, beside the mass of its atom."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.where(rng.uniform(size=500) < 0.5, 1000.0, rng.normal(5000.0, 300.0, 500))})
    model = randomized(tables.Schema.infer(frame), "made")
    grid = np.linspace(-20_000.0, 30_000.0, 40_001) + 0.01
    density = np.exp(model.log_prob(pd.DataFrame({"x": grid}))).to_numpy()
    mass = np.exp(model.log_prob(pd.DataFrame({"x": [1000.0]}))).to_numpy()[0]
    assert np.trapezoid(density, grid) + mass == pytest.approx(1.0, abs=1e-3) and 0.01 < mass < 0.99
    assert model.base_measure == {"x": "counting at the atoms and Lebesgue elsewhere"}
    within = np.trapezoid(density[(grid >= 4000) & (grid <= 5500)], grid[(grid >= 4000) & (grid <= 5500)])
    found = model.prob({"x": (4000, 5500)})
    assert found.value == pytest.approx(within, abs=1e-3) and found.standard_error == 0.0
    assert model.prob({"x": 1000.0}).value == pytest.approx(mass, rel=1e-4)
    table = model.conditionals(frame[:1])["x"]
    mean = mass * 1000.0 + np.trapezoid(density * grid, grid)
    np.testing.assert_allclose(table["mean"], mean, rtol=1e-3)
    spread = np.sqrt(mass * (1000.0 - mean) ** 2 + np.trapezoid(density * (grid - mean) ** 2, grid))
    np.testing.assert_allclose(table["stddev"], spread, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "missing", "names"),
    [
        ("made", "value", list(messy(5))),
        ("orderless", "marginalise", ["code", "size", "age", "income", "second", "same"]),
    ],
)
def test_a_model_of_a_messy_table_trains_draws_and_completes(network, missing, names):
    frame = messy(200)[names]
    schema = tables.Schema.infer(frame, missing=missing, max_classes=30)
    model = tfar.TableModel(schema, network, hidden_units=[16], num_components=2, jit_compile=False)
    before = model.score(frame)
    model.fit(frame, epochs=2, learning_rate=0.01, verbose=0, validation_data=frame[:50])
    assert model.score(frame) > before
    draws = model.sample(20, seed=1)
    assert draws.dtypes.equals(frame.dtypes) or draws["age"].dtype == frame["age"].dtype
    assert np.isfinite(model.log_prob(draws)).all()
    assert list(model.conditionals(frame[:3], ["code", "second"])) == ["code", "second"]
    completed = model.complete(frame, seed=2)
    seen = frame["income"].notna()
    pd.testing.assert_series_equal(completed["income"][seen], frame["income"][seen])
    if missing == "marginalise":
        assert completed.notna().all(axis=None)


@pytest.mark.slow
def test_the_census_table():
    folder = os.environ.get("TFAR_DATA_DIR")
    if folder is None:
        pytest.skip("TFAR_DATA_DIR is not set")
    frame = pd.read_csv(os.path.join(folder, "adult_raw.csv.gz"), na_values="?")
    model = tfar.TableModel(
        tables.Schema.infer(frame, missing="value"), hidden_units=[32], num_components=3, jit_compile=False
    )
    kinds = {column.name: column.kind for column in model.schema.columns}
    assert kinds["age"] == kinds["capital-gain"] == "count" and kinds["native-country"] == "categorical"
    assert model.schema["capital-gain"].atoms == (0.0,) and model.schema["occupation"].missing
    before = model.score(frame[:1000])
    history = model.fit(frame[:10_000], epochs=1, learning_rate=0.005, verbose=0)
    assert np.isfinite(history.history["loss"]).all() and model.score(frame[:1000]) > before + 5.0
    assert (model.sample(100, seed=1)["capital-gain"] == 0).mean() > 0.7


def test_a_file_holds_the_schema(models, tmp_path):
    model = models["made"]
    model.save(tmp_path / "table.keras")
    again = tfar.TableModel.load(tmp_path / "table.keras")
    assert again.schema == model.schema
    np.testing.assert_allclose(again.log_prob(ROWS[:50]), model.log_prob(ROWS[:50]), rtol=1e-6)
    other = tfar.training.DensityModel(model.dist)
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="to hold a TableModel"):
        tfar.TableModel.load(tmp_path / "other.keras")


def test_rows_keep_their_index_and_columns_any_order(models):
    model, rows = models["made"], ROWS[5:9].set_axis(list("pqrs"), axis=0)
    assert model.log_prob(rows).index.tolist() == list("pqrs") == model.explain(rows).index.tolist()
    np.testing.assert_array_equal(model.log_prob(rows[["n", "b", "a"]]), model.log_prob(rows))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: tfar.TableModel(FRAME), "Expected `schema` to be a Schema"),
        (lambda s: tfar.TableModel(s, "nade"), r"Expected `network` to be one of \['made', 'orderless'"),
        (lambda s: tfar.TableModel(s, tfar.MADE([2], [4])), r"Expected a distribution over \[3\]"),
        (lambda s: tfar.TableModel(s, tfar.MADE([3], [4], head=s.head(2)), dropout_rate=0.1), "no further arguments"),
        (lambda s: tfar.TableModel(s, tfar.MADE([3], [4], head=s.head(2)), hidden_units=[4]), "no further arguments"),
        (
            lambda s: tfar.TableModel(s, "transformer", hidden_units=[4]),
            "which has `units`, `num_layers` and `mlp_units`",
        ),
        (lambda s: tfar.TableModel(s, missing="drop"), "Expected `missing`"),
        (lambda s: tfar.TableModel(s, hidden_units=[4]).prob({}), "Expected `where`"),
        (lambda s: tfar.TableModel(s, hidden_units=[4]).prob({"c": 1}), "Expected a column among"),
        (lambda s: tfar.TableModel(s, hidden_units=[4]).prob({"n": 1}, num_samples=1), "`num_samples`"),
        (lambda s: tfar.TableModel(s, hidden_units=[4]).explain(FRAME, given="after"), "Expected `given`"),
    ],
)
def test_bad_arguments_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make(tables.Schema.infer(FRAME))


def test_drawn_times_are_whole_or_missing():
    """The share of missing ones is that of the rows whose two sites are both missing, among those that agree."""
    times = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(200) * 4321, unit="s"))
    frame = pd.DataFrame({"t": times.mask(np.arange(200) % 3 == 0)})
    model = randomized(tables.Schema.infer(frame, missing="value"), "made")
    values = np.asarray(model.dist.sample(4000, seed=3)) < tables.column.MISSING / 2
    both, either = values.all(axis=1).mean(), values.any(axis=1).mean()
    assert either - both > 0.1  # the model draws times without a day or without a second
    drawn = model.sample(4000, seed=1)["t"]
    assert drawn.min() > pd.Timestamp("2000-01-01")
    assert abs(drawn.isna().mean() - both / (1.0 - either + both)) < 0.04


def test_a_completion_beyond_the_range_of_the_dtype_is_not_wrapped():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.choice(["x", "y"], 300), "n": pd.Series(rng.integers(150, 256, 300), dtype="UInt8")})
    model = tfar.TableModel(tables.Schema.infer(frame), "orderless", hidden_units=[8], jit_compile=False)
    given = frame.assign(n=frame["n"].mask(np.arange(300) % 2 == 0))
    found = model.complete(given, num_samples=20, seed=1)["n"]
    assert found.max() > 255 and (found.loc[0][1::2] == frame["n"][1::2]).all()


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "uint8[pyarrow]", "double[pyarrow]"])
@pytest.mark.parametrize("missing", ["marginalise", "value"])
def test_columns_of_arrow_are_drawn_and_completed(dtype, missing):
    pytest.importorskip("pyarrow")
    numbers = np.arange(200) if "int" in dtype else np.arange(200) / 7
    given = pd.DataFrame({"n": pd.Series(numbers, dtype=dtype), "c": pd.Series(np.arange(200) % 3, dtype=dtype)})
    given = given.mask(np.arange(200)[:, None] % 5 == np.arange(2))
    model = randomized(tables.Schema.infer(given, kinds={"c": "categorical"}, missing=missing), "orderless")
    drawn, completed = model.sample(100, seed=1), model.complete(given, seed=1)
    for name in given:
        assert str(drawn[name].dtype) in (dtype, "int64[pyarrow]"), "whole numbers may need more bits"
        assert drawn[name].isna().any() == (missing == "value")
        is_given = given[name].notna()
        assert completed[name][is_given].equals(given[name][is_given].astype(completed[name].dtype))
        assert completed[name].isna().any() == (missing == "value")


@pytest.mark.parametrize("trained", ["category", "str"])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_column_of_other_categories_is_completed(trained, ordered):
    """`astype("category")` of a part of a table has the categories of the part alone."""
    categories = pd.CategoricalDtype(["low", "mid", "high"], ordered)
    column = pd.Series(["low", "mid", "high"] * 20, dtype=categories if trained == "category" else str)
    if trained == "str":
        made = tables.OrdinalColumn if ordered else tables.CategoricalColumn
        schema = tables.Schema([made("c", "str", ["low", "mid", "high"])])
    else:
        schema = tables.Schema.infer(pd.DataFrame({"c": column}))
    seen = ["high", "low"] if ordered else ["odd", "high", "low"]
    part = pd.Series([*seen[::-1], *[None] * 50], dtype=pd.CategoricalDtype(seen[::-1], ordered))
    found = randomized(schema, "orderless").complete(pd.DataFrame({"c": part}), seed=1)["c"]
    assert found[: len(seen)].tolist() == seen[::-1] and set(found[len(seen) :]) == {"low", "mid", "high"}
    expected = ["low", "mid", "high", *([] if ordered else ["odd"])]
    assert found.dtype == pd.CategoricalDtype(expected, ordered)


def test_whole_numbers_of_a_real_column_are_completed_with_fractions():
    rng = np.random.default_rng(0)
    model = randomized(tables.Schema.infer(pd.DataFrame({"x": rng.normal(size=60)})), "orderless")
    found = model.complete(pd.DataFrame({"x": pd.Series([2, None, None], dtype="Int64")}), seed=1)["x"]
    assert found[0] == 2.0 and (found[1:] % 1 != 0.0).all()
