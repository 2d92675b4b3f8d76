"""Files and folders on disk: replaced as a whole, locked by one writer, swept of what a killed process left."""

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

LOCK = ".lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.part(\..+)?")
_held: dict[Path, int] = {}


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], suffix: str = "", folder: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` on success and removes it on failure.

    Works for a file and for a folder. The temporary name starts with a dot, so that no server takes it for a version.

    Args:
        path: path of the finished file or folder. Its parent is created if it is missing.
        suffix: str. The end of the temporary name, for writers that check it.
        folder: folder of the temporary file, on the same disk as `path`. Default: the folder of `path`.

    Raises:
        OSError: If writing fails; the message contains `path`.
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
        _remove(temporary)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Replaces a file by one with this content, which is on the disk before it gets its name."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Replaces a file by one with this content as JSON."""
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Makes the names in a folder survive a power failure, where the system supports it: a rename alone does not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: str | os.PathLike[str], names: str = "*") -> None:
    """Removes the temporary files and folders that a killed `replacing` left in a folder.

    Args:
        folder: the folder.
        names: pattern of the finished names. Others in the folder may belong to a process that is writing them.
    """
    for path in Path(folder).glob(f".{names}.*.part*"):
        if _TEMPORARY.fullmatch(path.name):
            _remove(path)


def is_empty(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder contains nothing, the lock and what a killed `replacing` left aside."""
    return all(path.name == LOCK or _TEMPORARY.fullmatch(path.name) for path in Path(folder).iterdir())


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps other processes that lock the same folder out of it, until the block or the process ends.

    The same process may lock a folder again inside the block.

    Args:
        folder: the folder, which is created if it is missing. While it is locked it contains the file `.lock`.

    Raises:
        BlockingIOError: If another process holds the lock.
        OSError: If the folder cannot be written to.
    """
    folder = Path(folder).resolve()
    file = None if _held.get(folder) else _lock(folder)
    _held[folder] = _held.get(folder, 0) + 1
    try:
        yield
    finally:
        _held[folder] -= 1
        if file is not None:
            (folder / LOCK).unlink(missing_ok=True)
            file.close()


def _lock(folder: Path) -> BinaryIO:
    """Opens and locks the lock file of a folder. The system releases the lock when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(folder / LOCK, "ab")  # noqa: SIM115 - closed by `locked`
        try:
            if not _flock(file) or _is_same_file(file, folder / LOCK):
                return file
        except BlockingIOError as error:
            file.close()
            raise BlockingIOError(
                error.errno, f"another process writes to {folder}: wait for it, or use another folder"
            ) from error
        file.close()  # The process that held the lock removed this file in the meantime.


def _flock(file: BinaryIO) -> bool:
    """Locks an open file; False on a system that has no such locks."""
    try:
        import fcntl
    except ImportError:
        return False
    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _is_same_file(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Removes a file or folder if the disk lets it; the error that was raised before says more than one of this."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
