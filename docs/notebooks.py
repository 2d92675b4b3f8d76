"""Runs the tutorials and stores their outputs in them: `python docs/notebooks.py [NOTEBOOKS]`.

The picture of a cell with the tag `picture:NAME` is also written to `docs/pictures/NAME.png`, for the pages that show it.
"""

import base64
import pathlib
import re
import sys
import tempfile
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[1] / "tutorials"
PICTURES = pathlib.Path(__file__).parent / "pictures"
PICTURE_TAG = "picture:"
# Seconds of a cell: the longest trains for about half an hour on a slow machine.
TIMEOUT = 3600
# What TensorFlow's and LiteRT's C++ code print when they are loaded, whatever the level of the log is.
START_UP = re.compile(r"(WARNING: All log messages before absl|I\d{4} |INFO: Created TensorFlow Lite).*\n?|\s*\n")


def run(path: pathlib.Path, folder: pathlib.Path, settings: dict[str, Any] | None = None) -> Any:
    """Returns a notebook after a run of all cells, whose files lie in `folder`.

    `settings` replace values of the cell with the tag "parameters", such as `{"EPOCHS": 2}` for a short run.
    """
    notebook = nbformat.read(path, as_version=4)
    if settings:
        _replace_settings(notebook, settings)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=TIMEOUT, record_timing=False, resources=resources).execute()
    # The kernel notes the version of Python here, which would change the file on another machine.
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_start_up(output)]
    return notebook


def _replace_settings(notebook: Any, settings: dict[str, Any]) -> None:
    """Sets other values after those of the cell of parameters."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    names = re.findall(r"^(\w+) = ", cell.source, re.MULTILINE)
    if unknown := sorted(settings.keys() - set(names)):
        raise ValueError(f"Expected settings among {names}, those of the cell of parameters; received {unknown}.")
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())


def pictures(notebook: Any) -> dict[str, bytes]:
    """Returns the contents of the PNG files of the cells with a tag `picture:NAME`, by name."""
    found = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith(PICTURE_TAG):
                (data,) = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
                found[tag.removeprefix(PICTURE_TAG)] = base64.b64decode(data)
    return found


def _is_start_up(output: Any) -> bool:
    """Whether an output has only messages of `START_UP`."""
    return output.get("name") == "stderr" and START_UP.sub("", output.text) == ""


def main(paths: list[pathlib.Path]) -> None:
    """Runs the notebooks one after the other, and replaces them and their pictures."""
    for path in paths or sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(path, pathlib.Path(folder))
        nbformat.write(notebook, path)
        for name, content in pictures(notebook).items():
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"{name}.png").write_bytes(content)
        print(path.name)


if __name__ == "__main__":
    main([pathlib.Path(name) for name in sys.argv[1:]])
