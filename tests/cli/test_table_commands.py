"""The commands for tables: beside the model that they train."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tfar
from tests.tables.frames import small
from tfar.cli import query, table_runs

SMALL = ["--hidden-units", "8", "--epochs", "2", "--batch-size", "200", "--set", "num_components=1"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("frames") / "small.csv"
    rows = small(300).assign(code=7, day="2020-01-0" + pd.Series(np.arange(300) % 9 + 1).astype(str))
    rows.to_csv(found, index=False)
    return found


@pytest.fixture(scope="module")
def run(path: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Any) -> Path:
    out = tmp_path_factory.mktemp("runs") / "table"
    arguments = ["--set", "network=orderless", "--set", "jit_compile=false"]
    invoke("train", "table", "--data", path, "--out", out, *SMALL, *arguments)
    return out


@pytest.fixture(scope="module")
def model(run: Path) -> Any:
    return tfar.TableModel.load(run / "model.keras")


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


def test_a_run_finds_the_kinds_of_the_columns(run: Path, model: Any) -> None:
    kinds = {column.name: column.kind for column in model.schema.columns}
    assert kinds == {"a": "categorical", "b": "categorical", "n": "count", "code": "constant", "day": "datetime"}
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["model"] == "table"
    assert len(read(run / "metrics.csv")) == 2


@pytest.mark.slow(ci=True)
def test_a_run_is_resumed(run: Path, path: Path, invoke: Any) -> None:
    before = tfar.TableModel.load(run / "model.keras").dist.trainable_variables[0].numpy()
    invoke("train", "table", "--out", run, "--resume")  # it has ended
    after = tfar.TableModel.load(run / "model.keras").dist.trainable_variables[0].numpy()
    np.testing.assert_array_equal(before, after)
    wrong = invoke("train", "table", "--out", run, "--resume", "--seed", "3", code=1)
    assert "was started with seed 0" in wrong.output


def test_scores_and_surprises_are_those_of_the_model(
    run: Path, model: Any, path: Path, invoke: Any, tmp_path: Path
) -> None:
    """In several parts, from a file with further columns in another order."""
    frame = read(path).assign(other=1.5)[["other", "day", "n", "b", "a", "code"]]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "scores.csv"
    invoke("score", run, tmp_path / "rows.csv", "--out", out, "--explain", "--batch-size", 128)
    found = pd.read_csv(out)
    assert found.columns.tolist() == ["row", "log_prob", "a", "b", "n", "code", "day"]
    assert found["row"].tolist() == list(range(300))
    rows = read(path)
    np.testing.assert_allclose(found["log_prob"], model.log_prob(rows), rtol=1e-4)
    np.testing.assert_allclose(found[["a", "b", "n", "day"]], model.explain(rows)[["a", "b", "n", "day"]], atol=1e-4)
    invoke("score", run / "model.keras", path, "--out", out)
    assert pd.read_csv(out).columns.tolist() == ["row", "log_prob"]


@pytest.mark.slow(ci=True)
def test_missing_cells_are_completed(run: Path, path: Path, invoke: Any, tmp_path: Path) -> None:
    rows = read(path)[:20]
    rows.loc[::3, "n"] = np.nan
    rows.loc[::4, "a"] = None
    rows.to_csv(tmp_path / "gaps.csv", index=False)
    out = tmp_path / "done.csv"
    invoke("complete", run, "--data", tmp_path / "gaps.csv", "--out", out, "--num-samples", 2)
    done = read(out)
    assert done["draw"].tolist() == [0] * 20 + [1] * 20
    assert not done["n"].isna().any()
    there = np.tile(rows["n"].notna(), 2)
    np.testing.assert_array_equal(done["n"][there], np.tile(rows["n"], 2)[there])
    invoke("complete", run, "--data", path, "--out", out, code=1)  # nothing is missing


def test_a_query_is_the_probability_of_the_model(run: Path, model: Any, invoke: Any) -> None:
    done = invoke("query", run, "--where", "a in {x, z}", "--where", "n in [0, 2]", "--where", "day >= 2020-01-05")
    where = {"a": ["x", "z"], "n": (0, 2), "day": ("2020-01-05", None)}
    expected = model.prob(where, 1000, seed=0)
    assert float(re.search(r"\) = ([\d.e-]+)", done.output)[1]) == pytest.approx(expected.value, rel=1e-4)
    assert "exact" in invoke("query", run, "--where", "b == yes").output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age in [30, 40]", ("age", "range", ["30", "40"])),
        ("sex in {F, M}", ("sex", "set", ["F", "M"])),
        ("native country == Cuba", ("native country", "set", ["Cuba"])),
        ("age>=30", ("age", "from", ["30"])),
        ("gain <= -1.5", ("gain", "to", ["-1.5"])),
        ("sex is missing", ("sex", "missing", [])),
    ],
)
def test_conditions_are_parsed(text: str, expected: Any) -> None:
    assert query.parse(text) == expected


@pytest.mark.parametrize("text", ["age", "age in 3", "age in [1, 2, 3]", "age in []", "sex is odd", "age < 3"])
def test_wrong_conditions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--where: expected NAME == VALUE"):
        query.parse(text)


def test_what_does_not_fit_is_refused(run: Path, path: Path, invoke: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    for command, message in (
        (["query", run, "--where", "a == w"], "one of x, y, z; received 'w'"),
        (["query", run, "--where", "n >= 1", "--where", "n <= 2"], "one condition on 'n'"),
        (["query", path, "--where", "n >= 1"], "expected a run of `tfar train table`"),
        (["sample", run, "--out", out], "expected one of the commands score, complete and query"),
        (["train", "table", "--data", path, "--out", tmp_path / "new", "--head", "Bernoulli"], "--head: a table"),
        (["train", "table", "--data", path, "--out", tmp_path / "new", "--set", "networks=made"], "--set"),
        (["train", "table", "--data", "none.csv", "--out", tmp_path / "new"], "none.csv does not exist"),
        (["score", run, path, "--out", out, "--columns", "a"], "--columns: a model of a table"),
    ):
        assert message in invoke(*command, code=1).output
    assert not (tmp_path / "new").exists()


@pytest.mark.slow(ci=True)
def test_other_models_are_no_tables(digits_run: Path, tmp_path: Path) -> None:
    assert not table_runs.is_table(digits_run)
    assert not table_runs.is_table(digits_run / "model.keras")
    (tmp_path / "odd.keras").write_text("no archive")
    assert not table_runs.is_table(tmp_path / "odd.keras")


def test_splits_are_disjoint_and_complete() -> None:
    train, valid, test = table_runs.split(pd.DataFrame({"a": range(50)}))
    assert [len(part) for part in (train, valid, test)] == [40, 5, 5]
    assert sorted([*train["a"], *valid["a"], *test["a"]]) == list(range(50))
