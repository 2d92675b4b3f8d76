"""Exported models read by other processes, which know nothing of tfar."""

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

READERS = {"SavedModel": "read_saved_model.py", "TFLite": "read_tflite.py"}
RUNTIMES = {"SavedModel": "tensorflow", "TFLite": "ai_edge_litert"}


def compare(dist: Any, written: dict[str, Path], rows: np.ndarray, console: Console) -> dict[str, float]:
    """Scores rows with exported models in fresh processes.

    Args:
        dist: the distribution that was exported.
        written: paths by "SavedModel" and "TFLite".
        rows: `[N, *event_shape]`.
        console: where to print.

    Returns:
        The largest difference of log_prob between the distribution and each export; none for a runtime that is missing.
    """
    expected = np.asarray(dist.log_prob(rows))
    differences = {}
    for what, path in written.items():
        if importlib.util.find_spec(RUNTIMES[what]) is None:
            console.print(f'{what}: not read back, as {RUNTIMES[what]} is missing: pip install "tfar\\[serving]"')
            continue
        with console.status(f"Reading the {what}"):
            differences[what] = float(np.abs(read(what, path, rows) - expected).max())
        console.print(
            f"{what}: {shown(path)}, log_prob of {len(rows)} rows differs by at most [bold]{differences[what]:.1e}[/] nats",
        )
    return differences


def read(what: str, path: Path, rows: np.ndarray) -> np.ndarray:
    """The log_prob `[N]` that an exported model gives in a fresh process.

    Raises:
        RuntimeError: If the process fails, with the end of what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "rows.npy", Path(folder) / "log_prob.npy"
        np.save(given, rows.astype(np.float32))
        # -P: the folder of the script, where this package lies, is not searched for modules.
        script = Path(__file__).with_name(READERS[what])
        command = [sys.executable, "-P", str(script), str(path), str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        if done.returncode:
            raise RuntimeError(f"{what} at {path} could not be read back:\n{done.stderr[-2000:]}")
        return np.load(result)
