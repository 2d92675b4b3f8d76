"""Exported SavedModels on disk: finds the newest or a given version and checks its files by their checksums."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tfar.model_files import read_json, reading

MODEL = "saved_model.pb"
DESCRIPTION = Path("assets.extra") / "tfar.json"
_HINTS = {
    ".keras": "a model that is not exported yet: tfar export {0} --out FOLDER",
    ".tflite": "a TFLite file: export a SavedModel too",
}


@dataclass(frozen=True)
class Export:
    """One version of an exported model.

    Args:
        path: the folder of the version, absolute.
        description: the content of its `tfar.json`.
        is_pinned: whether the caller named this version instead of the folder of all versions.
    """

    path: Path
    description: dict[str, Any]
    is_pinned: bool

    @property
    def base(self) -> Path:
        """The folder of all versions."""
        return self.path.parent

    def checksums(self) -> dict[str, str]:
        """Returns the SHA-256 of the graph and of the weights, by file.

        Raises:
            ValueError: If a file differs from the one that was exported.
        """
        found = {name: sha256([self.path / name]) for name in self.description["sha256"]}
        for name, checksum in found.items():
            if checksum != self.description["sha256"][name]:
                raise ValueError(
                    f"{self.path / name} is damaged: expected the checksum {self.description['sha256'][name]}, as "
                    f"{DESCRIPTION} says; received {checksum}"
                )
        return found


def find_export(path: str | os.PathLike[str]) -> Export:
    """Finds a version of an exported model and checks that its files exist.

    Args:
        path: folder of all versions, which means the newest one, or the folder of one version.

    Raises:
        FileNotFoundError: If the folder or a file of the version is missing.
        ValueError: If it is not an export of tfar, or its `tfar.json` is damaged.

    Example:
        >>> import tempfile
        >>> find_export(tempfile.mkdtemp())
        Traceback (most recent call last):
            ...
        ValueError: ... is not an export: expected the folder of a version with saved_model.pb, or ...; it is empty
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected the folder of an exported SavedModel")
    if not path.is_dir():
        hint = _HINTS.get(path.suffix, "a file").format(path)
        raise ValueError(f"expected the folder of an exported SavedModel; {path} is {hint}")
    if (path / MODEL).exists():
        return _read(path, is_pinned=True)
    versions = [p for p in path.iterdir() if p.name.isdecimal() and p.is_dir()]
    if versions:
        return _read(max(versions, key=lambda p: int(p.name)), is_pinned=False)
    names = sorted(p.name for p in path.iterdir())
    held = f"it holds {', '.join(names[:5])}" + (", ..." if len(names) > 5 else "") if names else "it is empty"
    raise ValueError(
        f"{path} is not an export: expected the folder of a version with {MODEL}, or a folder of versions 1, 2, ...; {held}"
        + (
            f" (a run of `tfar train`? Export it first: tfar export {path} --out FOLDER)"
            if "config.json" in names
            else ""
        )
    )


def _read(version: Path, is_pinned: bool) -> Export:
    version = version.resolve()
    path = version / DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{version} is not an export of tfar: expected {DESCRIPTION} in it; there is none")
    description = read_json(path, "what an export writes")
    with reading(path, "what an export writes"):
        _check_description(description)
    missing = [name for name in {MODEL, *description["sha256"]} if not (version / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{version} is incomplete: expected {', '.join(sorted(missing))} in it")
    return Export(version, description, is_pinned)


def _check_description(description: Any) -> None:
    """Checks the parts of a `tfar.json` that are used: checksums of files inside the version, and names of versions."""
    for name in ("sha256", "versions"):
        part = description[name]
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise ValueError(f"{name} {str(part)[:100]}")
    for name in description["sha256"]:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"the file {name!r} outside of the version")


def sha256(paths: Iterable[Path]) -> str:
    """Returns the SHA-256 of the content of files, concatenated."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
