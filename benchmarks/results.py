"""Result files: a JSON file for each case, with its settings, machine, versions and results."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
from typing import Any

from benchmarks import machine

FOLDER = pathlib.Path(__file__).resolve().parent / "results"
SCHEMA = 1
# Key of a likelihood result: results by number of orders on all test rows. "test_nll_by_orders" is for the first rows.
ALL_ROWS = "test_nll_by_orders_all_rows"
KINDS = (
    "speed",
    "likelihood",
    "serving",
    "imputation",
    "memory",
    "ranking",
    "classifiers",
    "coding",
    "networks",
    "table_likelihood",
    "table_imputation",
    "table_outliers",
)


@dataclasses.dataclass(frozen=True)
class Result:
    """A measured case.

    Args:
        kind: str. One of KINDS.
        case: str. Name of the case.
        command: str. The command that reproduces the results.
        seed: int.
        data: dict. Name, sizes, SHA-256 of the arrays, and a note.
        settings: dict. All settings.
        figures: dict. The measured results.
        paper: dict. Published results and their source. Empty if there are none.
        targets: list of limits with the measured values and whether they are met.
        date: str. ISO date, UTC.
        machine: dict. Processor, cores and memory.
        versions: dict. Versions of Python, the libraries and tfar, and the commit.
        schema: int. Version of the file format.
    """

    kind: str
    case: str
    command: str
    seed: int
    data: dict[str, Any]
    settings: dict[str, Any]
    figures: dict[str, Any]
    paper: dict[str, Any]
    targets: list[dict[str, Any]]
    date: str
    machine: dict[str, Any]
    versions: dict[str, Any]
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"Expected a result of schema {SCHEMA}. Received: {self.schema}")
        if self.kind not in KINDS:
            raise ValueError(f"Expected a kind out of {KINDS}. Received: {self.kind!r}")
        for name, value in self.__dict__.items():
            kind = _TYPES[name]
            if not isinstance(value, kind):
                raise ValueError(f"Expected {name} of a result to be {kind.__name__}. Received: {value!r}")


_TYPES: dict[str, type] = {
    **dict.fromkeys(("kind", "case", "command", "date"), str),
    **dict.fromkeys(("seed", "schema"), int),
    **dict.fromkeys(("data", "settings", "figures", "paper", "machine", "versions"), dict),
    "targets": list,
}


def make(**fields: Any) -> Result:
    """Makes a result with the current date, machine and versions."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Result(date=today, machine=machine.machine(), versions=machine.versions(), **fields)


def path_of(kind: str, case: str, folder: pathlib.Path = FOLDER) -> pathlib.Path:
    """Returns the path of the result file of a case."""
    return folder / f"{kind}-{case}.json"


def write(result: Result, folder: pathlib.Path = FOLDER) -> pathlib.Path:
    """Writes a result file. The file appears under its name when it is complete."""
    path = path_of(result.kind, result.case, folder)
    write_json(dataclasses.asdict(result), path)
    return path


def write_json(content: Any, path: pathlib.Path) -> None:
    """Writes a JSON file. The file appears under its name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    os.replace(temporary, path)


def read(path: pathlib.Path) -> Result:
    """Reads and checks a result file.

    Raises:
        ValueError: If a field is missing, unknown or of the wrong type.
    """
    content = json.loads(path.read_text())
    fields = {field.name for field in dataclasses.fields(Result)}
    if set(content) != fields:
        missing, unknown = sorted(fields - set(content)), sorted(set(content) - fields)
        raise ValueError(f"Expected the fields of a result in {path.name}. Missing: {missing}. Unknown: {unknown}")
    return Result(**content)


def find(kind: str, case: str, folder: pathlib.Path = FOLDER) -> Result | None:
    """Returns the result of a case, or None if there is no result file."""
    path = path_of(kind, case, folder)
    return read(path) if path.exists() else None
