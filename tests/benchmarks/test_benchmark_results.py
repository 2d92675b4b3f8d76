"""Result files: a round trip, and errors that say what is wrong."""

import dataclasses
import json
import math

import pytest

from benchmarks import results
from benchmarks.cases import check


def make_result(**changes):
    fields = {
        "kind": "speed",
        "case": "made-784-500",
        "command": "python -m benchmarks.speed made",
        "seed": 0,
        "data": {"name": "random bits"},
        "settings": {"batch_size": 100, "threads": 2},
        "figures": {"contestants": {}, "skipped": {}},
        "paper": {},
        "targets": [check("ratio", "<=", 1.0, 0.5)],
    }
    return results.make(**(fields | changes))


def test_round_trip(tmp_path):
    result = make_result()
    path = results.write(result, tmp_path)
    assert results.read(path) == result
    assert results.find("speed", "made-784-500", tmp_path) == result
    assert [file.name for file in tmp_path.iterdir()] == ["speed-made-784-500.json"]


def test_result_names_versions_and_machine_but_no_host():
    import platform

    text = json.dumps(dataclasses.asdict(make_result()))
    assert set(make_result().versions) >= {"python", "tensorflow", "keras", "numpy", "tfar", "commit"}
    assert set(make_result().machine) >= {"cpu", "cores", "memory_gib"}
    assert f'"{platform.node()}"' not in text
    assert str(results.FOLDER.parent.parent) not in text


def test_missing_result_is_none(tmp_path):
    assert results.find("likelihood", "made-adult-one-mask", tmp_path) is None


@pytest.mark.parametrize("edit", [lambda c: c.pop("seed"), lambda c: c.update(extra=1)], ids=["missing", "unknown"])
def test_read_rejects_other_fields(tmp_path, edit):
    path = results.write(make_result(), tmp_path)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="Expected the fields of a result"):
        results.read(path)


@pytest.mark.parametrize("changes", [{"kind": "size"}, {"seed": "0"}, {"schema": 2}, {"targets": {}}])
def test_bad_fields_are_rejected(changes):
    with pytest.raises(ValueError, match="Expected"):
        make_result(**changes)


def test_a_number_that_json_lacks_leaves_no_file(tmp_path):
    with pytest.raises(ValueError):
        results.write(make_result(figures={"test_nll": math.nan}), tmp_path)
    assert results.find("speed", "made-784-500", tmp_path) is None


@pytest.mark.parametrize(
    ("relation", "value", "met"), [("<=", 1.0, True), ("<=", 1.1, False), (">=", 0.9, False), (">=", None, None)]
)
def test_check(relation, value, met):
    assert check("ratio", relation, 1.0, value)["met"] is met
