"""Compares exported models with the distribution, by loading them in processes that do not import tfar."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tfar.cli.printing import shown

RUNTIMES = {"SavedModel": "tensorflow", "TFLite": "ai_edge_litert"}


def compare(dist: Any, written: dict[str, Path], rows: np.ndarray, console: Console) -> dict[str, float]:
    """Returns the largest difference of the log_prob of each export, loaded in a new process, from that of the distribution.

    `written` maps "SavedModel" and "TFLite" to a path. A format whose runtime is not installed is left out.
    """
    expected = np.asarray(dist.log_prob(rows))
    differences = {}
    for what, path in written.items():
        if importlib.util.find_spec(RUNTIMES[what]) is None:
            console.print(
                f'{what}: not compared, because {RUNTIMES[what]} is not installed: pip install "tfar\\[serving]"'
            )
            continue
        with console.status(f"Scoring with the {what}"):
            differences[what] = float(np.abs(read(what, path, rows) - expected).max())
        console.print(
            f"{what}: {shown(path)}, log_prob of {len(rows)} rows differs by at most [bold]{differences[what]:.1e}[/] nats"
        )
    return differences


def read(what: str, path: Path, rows: np.ndarray) -> np.ndarray:
    """Returns the log_prob `[N]` that an exported model computes in a new process; RuntimeError if that process fails."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "rows.npy", Path(folder) / "log_prob.npy"
        np.save(given, rows.astype(np.float32))
        # -P keeps the folder of the script off the module search path, so that its files cannot shadow other modules.
        script = Path(__file__).with_name("score_export.py")
        command = [sys.executable, "-P", str(script), what, str(path), str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        if done.returncode:
            raise RuntimeError(f"could not score with the {what} at {path}:\n{done.stderr[-2000:]}")
        return np.load(result)
