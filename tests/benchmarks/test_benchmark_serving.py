"""The serving benchmark measures all runtimes, and its table shows what the result holds."""

import dataclasses

import pytest

from benchmarks import render, results, serving

CELL = {"median_ms": 2.0, "p90_ms": 3.0, "rows_per_s": 8000, "first_s": 0.1, "count": 9}
FIGURES = {
    "runtimes": {name: {op: {"16": CELL} for op in serving.OPERATIONS} for name in serving.RUNTIMES},
    "rounding": {
        "data": "some rows",
        "float16": {"mean_absolute_nats": 0.0123, "largest_nats": 0.5, "nll": 90.0, "mib": 3.1},
    },
    "other_load": 0.5,
}
RESULT = results.make(
    kind="serving",
    case="case",
    command="command",
    seed=0,
    data={},
    settings={"threads": 2},
    figures=FIGURES,
    paper={},
    targets=[],
)


def test_the_table_shows_what_was_measured():
    table = render.serving_table(RESULT)
    assert "| sample, 16 | 2 | 2 | 2 | 8,000 | 8,000 | 8,000 |" in table
    assert "| float16 | 3.1 | 0.012 | 0.5 |" in table and "on some rows" in table
    assert "not run" in render.serving_table(None)


def test_the_report_says_that_the_machine_was_busy():
    assert "NOT QUIET: other processes took 50%" in render.serving_report(RESULT)
    quiet = dataclasses.replace(RESULT, figures={**FIGURES, "other_load": 0.0})
    assert "NOT QUIET" not in render.serving_report(quiet)


def test_a_result_survives_its_file(tmp_path):
    assert results.read(results.write(RESULT, tmp_path)) == RESULT


@pytest.mark.slow
def test_every_runtime_is_measured_at_every_batch():
    result = serving.run(quick=True)
    assert set(result.figures["runtimes"]) == set(serving.RUNTIMES)
    for runtime in result.figures["runtimes"].values():
        for operation in serving.OPERATIONS:
            assert list(runtime[operation]) == [str(batch) for batch in serving.BATCHES]
            assert all(cell["median_ms"] > 0 and cell["count"] >= 2 for cell in runtime[operation].values())
