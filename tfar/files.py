"""Files that are written beside and renamed, so that a kill or a full disk leaves no half of one."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], suffix: str = "", folder: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` on success and removes it on failure.

    Works for a file and for a folder. The temporary name starts with a dot, so that no server takes it for a version.

    Args:
        path: where the finished file or folder shall lie. Its parent is made if it is missing.
        suffix: what the temporary name must end with, for writers that look at it.
        folder: where the temporary lies, on the disk of `path`. Default: beside it.

    Raises:
        OSError: If writing fails, with the path that was meant.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(folder or path.parent) / f".{path.name}.{uuid.uuid4().hex[:8]}.part{suffix}"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"could not write {path}: {error.strerror or error}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            # A read-only disk refuses this too; the error that was raised first says more.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Makes the names in a folder safe from a power cut, where the system can: a rename alone is not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes JSON beside and renames it."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
