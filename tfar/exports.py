"""Exported SavedModels on disk: found by the folder of all versions or of one, and told apart by their checksums."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "saved_model.pb"
DESCRIPTION = Path("assets.extra") / "tfar.json"
_HINTS = {
    ".keras": "a model to export first: tfar export {0} --out FOLDER",
    ".tflite": "a file for phones, which is run by TFLite: export a SavedModel too",
}


@dataclass(frozen=True)
class Export:
    """One version of an exported model.

    Args:
        path: the folder of the version, absolute.
        description: the content of its `tfar.json`.
        is_pinned: whether this version was asked for, rather than the newest one.
    """

    path: Path
    description: dict[str, Any]
    is_pinned: bool

    @property
    def base(self) -> Path:
        """The folder of all versions."""
        return self.path.parent

    def checksums(self) -> dict[str, str]:
        """The SHA-256 of the graph and of the weights, by file.

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
    """Finds a version of an exported model, and checks that its files are there.

    Args:
        path: folder of all versions, of which the newest one is taken; or the folder of one version.

    Raises:
        FileNotFoundError: If there is nothing, or a file of the version is missing.
        ValueError: If it is something else; says what.

    Example:
        >>> import tempfile
        >>> find_export(tempfile.mkdtemp())
        Traceback (most recent call last):
            ...
        ValueError: ... is no export: expected the folder of a version with saved_model.pb, or ...; it is empty
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
        f"{path} is no export: expected the folder of a version with {MODEL}, or a folder of versions 1, 2, ...; {held}"
        + (
            f" (a run of `tfar train`? Export it first: tfar export {path} --out FOLDER)"
            if "config.json" in names
            else ""
        )
    )


def _read(version: Path, is_pinned: bool) -> Export:
    version = version.resolve()
    try:
        description = json.loads((version / DESCRIPTION).read_text(encoding="utf-8"))
        wanted = sorted(description["sha256"])
    except FileNotFoundError as error:
        raise ValueError(f"{version} is no export of tfar: expected {DESCRIPTION} in it; there is none") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{version / DESCRIPTION}: expected what an export writes; received {error!r}") from error
    missing = [name for name in {MODEL, *wanted} if not (version / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{version} is incomplete: expected {', '.join(sorted(missing))} in it")
    return Export(version, description, is_pinned)


def sha256(paths: Iterable[Path]) -> str:
    """The checksum of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
