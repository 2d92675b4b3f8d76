"""The tutorials run from the first cell to the last, and the stored outputs are those of such a run."""

import json
import os
import pathlib
import re

import pytest

from tests.test_docs import load

FOLDER = pathlib.Path(__file__).parents[2] / "tutorials"
PATHS = sorted(FOLDER.glob("*.ipynb"))
NAMES = {"first_steps_with_made", "missing_values_and_outliers_of_a_table", "pixel_cnn_on_digits", "serving_end_to_end"}


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def faults(notebook):
    """What a stored notebook should not have: cells that did not run, messages, and paths of a machine."""
    numbers = [cell["execution_count"] for cell in code_cells(notebook)]
    found = [] if numbers == list(range(1, len(numbers) + 1)) else [f"cells ran as {numbers}"]
    for output in outputs(notebook):
        text = "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", []))
        if output.get("name") == "stderr" or output["output_type"] == "error" or "Warning" in text:
            found.append(f"message: {text}")
        found += re.findall(r"(?<![\w.<])/(?:tmp|root|home|work|usr)\b\S*", text)
    return found


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path):
    pytest.importorskip("nbclient", reason="nbclient runs notebooks; it is in tfar[dev]")
    if "TFAR_DATA_DIR" in path.read_text() and not os.environ.get("TFAR_DATA_DIR"):
        pytest.skip("the tutorial reads a table from the folder that TFAR_DATA_DIR names")
    notebook = load("notebooks").run(path, tmp_path)
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook)), "the notebook shows no picture"
    assert faults(notebook) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_stored_outputs_are_those_of_a_full_run(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert faults(notebook) == []


def test_the_tutorials_are_there():
    assert {path.stem for path in PATHS} == NAMES


def test_faults_of_stored_outputs_are_found():
    def notebook(text, name="stdout", count=1):
        output = {"output_type": "stream", "name": name, "text": [text]}
        return {"cells": [{"cell_type": "code", "execution_count": count, "outputs": [output]}]}

    assert faults(notebook("12.5 nats/row")) == []
    assert faults(notebook("saved in /tmp/abc/made")) == ["/tmp/abc/made"]
    assert len(faults(notebook("UserWarning: no"))) == len(faults(notebook("x", "stderr"))) == 1
    assert faults(notebook("x", count=None)) == ["cells ran as [None]"]
