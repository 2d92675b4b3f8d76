"""Scores of a long run that are saved as it goes, so that a killed run can resume."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar import files
from tfar.model_files import read_json, reading

SCORES, JOURNAL = "log_prob.f32", "journal.json"
COMMIT_SECONDS = 1.0
COMMIT_ROWS = 1 << 20
_DTYPE = np.dtype("<f4")
_ITEM = _DTYPE.itemsize


class PartialScores:
    """The log_prob of the first rows, in a folder `.<name>.part` beside the finished file that survives the process.

        log_prob.f32   float32, little-endian, one for each row
        journal.json   the numbers of valid rows and batches in it, and the identity of model and data

    Scores are written and synced before the journal counts them, and the journal is replaced atomically. So the rows of the
    journal are complete even if the process is killed or the power fails. Later rows are written again. Scores of different
    identities, JSON values by part such as model and data, are not combined.

    Raises:
        ValueError: If the folder has scores of another identity, or is damaged.
        BlockingIOError: If another process writes to it.
        OSError: If the disk is full or cannot be written to.
    """

    def __init__(self, out: Path, identity: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = out.parent / f".{out.name}.part"
        self.identity = json.loads(json.dumps(identity))
        self.rows = self.batches = 0
        self._pending: list[NDArray] = []
        self._committed = time.monotonic()
        self._open()

    def _open(self) -> None:
        with self.explaining(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / SCORES).touch()
            self._file = open(self.folder / SCORES, "r+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        try:
            self._lock()
            if (self.folder / JOURNAL).exists():
                self._resume()
            else:
                self._write_journal(0, 0)
                files.sync_folder(self.folder)
                files.sync_folder(self.folder.parent)
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Excludes other processes. The system releases the lock when the process ends, in whichever way."""
        try:
            import fcntl
        except ImportError:  # Windows has no fcntl.
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"another process writes to {self.folder}: wait for it to end, or give another out"
            ) from error

    def _resume(self) -> None:
        what = f"a journal of scores (delete {self.folder} to start again)"
        journal = read_json(self.folder / JOURNAL, what)
        with reading(self.folder / JOURNAL, what):
            self.rows, self.batches, before = int(journal["rows"]), int(journal["batches"]), _flat(journal["identity"])
            if min(self.rows, self.batches) < 0:
                raise ValueError(f"{self.rows} rows in {self.batches} batches")
        now = _flat(self.identity)
        for name in sorted({*before, *now}):
            was, came = before.get(name), now.get(name)
            if was != came:
                raise ValueError(
                    f"{self.folder} holds the first {self.rows} scores of a run with another {name}: expected "
                    f"{_short(was)}; received {_short(came)}; give the same again, or delete the folder to start again"
                )
        if os.fstat(self._file.fileno()).st_size < self.rows * _ITEM:
            raise ValueError(f"{self.folder / SCORES} is damaged: expected {self.rows} scores; delete {self.folder}")

    def append(self, scores: NDArray[np.float32]) -> None:
        """Adds the scores `[B]` of the next batch, which are saved within about a second."""
        self._pending.append(scores)
        waiting = sum(map(len, self._pending))
        if time.monotonic() - self._committed >= COMMIT_SECONDS or waiting >= COMMIT_ROWS:
            self.commit()

    def commit(self) -> None:
        """Saves all scores so far."""
        if not self._pending:
            return
        content = memoryview(np.concatenate(self._pending).astype(_DTYPE).tobytes())
        rows, batches = self.rows + len(content) // _ITEM, self.batches + len(self._pending)
        with self.explaining(self.folder):
            self._file.seek(self.rows * _ITEM)
            while content:
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
        self._write_journal(rows, batches)
        self.rows, self.batches, self._pending = rows, batches, []
        self._committed = time.monotonic()

    def _write_journal(self, rows: int, batches: int) -> None:
        content = {"rows": rows, "batches": batches, "identity": self.identity}
        with self.explaining(self.folder):
            files.write_json(self.folder / JOURNAL, content)

    @contextlib.contextmanager
    def explaining(self, path: Path) -> Iterator[None]:
        """Adds to an OSError raised while `path` is written how to resume."""
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            hint = f"the first {self.rows} scores are kept, and the same run, started again, goes on from there"
            raise OSError(error.errno, f"could not write {path}: {reason}; {hint}") from error

    def chunks(self, size: int = 1 << 16) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yields all saved scores in chunks: the number of the first row, and float32 `[n]`."""
        with open(self.folder / SCORES, "rb") as file:
            for first in range(0, self.rows, size):
                count = min(size, self.rows - first)
                yield first, np.frombuffer(file.read(count * _ITEM), _DTYPE)

    def remove(self) -> None:
        """Removes the folder, once the finished file exists."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "PartialScores":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None and not self.rows:
            self.remove()


def _flat(identity: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{part} {name}": value for part, values in identity.items() for name, value in values.items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."
