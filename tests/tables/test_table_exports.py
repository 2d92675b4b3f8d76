"""Exports with an input for each column, read back in a process without tfar."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfar
from tests.registry import randomize
from tests.tables.frames import messy
from tfar import tables
from tfar.tables import tensors

FRAME = messy(200)
READER = """
import json, sys
import numpy as np
import tensorflow as tf
path, rows = sys.argv[1], json.load(open(sys.argv[2]))
signatures = tf.saved_model.load(path).signatures
specs = signatures["serving_default"].structured_input_signature[1]
given = {name: tf.constant(rows[name], spec.dtype) for name, spec in specs.items()}
found = {key: signatures[key](**given)[output].numpy().tolist()
         for key, output in (("serving_default", "log_prob"), ("log_prob", "log_prob"), ("explain", "surprise"))}
assert "tfar" not in sys.modules
json.dump(found, open(sys.argv[3], "w"))
"""


@pytest.mark.parametrize("missing", ["marginalise", "value"])
def test_tensors_encode_as_arrays_do(missing):
    schema = tables.Schema.infer(FRAME, missing=missing, max_classes=30)
    for column in schema.columns:
        if not column.num_sites:
            continue
        series = FRAME[column.name]
        if column.kind == "categorical" and column.name == "city":
            series = series.where(series != "Oslo", "Paris")  # unseen
        cells = column.encode(series)
        found = tensors.encoded(column, tf.constant(tensors.inputs_of(column, series)))
        np.testing.assert_array_equal(found.observed, cells.observed, err_msg=column.name)
        values = np.where(cells.observed[:, None], cells.values, 0.0)
        # Times in seconds since 1970 have fewer digits than nanoseconds.
        close = {"rtol": 1e-6, "atol": 1e-6} if column.name == "exact" else {"rtol": 0.0}
        seen = np.where(cells.observed[:, None], found.values, 0.0)
        np.testing.assert_allclose(seen, values, **close, err_msg=column.name)
        np.testing.assert_allclose(
            found.log_scale[cells.observed], cells.log_scale[cells.observed], err_msg=column.name
        )


def test_cells_that_do_not_fit_are_outside_the_support():
    schema = tables.Schema.infer(FRAME)
    for name, cells in (("size", ["XL"]), ("age", [1.5, -1.0]), ("day", [3600.0])):
        found = tensors.encoded(schema[name], tf.constant(cells, tensors.input_dtype(schema[name]))).values
        assert not np.asarray(schema[name].heads(1)[0].in_support(found[:, 0])).any(), name


@pytest.mark.slow(ci=True)
def test_an_export_takes_rows_as_they_are(tmp_path):
    frame = FRAME[["city", "flag", "age", "gain"]].rename(columns={"gain": "capital-gain"})
    model = tfar.TableModel(
        tables.Schema.infer(frame), "orderless", hidden_units=[8], num_components=2, jit_compile=False
    )
    randomize(model.dist)
    path = model.export(tmp_path / "base")
    assert path == tmp_path / "base" / "1"
    described = json.loads((path / "assets.extra" / "tfar.json").read_text())
    assert described["data"]["inputs"]["capital-gain"] == "capital_gain"
    assert tables.Schema.from_config(described["data"]["schema"]) == model.schema
    rows = frame[:6].copy()
    rows.loc[1, "city"], rows.loc[2, "age"], rows.loc[3, "capital-gain"] = "Paris", np.nan, np.nan
    inputs = {"city": rows["city"].fillna("").tolist(), "flag": rows["flag"].tolist()}
    inputs |= {"age": rows["age"].tolist(), "capital_gain": rows["capital-gain"].tolist()}
    (tmp_path / "rows.json").write_text(json.dumps(inputs))
    arguments = [str(path), str(tmp_path / "rows.json"), str(tmp_path / "found.json")]
    done = subprocess.run([sys.executable, "-c", READER, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    np.testing.assert_allclose(found["serving_default"], model.log_prob(rows), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["serving_default"], found["log_prob"])
    expected = model.explain(rows).fillna(0.0)
    np.testing.assert_allclose(found["explain"], expected, rtol=1e-4, atol=1e-4)


def test_inputs_need_distinct_names(tmp_path):
    frame = pd.DataFrame({"a-b": [1, 2, 3], "a_b": [1, 2, 3]})
    model = tfar.TableModel(tables.Schema.infer(frame), hidden_units=[4], jit_compile=False)
    with pytest.raises(ValueError, match="names differ in letters or digits"):
        model.export(tmp_path)
