"""The tables of README and docs: rendered from results, and guarded against edits."""

import dataclasses
import json

import pytest

from benchmarks import (
    classifiers,
    coding,
    data,
    imputation,
    known_networks,
    overview,
    ranking,
    render,
    results,
    serving,
    step_memory,
    table_imputation,
    table_likelihood,
    table_outliers,
    tables,
)
from benchmarks.cases import check, load_cases, model_names

README = """# tfar

## All results

<!-- table:likelihood -->
<!-- /table -->

<!-- table:speed -->
old
<!-- /table -->
"""


def operation(median_ms):
    return {"mode": "XLA", "median_ms": median_ms, "count": 9, "first_s": 0.5, "modes_ms": {"XLA": median_ms}}


def speed_result(case):
    ours = {"log_prob": operation(1.0), "sample": operation(4.0), "sample, fixed_point": operation(20.0)}
    return results.make(
        kind="speed",
        case=case.name,
        command="python -m benchmarks.speed made",
        seed=0,
        data={},
        settings={**case.settings, "threads": 2},
        figures={
            "contestants": {
                "tfar": {"operations": ours, "memory": {"peak_mib": 700, "imports_mib": 500}},
                "TFP": {"operations": {"log_prob": operation(1.5), "sample": operation(440.0)}},
            },
            "skipped": {"PyTorch": "not installed"},
            "other_load": 0.4,
        },
        paper={},
        targets=[check("tfar: sample / log_prob", "<=", 8.0, 4.0), check("none", "<=", 1.0, None)],
    )


def likelihood_result(case, nll=13.1234):
    return results.make(
        kind="likelihood",
        case=case.name,
        command="python -m benchmarks.likelihood made",
        seed=0,
        data={"name": case.data, "note": data.NOTES[case.data]},
        settings={},
        figures={"test_nll": nll, "standard_error": 0.0321},
        paper={"test_nll": case.paper, "source": case.source},
        targets=[check("test NLL, nats", "<=", case.target, nll)],
    )


@pytest.fixture
def folder(tmp_path):
    cases = load_cases("made")
    results.write(speed_result(cases.speed[0]), tmp_path)
    results.write(likelihood_result(cases.likelihood[0]), tmp_path)
    return tmp_path


@pytest.fixture
def readme(folder):
    path = folder / "README.md"
    path.write_text(README)
    tables.write(path, folder)
    return path


def test_every_case_has_its_row(folder):
    count = sum(len(load_cases(model).likelihood) for model in model_names())
    rendered = tables.tables(folder)
    assert rendered["likelihood"].count("\n| ") == count + 1
    assert rendered["likelihood"].count(render.NOT_RUN) == count - 1
    assert "| 13.12 ± 0.03 | 13.12 (the paper's) |" in rendered["likelihood"]
    assert data.NOTES["adult"] in rendered["likelihood"]
    assert "**made-784-500-500**, batch 100: not run" in rendered["speed"]
    assert "**nade-784-500**, batch 100: not run" in rendered["speed"]


def test_speed_rows_show_ratios_and_who_was_skipped(folder):
    table = tables.tables(folder)["speed"]
    assert "| tfar | 1 |  | 4 | 4.0 | 110 | 0.5, -, 0.5 |" in table
    assert "| tfar: fixed_point |  |  | 20 | 20.0 | 22.0 | 0.5 |" in table
    assert "| PyTorch | skipped: not installed |" in table
    assert "quick" not in table


def test_another_processor_has_a_table_of_its_own(folder):
    assert tables.tables(folder)["speed-on-avx2"] == ""
    earlier = dataclasses.replace(speed_result(load_cases("made").speed[0]), date="2001-01-01")
    results.write(earlier, folder / tables.AVX2)
    rendered = tables.tables(folder)
    assert "2001-01-01" in rendered["speed-on-avx2"] and "2001-01-01" not in rendered["speed"]
    assert rendered["speed-on-avx2"].count("**made-") == 1 and render.NOT_RUN not in rendered["speed-on-avx2"]


def test_report_says_pass_and_not_measured(folder):
    report = render.speed_report(speed_result(load_cases("made").speed[0]))
    assert "| tfar: sample / log_prob | <= 8 | 4 | pass |" in report
    assert "| none | <= 1 |  | not measured |" in report
    assert "700 (500)" in report
    assert "other processes took 40%" in report


def test_written_readme_passes_the_check(readme, folder):
    assert tables.check(readme, folder) == ""


def test_check_detects_an_edited_number(readme, folder):
    text = readme.read_text()
    assert "13.12 ± 0.03" in text
    readme.write_text(text.replace("13.12 ± 0.03", "13.02 ± 0.03"))
    difference = tables.check(readme, folder)
    assert "-| adult | MADE 500 | 13.02" in difference
    assert "+| adult | MADE 500 | 13.12" in difference


def test_check_detects_a_changed_result(readme, folder):
    path = results.path_of("likelihood", "made-adult-one-mask", folder)
    content = json.loads(path.read_text())
    content["figures"]["test_nll"] = 12.0
    path.write_text(json.dumps(content))
    assert "12.00" in tables.check(readme, folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## All results\n\nsoon\n", "Expected <!-- table:likelihood --> or another of"),
        ("## Memory\n", "Expected <!-- table:memory -->"),
        ("<!-- table:size -->\n<!-- /table -->\n", "Received the markers"),
        ("<!-- table:speed -->\n", "with its own"),
        ("<!-- table:speed -->\n<!-- table:likelihood -->\n<!-- /table -->\n", "with its own"),
        ("<!-- table:speed -->\n<!-- /table -->\n<!-- table:speed -->\n<!-- /table -->\n", "once"),
    ],
)
def test_lost_markers_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        tables.fill(text, {"likelihood": "a", "speed": "b", "memory": "c"})


def test_a_readme_without_the_sections_is_left_alone():
    assert tables.fill("# tfar\n", {"likelihood": "a", "speed": "b"}) == "# tfar\n"


def test_command_reports_lost_markers(tmp_path, monkeypatch, capsys):
    path = tmp_path / "README.md"
    path.write_text("## Models\n")
    monkeypatch.setattr(tables, "README", path)
    assert tables.main(["--check"]) == 1
    assert "README.md: Expected <!-- table:models -->" in capsys.readouterr().err


def test_the_pages_show_the_results():
    assert [tables.check(page) for page in (tables.README, *tables.PAGES)] == [""] * (1 + len(tables.PAGES))


def test_every_table_is_on_one_page():
    shown = [name for page in (tables.README, *tables.PAGES) for name in tables.OPENING.findall(page.read_text())]
    assert sorted(shown) == sorted(tables.tables())


def test_a_page_that_lost_its_table_is_named(tmp_path):
    path = tmp_path / "made.md"
    path.write_text("## Cost\n")
    with pytest.raises(ValueError, match=r"made.md: Expected .*table:speed-of-made"):
        tables.check(path)


def test_every_case_belongs_to_a_model():
    models = [load_cases(model) for model in model_names()]
    names = [case.name for part in models for case in (*part.likelihood, *part.speed)]
    assert {overview.model_of(name).name for name in names} == {model.name for model in overview.MODELS}
    assert overview.model_of("pixel-cnn-plus-plus-28x28").name == "PixelCNNPlusPlus"
    with pytest.raises(ValueError, match="Received: 'flow-mnist'"):
        overview.model_of("flow-mnist")
    known = {
        (kind, name) for kind in ("likelihood", "speed") for m in models for name in (c.name for c in getattr(m, kind))
    }
    for model in overview.MODELS:
        assert ("likelihood", model.likelihood) in known
        assert model.speed is None or ("speed", model.speed) in known


def test_tables_of_all_models_show_likelihood_and_cost_of_an_event(folder):
    case = load_cases("made").likelihood[0]
    shown = dataclasses.replace(overview.MODELS[0], likelihood=case.name)
    (row, *_) = [line for line in tables.tables(folder)["costs"].splitlines() if "MADE" in line]
    assert row == "| [MADE](models/made.md) | 784-500 | 784 | 0.01 | 0.04 | not measured | 100 |"
    assert overview.likelihood(shown, folder) == ["adult", "MADE 500", "13.12 ± 0.03"]
    assert "| [NADE](models/nade.md) |  |  | not measured |" in tables.tables(folder)["costs"]
    assert tables.tables(folder)["choice"].count(render.NOT_RUN) == len(overview.MODELS)
    assert "| 0.04 |\n" in tables.tables(folder)["models"]


def test_a_model_has_the_cases_of_its_own(folder):
    rendered = tables.tables(folder)
    assert "| dna | MADE 500 |" in rendered["likelihood-of-made"]
    assert "NADE" not in rendered["likelihood-of-made"]
    assert "| mnist | PixelCNN " in rendered["likelihood-of-pixel-cnn"]
    assert "Gated" not in rendered["likelihood-of-pixel-cnn"] and "++" not in rendered["likelihood-of-pixel-cnn"]
    assert "rnade-64-512" in rendered["speed-of-rnade"] and "rnade" not in rendered["speed-of-nade"]


def test_case_names_are_unique():
    models = [load_cases(model) for model in model_names()]
    for kind in ("speed", "likelihood"):
        names = [case.name for model in models for case in getattr(model, kind)]
        assert len(names) == len(set(names))


def test_result_files_belong_to_cases():
    models = [load_cases(model) for model in model_names()]
    kinds = ("speed", "likelihood")
    known = {f"{kind}-{case.name}.json" for model in models for kind in kinds for case in getattr(model, kind)}
    known |= {results.path_of("serving", serving.CASE).name, results.path_of("imputation", imputation.CASE).name}
    known.add(results.path_of("ranking", ranking.CASE).name)
    known.add(results.path_of("classifiers", classifiers.CASE).name)
    known |= {results.path_of("coding", case.name).name for case in coding.CASES}
    known |= {results.path_of("networks", case.name).name for case in known_networks.CASES}
    known |= {results.path_of("memory", case.name).name for case in step_memory.CASES}
    for module in (table_imputation, table_likelihood, table_outliers):
        known |= {results.path_of(module.KIND, case.name).name for case in module.CASES}
    found = {path.name for path in results.FOLDER.glob("*.json")}
    assert found <= known
