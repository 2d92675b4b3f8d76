"""Every tutorial runs from its first cell to its last."""

import os
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "tutorials"


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs notebooks; it is in tfar[dev]")
    nbformat = pytest.importorskip("nbformat", reason="nbformat reads notebooks; it is in tfar[dev]")
    if "TFAR_DATA_DIR" in path.read_text() and not os.environ.get("TFAR_DATA_DIR"):
        pytest.skip("the tutorial reads a table from the folder that TFAR_DATA_DIR names")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert pictures, "the notebook shows no picture"


def test_there_is_a_tutorial():
    assert list(FOLDER.glob("*.ipynb"))
