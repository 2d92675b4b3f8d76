"""Kinds of columns, the way from cells to values of sites and back, missing and unseen cells, queries, JSON, errors."""

import numpy as np
import pandas as pd
import pytest

from tests.tables.frames import messy
from tfar import heads, tables
from tfar.tables.column import MISSING, Classes, Interval

KINDS = {
    "city": "categorical",
    "code": "categorical",
    "size": "ordinal",
    "flag": "categorical",
    "age": "count",
    "delay": "count",
    "income": "real",
    "gain": "real",
    "day": "datetime",
    "second": "datetime",
    "exact": "datetime",
    "zoned": "datetime",
    "same": "constant",
    "nothing": "constant",
}
FRAME = messy()
SCHEMA = tables.Schema.infer(FRAME)
BOTH = pytest.mark.parametrize("missing", ["marginalise", "value"])


def test_kinds_are_inferred():
    assert {column.name: column.kind for column in SCHEMA.columns} == KINDS
    assert SCHEMA["day"].resolution == "day" and SCHEMA["second"].resolution == "second"
    assert SCHEMA["exact"].resolution == "real" and SCHEMA["zoned"].zone == "Europe/Oslo"
    assert SCHEMA["gain"]._atoms == (0.0,) and SCHEMA["delay"].atoms[0] == 0.0 and SCHEMA["age"].low == 0
    assert SCHEMA["delay"].low is None
    assert SCHEMA["code"].num_sites == SCHEMA["second"].num_sites == SCHEMA["zoned"].num_sites == 2
    assert SCHEMA.num_sites == len(SCHEMA.column_of_site) == 12 + 3


@BOTH
def test_a_messy_frame_survives_encoding_and_decoding(missing):
    schema = tables.Schema.infer(FRAME, missing=missing)
    encoded = schema.encode(FRAME)
    assert encoded.values.dtype == np.float32 and np.isfinite(encoded.values).all()
    again = schema.decode(encoded.values, FRAME.index)
    for name in FRAME:
        seen = FRAME[name].notna()
        sites = schema.sites(name)
        expected = np.asarray(seen) | schema[name].missing
        if schema[name].num_sites:
            assert (encoded.observed[:, sites] == expected[:, None]).all()
        if schema[name].missing or schema[name].kind == "constant":
            np.testing.assert_array_equal(again[name].isna(), ~seen)
            assert str(again[name].dtype) == str(FRAME[name].dtype)
        found, given = again[name][seen], FRAME[name][seen]
        if name in ("income", "gain"):
            np.testing.assert_allclose(found, given, rtol=1e-5, atol=1e-5 * given.std())
            np.testing.assert_array_equal(found == 0.0, given == 0.0)
        elif name == "exact":
            assert (found - given).abs().max() < pd.Timedelta(seconds=5)
        else:
            pd.testing.assert_series_equal(found.astype(given.dtype), given, check_freq=False)


def test_exact_times_keep_what_float32_holds():
    """Near their location seconds have more digits than a float32 of the seconds since 1970 would."""
    times = pd.Series(pd.Timestamp("2024-05-05") + pd.to_timedelta(np.arange(0, 1000) * 1_234_567, unit="ns"), name="t")
    schema = tables.Schema.infer(times.to_frame())
    again = schema.decode(schema.encode(times.to_frame()).values)["t"]
    assert (again - times).abs().max() < pd.Timedelta(microseconds=1)


def test_densities_are_in_the_units_of_the_data():
    schema = tables.Schema.infer(FRAME[["gain", "income", "age"]])
    encoded = schema.encode(FRAME[["gain", "income", "age"]])
    for i, name in enumerate(["gain", "income", "age"]):
        dense = FRAME[name].notna() & (FRAME[name] != 0.0) & (name != "age")
        expected = np.where(dense, np.log(schema[name].scale), 0.0)
        np.testing.assert_allclose(encoded.log_scale[:, i], expected)
    assert schema.base_measure == {
        "gain": "counting at the atoms and Lebesgue elsewhere",
        "income": "Lebesgue",
        "age": "counting",
    }


def test_unseen_and_missing_categories():
    for missing, classes in (("marginalise", 4), ("value", 5)):
        column = tables.Schema.infer(FRAME, missing=missing)["city"]
        cells = column.encode(pd.Series(["Oslo", "Paris", None]))
        assert column.num_classes == classes and column.categories == ("Bern", "Oslo", "Rome")
        assert cells.values[:2, 0].tolist() == [2.0, 0.0]
        assert (cells.values[2, 0], cells.observed[2]) == ((4.0, True) if missing == "value" else (0.0, False))
        assert column.decode(cells.values).isna().tolist() == [False, True, True]


def test_digits_of_many_classes_are_their_classes():
    column = SCHEMA["code"]
    assert column.digits[0] * column.digits[1] - column.num_classes <= 2
    cells = column.encode(pd.Series([column.categories[0], column.categories[-1], "unseen"]))
    assert (cells.values[:, 0] * column.base + cells.values[:, 1]).tolist() == [1.0, len(column.categories), 0.0]
    beyond = np.array([[column.digits[0] - 1, column.digits[1] - 1]])
    assert column.decode(beyond).isna().all() or column.num_classes == np.prod(column.digits)
    assert [head.num_classes for head in column.heads(3)] == list(column.digits)


def test_numbers_that_repeat_often_enough_are_atoms():
    frame = pd.DataFrame({"wage": np.repeat([900.0, 500.0, 700.5, 3.25, 8.5], [6, 5, 3, 1, 1])})
    atoms = lambda **how: tables.Schema.infer(frame, **how)["wage"]._atoms  # noqa: E731
    assert atoms(atom_share=0.3) == (900.0, 500.0)
    assert atoms(atom_share=0.01) == (900.0, 500.0, 700.5), "3.25 and 8.5 do not repeat"
    assert atoms(atom_share=0.01, max_atoms=1) == (900.0,)
    assert atoms(max_atoms=0) == ()
    with pytest.raises(ValueError, match="`max_atoms` of at least 0"):
        tables.Schema.infer(frame, max_atoms=-1)


def test_missing_numbers_are_atoms_of_their_own():
    schema = tables.Schema.infer(FRAME, missing="value")
    for name in ("age", "gain", "day", "second", "exact"):
        values = schema[name].encode(FRAME[name]).values
        np.testing.assert_array_equal(values[:, 0] == MISSING, FRAME[name].isna())
        assert all(head.values[-1] == MISSING for head in schema[name].heads(2))
    assert isinstance(schema["delay"].heads(2)[0], heads.Atoms) and not schema["delay"].missing
    assert schema["size"].encode(FRAME["size"]).values[:, 0].min() == -1.0


def test_every_encoded_row_is_in_the_support_of_the_head():
    for missing in ("marginalise", "value"):
        schema = tables.Schema.infer(FRAME, missing=missing)
        encoded = schema.encode(FRAME)
        inside = np.asarray(schema.head(2).in_support(encoded.values, np.arange(schema.num_sites)))
        assert (inside | ~encoded.observed).all()


def test_json_holds_everything():
    for missing in ("marginalise", "value"):
        schema = tables.Schema.infer(FRAME, missing=missing)
        again = tables.Schema.from_json(schema.to_json())
        assert again == schema and repr(again) == repr(schema)
        np.testing.assert_array_equal(again.encode(FRAME).values, schema.encode(FRAME).values)
    assert SCHEMA.with_missing("value")["age"].missing and not SCHEMA.with_missing("value")["same"].missing


# Conditions of queries --------------------------------------------------------------------------------------------------


def allowed(name, condition, schema=SCHEMA):
    return schema[name].restriction(condition).allowed(0, np.zeros((1, 0), np.float32))


def test_conditions_are_sets_of_values():
    assert isinstance(allowed("city", ["Rome"]), Classes)
    np.testing.assert_array_equal(allowed("city", ["Rome", "Bern"]).allowed, [False, True, False, True])
    assert allowed("age", (30, 40)) == Interval(30.0, 40.0) and allowed("age", 7) == Interval(7.0, 7.0)
    assert allowed("delay", (None, 3)) == Interval(MISSING / 2, 3.0)
    assert allowed("size", (None, "M")) == Interval(0.0, 1.0)
    low, scale = SCHEMA["income"].loc, SCHEMA["income"].scale
    np.testing.assert_allclose(allowed("income", (low, low + 2 * scale)), [0.0, 2.0], atol=1e-6)
    value = tables.Schema.infer(FRAME, missing="value")
    assert allowed("age", None, value) == Interval(MISSING, MISSING) and allowed("size", None, value) == Interval(
        -1, -1
    )
    np.testing.assert_array_equal(allowed("city", [None, "Oslo"], value).allowed, [False, False, True, False, True])


def test_conditions_on_digits_depend_on_the_first_digit():
    column = SCHEMA["code"]
    rule = column.restriction(["c3", "c77"])
    classes = [1 + column.categories.index(value) for value in ("c3", "c77")]
    first = rule.allowed(0, np.zeros((1, 0), np.float32)).allowed
    assert set(np.flatnonzero(first)) == {c // column.base for c in classes}
    for c in classes:
        second = rule.allowed(1, np.float32([[c // column.base]])).allowed[0]
        assert np.flatnonzero(second).tolist() == [c % column.base]


def test_conditions_on_times():
    origin = pd.Timestamp(0) + pd.Timedelta(days=SCHEMA["day"].origin)
    assert allowed("day", (origin, origin + pd.Timedelta(days=3))) == Interval(0, 3)
    noon = origin + pd.Timedelta(hours=12)
    assert allowed("day", (noon, noon + pd.Timedelta(days=3))) == Interval(1, 3)
    origin = pd.Timestamp(0) + pd.Timedelta(days=SCHEMA["second"].origin)
    rule = SCHEMA["second"].restriction((origin + pd.Timedelta(hours=12), origin + pd.Timedelta(days=2, seconds=9)))
    assert rule.allowed(0, np.zeros((1, 0), np.float32)) == Interval(0, 2)
    lower, upper = rule.allowed(1, np.float32([[0.0], [1.0], [2.0]]))
    assert lower.tolist() == [43200.0, 0.0, 0.0] and upper.tolist() == [np.inf, np.inf, 9.0]
    assert SCHEMA["second"].restriction((None, None)).allowed(0, None) == Interval(MISSING / 2, np.inf)


# Errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda df: df.drop(columns="age"), "missing age"),
        (lambda df: df.assign(more=1), "received also more"),
        (lambda df: df.assign(age="old"), "Expected numbers in the count column 'age'"),
        (lambda df: df.assign(age=1.5), "Expected whole numbers up to 2\\*\\*24 in the count column 'age'; received"),
        (lambda df: df.assign(age=-1), "whole numbers from 0 on in the count column 'age'; received -1"),
        (lambda df: df.assign(income=np.inf), "finite numbers in the real column 'income'"),
        (lambda df: df.assign(income=1e30), "within 5e8 scales"),
        (lambda df: df.assign(size="XL"), "'S', 'M', 'L' in the ordinal column 'size'; received 'XL'"),
        (lambda df: df.assign(same=4), "the value 3, the only one"),
        (lambda df: df.assign(day="soon"), "dates or times in the datetime column 'day'"),
        (lambda df: df.assign(day=df["second"]), "times of whole days in the datetime column 'day'"),
        (lambda df: df.to_numpy(), "Expected a pandas DataFrame; received a ndarray"),
    ],
)
def test_other_tables_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SCHEMA.encode(change(FRAME))


@pytest.mark.parametrize(
    ("df", "arguments", "message"),
    [
        (FRAME[:0], {}, "Expected rows"),
        (FRAME, {"kinds": {"old": "real"}}, r"kinds of \['old'\]"),
        (FRAME, {"kinds": {"age": "numeric"}}, "Expected a kind among"),
        (FRAME, {"missing": "drop"}, "Expected `missing`"),
        (FRAME, {"max_classes": 1}, "Expected `max_classes`"),
        (pd.DataFrame({"a": [[1], [2]]}), {}, "Convert or drop the column"),
        (pd.DataFrame({"a": pd.to_timedelta([1, 2, 3], unit="s")}), {}, "received the dtype timedelta64"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "distinct names"),
    ],
)
def test_bad_inferences_are_errors(df, arguments, message):
    with pytest.raises(ValueError, match=message):
        tables.Schema.infer(df, **arguments)


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("city", ["Paris"]),
        ("city", None),
        ("age", [30, 40]),
        ("age", (1, 2, 3)),
        ("age", "x"),
        ("size", "XL"),
        ("same", 3),
    ],
)
def test_bad_conditions_are_errors(name, condition):
    with pytest.raises(ValueError, match=f"column '{name}'"):
        SCHEMA[name].restriction(condition)
    with pytest.raises(ValueError, match="Expected a column among"):
        SCHEMA["none"]


def test_kinds_can_be_given():
    schema = tables.Schema.infer(
        pd.DataFrame({"n": [1, 2, 3, 2], "k": [1, 2, 3, 2]}), kinds={"n": "ordinal", "k": "real"}
    )
    assert schema["n"].categories == (1, 2, 3) and schema["k"].kind == "real"
    assert schema.decode(schema.encode(pd.DataFrame({"n": [3], "k": [2]})).values)["n"].tolist() == [3]


@pytest.mark.parametrize("dtype", ["uint8", "UInt8", "int16"])
def test_numbers_beyond_the_range_of_the_dtype_are_not_wrapped(dtype):
    """A count has no highest value, so that a model draws numbers that the dtype of the data does not hold."""
    column = tables.Schema.infer(pd.DataFrame({"n": pd.Series(range(90, 250), dtype=dtype)}))["n"]
    assert str(column.decode(np.float32([[7.0], [255.0]])).dtype) == dtype
    found = column.decode(np.float32([[7.0], [70_000.0]]))
    assert found.tolist() == [7, 70_000] and str(found.dtype) == ("Int64" if dtype == "UInt8" else "int64")


def test_a_float_beyond_the_range_of_the_dtype_is_not_infinite():
    column = tables.Schema.infer(pd.DataFrame({"x": np.linspace(0.0, 6e4, 100).astype("float16")}))["x"]
    found = column.decode(column.encode(pd.Series([1.0, 1e5])).values)
    np.testing.assert_allclose(found, [1.0, 1e5], rtol=1e-3)


def test_a_time_of_which_a_part_is_missing_is_missing():
    """A model with missing cells as a value can draw a day without a second."""
    column = tables.Schema.infer(FRAME, missing="value")["second"]
    values = np.float32([[3, 10], [3, MISSING], [MISSING, 10], [MISSING, MISSING]])
    assert column.decode(values).isna().tolist() == [False, True, True, True]
    assert column.is_invalid(values).tolist() == [False, True, True, False]


def test_a_quantile_at_an_atom_is_the_atom():
    numbers = np.where(np.arange(100) % 2, 0.0, np.linspace(40.0, 60.0, 100))
    column = tables.Schema.infer(pd.DataFrame({"x": numbers}))["x"]
    (atom,) = column.atoms
    assert column.summary("quantile", np.float32([atom]))[0] == 0.0
    np.testing.assert_allclose(column.summary("mean", np.float32([1.5])), column.loc + 1.5 * column.scale)
