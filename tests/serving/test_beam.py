"""The Beam handler and the pipeline, run by Beam's DirectRunner, beside the distribution itself."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfar

ROOT = Path(__file__).parents[2]
ROWS = np.random.default_rng(0).normal(size=(250, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def beam():
    return pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'tfar[beam]'")


@pytest.fixture(scope="module")
def dist():
    return tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), seed=1)


@pytest.fixture(scope="module")
def export(dist, tmp_path_factory):
    return tfar.serving.export_saved_model(dist, tmp_path_factory.mktemp("exported") / "made").parent


def scores(beam, handler, elements, folder):
    """The scores in the order of the elements, by way of a file: a pipeline may run in other processes."""
    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

    with beam.Pipeline(runner="DirectRunner") as pipeline:
        _ = (
            pipeline
            | beam.Create(list(enumerate(elements)))
            | RunInference(KeyedModelHandler(handler))
            | beam.MapTuple(lambda key, result: f"{key},{result.inference!r}")
            | beam.io.WriteToText(str(folder / "scores"))
        )
    lines = [line for path in folder.glob("scores-*") for line in path.read_text().splitlines()]
    pairs = sorted((int(key), float(value)) for key, value in (line.split(",") for line in lines))
    assert [key for key, _ in pairs] == list(range(len(elements)))
    return np.array([value for _, value in pairs], np.float32)


def test_each_row_gets_its_log_prob_and_a_bad_one_nan(beam, dist, export, tmp_path):
    from tfar.serving.beam import LogProbModelHandler

    rows = ROWS.copy()
    rows[7, 1] = np.nan
    found = scores(beam, LogProbModelHandler(export, min_batch_size=3, max_batch_size=32), list(rows), tmp_path)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), [7])
    np.testing.assert_allclose(np.delete(found, 7), np.delete(np.asarray(dist.log_prob(ROWS)), 7), rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_a_conditional_model_takes_dicts(beam, tmp_path):
    from tfar.serving.beam import LogProbModelHandler

    dist = tfar.MADE(
        [3], [8], head=tfar.heads.NormalMixture(2), conditional_shape={"speaker": (2,), "tone": (1,)}, seed=1
    )
    path = tfar.serving.export_saved_model(dist, tmp_path / "made")
    condition = {"speaker": ROWS[:20, :2], "tone": ROWS[:20, 2:]}
    rows = [
        {"value": ROWS[i], "conditional_input": {name: values[i] for name, values in condition.items()}}
        for i in range(20)
    ]
    handler = LogProbModelHandler(path)
    results = list(handler.run_inference(rows, handler.load_model()))
    assert [result.example for result in results] == rows
    found = [result.inference for result in results]
    np.testing.assert_allclose(found, dist.log_prob(ROWS[:20], conditional_input=condition), rtol=1e-5)
    assert handler.get_num_bytes(rows) == 20 * 6 * 4


def test_the_handler_keeps_the_version_that_was_newest(beam, dist, export):
    from tfar.serving.beam import LogProbModelHandler

    assert LogProbModelHandler(export).path == str(export / "1")
    assert LogProbModelHandler("store://bucket/made/3").path == "store://bucket/made/3"
    assert LogProbModelHandler(export, max_batch_size=200).batch_elements_kwargs() == {
        "min_batch_size": 100,
        "max_batch_size": 200,
    }


def test_what_cannot_be_scored_is_refused(beam, export, tmp_path):
    from tfar.serving.beam import LogProbModelHandler

    with pytest.raises(ValueError, match="is not an export"):
        LogProbModelHandler(tmp_path)
    with pytest.raises(ValueError, match=r"1 <= min_batch_size <= max_batch_size; received 10 and 5"):
        LogProbModelHandler(export, min_batch_size=10, max_batch_size=5)
    handler = LogProbModelHandler(export)
    with pytest.raises(ValueError, match=r"expected rows of one shape; received \(3,\), \(4,\)"):
        handler.run_inference([np.zeros([3]), np.zeros([4])], None)
    with pytest.raises(ValueError, match=r"value with rows of shape \(3,\), as the model takes; received \(5,\)"):
        handler.run_inference([np.zeros([5])], handler.load_model())


def test_without_beam_the_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "tfar.serving.beam", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setitem(sys.modules, "apache_beam.ml.inference.base", None)
    with pytest.raises(ImportError, match=r'pip install "tfar\[beam\]"'):
        import tfar.serving.beam  # noqa: F401


@pytest.mark.slow(ci=True)
def test_the_pipeline_scores_files(beam, dist, export, tmp_path):
    """Parts of .parquet files are read by themselves, a .csv file as a whole; the numbers of the rows must be right."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.random.default_rng(1).normal(size=(100_020, 3)).astype(np.float32)
    rows[100_010] = np.nan
    for name, part in (("a", rows), ("b", rows[:30])):
        table = pa.table({column: part[:, i] for i, column in enumerate("xyz")})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7000)
    expected = np.asarray(tfar.serving.log_prob.SavedLogProb(export / "1")(rows))
    script = [sys.executable, str(ROOT / "export" / "beam_score.py"), str(export)]
    command = [
        *script,
        str(tmp_path / "*.parquet"),
        "--out",
        str(tmp_path / "scores" / "part"),
        "--runner=DirectRunner",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Wrote the log_prob of 100,050 rows" in done.stdout and "1 are NaN" in done.stdout
    found = {}
    for path in (tmp_path / "scores").glob("part-*.csv"):
        with open(path, newline="") as file:
            for line in csv.DictReader(file):
                key = Path(line["file"]).name, int(line["row"])
                assert key not in found, "a row is repeated"
                found[key] = float(line["log_prob"])
    for name, count in (("a.parquet", len(rows)), ("b.parquet", 30)):
        got = np.array([found.pop((name, row)) for row in range(count)])
        np.testing.assert_allclose(got, expected[:count], rtol=1e-5)
    assert not found
