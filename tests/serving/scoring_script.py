"""Runs of `tfar.serving.score` in processes of their own.

python scoring_script.py killed EXPORT ROWS OUT     kills run after run, each at a later moment, until one gets through
python scoring_script.py memory EXPORT KIND FOLDER  prints the size of a file and by how much scoring it grew, in MB
"""

import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from tfar.data import open_rows
from tfar.serving import partial_scores, score

WIDTH = 60


def run_killed(export: str, rows: str, out: str, moment: int) -> None:
    """Scores, and dies around the call number `moment` that changes a file: before it, or after it."""
    partial_scores.COMMIT_SECONDS = 0.0
    calls = 0

    def dying(function):
        def wrapped(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == moment and moment % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    os.fsync, os.replace, shutil.rmtree = dying(os.fsync), dying(os.replace), dying(shutil.rmtree)
    score(export, open_rows(rows, batch_size=40), out)


def killed(export: str, rows: str, out: str) -> None:
    """Each run is a fork, as the imports take longer than the run."""
    ends = []
    for moment in range(1, 60):
        child = os.fork()
        if child == 0:
            try:
                run_killed(export, rows, out, moment)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if ends[-1] == 0:
            break
    print(json.dumps(ends))


def write(path: Path, kind: str, num_rows: int) -> None:
    """A file of rows of 60 numbers, of which three are scored; of a .parquet file only those would be read: of three."""
    path = path.with_suffix(f".{kind}")
    if kind == "csv":
        with open(path, "w") as file:
            for _ in range(num_rows // 1000):
                file.write((",".join(["-1.125"] * WIDTH) + "\n") * 1000)
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Random numbers, because equal ones would be packed into nothing.
        rng, schema = np.random.default_rng(0), pa.schema([(name, pa.float32()) for name in "abc"])
        with pq.ParquetWriter(path, schema, compression="none") as writer:
            for _ in range(num_rows // 10_000):
                writer.write_table(pa.table([rng.normal(size=10_000).astype(np.float32) for _ in "abc"], schema))
    else:
        rows = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.float32, (num_rows, WIDTH))
        rows[:] = 0.25
        rows.flush()
        if kind == "npz":
            np.savez(path, x=rows)


def memory(export: str, kind: str, folder: str) -> None:
    """The peak of the resident set after a small file and after a large one."""
    many = {"csv": 240_000, "parquet": 10_000_000}.get(kind, 800_000)
    child = os.fork()
    if child == 0:  # What is needed to write the files is not to be counted.
        write(Path(folder) / "small", kind, 40_000)
        write(Path(folder) / "large", kind, many)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the files could not be written")
    peaks = []
    for name in ("small", "large"):
        path = (Path(folder) / name).with_suffix(f".{kind}")
        score(export, open_rows(path, batch_size=5000, columns=[0, 1, 2]), Path(folder) / f"{name}_scores.npy")
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(path.stat().st_size / 2**20, peaks[1] - peaks[0])


if __name__ == "__main__":
    {"killed": killed, "memory": memory}[sys.argv[1]](*sys.argv[2:])
