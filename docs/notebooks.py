"""Runs the tutorials and stores their outputs in them: `python docs/notebooks.py [NOTEBOOKS]`."""

import pathlib
import sys
import tempfile
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[1] / "tutorials"
TIMEOUT = 900


def run(path: pathlib.Path, folder: pathlib.Path) -> Any:
    """Returns a notebook after a run of all cells, whose files lie in `folder`."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=TIMEOUT, record_timing=False, resources={"metadata": {"path": str(folder)}}
    ).execute()
    # The kernel notes the version of Python here, which would change the file on another machine.
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def texts(notebook: Any) -> list[str]:
    """Returns the text of every output: what the cells print, and the values that they show."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


def main(paths: list[pathlib.Path]) -> None:
    """Runs the notebooks one after the other and replaces them."""
    for path in paths or sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(path, pathlib.Path(folder))
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main([pathlib.Path(name) for name in sys.argv[1:]])
