"""Every state in which a kill can leave a folder: copies of it, taken before each operation that changes it."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")
_active: list["KillPoints"] = []


class KillPoints:
    """Copies of a folder, and the paths that its recorded operations wrote.

    Args:
        folder: the folder to watch.
        copies: where the copies `0`, `1`, ... go.
    """

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self.copies = folder, copies
        self.points: list[Path] = []
        self.written: set[Path] = set()

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        """Copies the folder if the operation changes it; a file about to be renamed is cut in half.

        Opening a temporary file is no point of its own: the one before its renaming has the same files and half of it.
        """
        if event == "open" and not (isinstance(args[2], int) and args[2] & WRITES):
            return
        paths = [Path(os.fsdecode(p)) for p in args[:2] if isinstance(p, str | bytes | os.PathLike)]
        paths = [path for path in paths if self.folder == path or self.folder in path.parents]
        if not paths or not self.folder.exists():
            return
        if event == "open" and ".part" in paths[0].name:
            return
        copy = self.copies / str(len(self.points))
        shutil.copytree(self.folder, copy)
        self.points.append(copy)
        if event == "os.rename":
            half = copy / paths[0].relative_to(self.folder)
            if half.is_file():
                os.truncate(half, half.stat().st_size // 2)
        if event != "os.remove":
            self.written.add(paths[-1])


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in CHANGES and _active:
        recorder = _active.pop()  # The copying itself is not watched.
        try:
            recorder.see(event, args)
        finally:
            _active.append(recorder)


sys.addaudithook(_hook)


@contextlib.contextmanager
def recorded(folder: Path, copies: Path) -> Iterator[KillPoints]:
    """Records what happens to a folder in this process while the block runs."""
    recorder = KillPoints(folder, copies)
    _active.append(recorder)
    try:
        yield recorder
    finally:
        _active.clear()


def contents(folder: Path, besides: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The content of every file below a folder by its relative path, without those whose path starts with a prefix."""
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(besides)}
