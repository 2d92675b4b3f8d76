"""Serving speed of MADE 784-500: `python -m benchmarks.serving [--quick] [--json FOLDER]`.

Exports the model and measures `log_prob` and `sample` with batch sizes 1, 16 and 256 in the C++ runtime of TensorFlow (the
loader and the session of TF Serving, without XLA), in LiteRT, and in the distribution itself (eager calls, compiled with XLA).
Each runtime has its own process. The processes are measured in turns, and the medians are reported. The command also measures how
much rounded weights in the TFLite file change log_prob on binarised MNIST, if it is found in TFAR_DATA_DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, render, results
from benchmarks.peers.masks import random_bits
from benchmarks.timing import summary

CASE = "made-784-500"
EVENT_SIZE, HIDDEN_UNITS, SEED = 784, (500,), 0
RUNTIMES = ("C++ runtime", "LiteRT", "live distribution")
OPERATIONS = ("log_prob", "sample")
BATCHES = (1, 16, 256)
ROUNDS, BURST_S = 8, 0.4
QUICK_ROUNDS, QUICK_BURST_S = 2, 0.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and writes its result file."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small model for half a minute; writes nothing")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the result")
    options = parser.parse_args(arguments)
    result = run(quick=options.quick)
    print(render.serving_report(result), flush=True)
    folder = options.json or (None if options.quick else results.FOLDER)
    if folder is not None:
        results.write(result, folder)
    return 0


def run(*, quick: bool = False) -> results.Result:
    """Runs the benchmark. `quick` uses a small model."""
    event_size, hidden_units = (16, (32,)) if quick else (EVENT_SIZE, HIDDEN_UNITS)
    rounds, burst_s = (QUICK_ROUNDS, QUICK_BURST_S) if quick else (ROUNDS, BURST_S)
    with tempfile.TemporaryDirectory() as folder:
        job, dist = _export(pathlib.Path(folder), event_size, hidden_units)
        with machine.OtherLoad() as others:
            timings = _time(job, rounds, burst_s)
        rounding = {} if quick else _rounding(dist, pathlib.Path(folder))
    return results.make(
        kind="serving",
        case="quick" if quick else CASE,
        command="python -m benchmarks.serving" + (" --quick" if quick else ""),
        seed=SEED,
        data={"name": "random bits", "note": "fair coins with a fixed seed; weights as initialised"},
        settings={
            "event_size": event_size,
            "hidden_units": list(hidden_units),
            "batches": list(BATCHES),
            "threads": machine.NUM_THREADS,
            "timing": "medians of bursts that alternate between three processes, two threads each",
        },
        figures={"runtimes": timings, "rounding": rounding, "other_load": others.share},
        paper={},
        targets=[],
    )


def _export(folder: pathlib.Path, event_size: int, hidden_units: Sequence[int]) -> tuple[dict[str, Any], Any]:
    """Writes both exports and the inputs. Returns the arguments of the workers and the distribution."""
    import tfar

    dist = tfar.MADE([event_size], hidden_units, seed=SEED)
    tfar.training.DensityModel(dist).save(folder / "made.keras")
    version = tfar.serving.export_saved_model(dist, folder / "made")
    np.savez(
        folder / "inputs.npz",
        log_prob=random_bits(max(BATCHES), event_size, SEED),
        sample=tfar.random.row_seeds(SEED, max(BATCHES)).numpy(),
    )
    job = {
        "saved_model": str(version),
        "tflite": str(tfar.serving.export_tflite(dist, folder / "made.tflite")),
        "keras": str(folder / "made.keras"),
        "inputs": str(folder / "inputs.npz"),
        "tensors": _tensor_names(version),
        "threads": machine.NUM_THREADS,
    }
    return job, dist


def _tensor_names(version: pathlib.Path) -> dict[str, list[str]]:
    """Returns the names of the input and output tensors of each operation, which the C++ runtime requires."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((version / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    return {
        name: [next(iter(ports.values())).name for ports in (signatures[name].inputs, signatures[name].outputs)]
        for name in OPERATIONS
    }


def _time(job: dict[str, Any], rounds: int, burst_s: float) -> dict[str, Any]:
    """Returns the timings by runtime, operation and batch size."""
    keys = [(operation, batch) for operation in OPERATIONS for batch in BATCHES]
    times: dict[tuple[str, str, int], list[float]] = {(r, *key): [] for r in RUNTIMES for key in keys}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(name, job)) for name in RUNTIMES}
        first = {(name, *key): _ask(workers[name], *key, 0.0)[0] for name in RUNTIMES for key in keys}
        for index in range(rounds):
            for key in keys:
                for turn in range(len(RUNTIMES)):
                    name = RUNTIMES[(index + turn) % len(RUNTIMES)]
                    times[(name, *key)] += _ask(workers[name], *key, burst_s)
    found: dict[str, Any] = {name: {operation: {} for operation in OPERATIONS} for name in RUNTIMES}
    for (name, operation, batch), seconds in times.items():
        timing = summary(seconds, first[name, operation, batch])
        found[name][operation][str(batch)] = {
            "median_ms": round(timing.median_ms, 4),
            "p90_ms": round(timing.p90_ms, 4),
            "rows_per_s": round(1e3 * batch / timing.median_ms),
            "first_s": round(timing.first_s, 4),
            "count": timing.count,
        }
    return found


@contextlib.contextmanager
def _worker(name: str, job: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.serving_worker", name, json.dumps(job)]
    with subprocess.Popen(
        command, cwd=machine.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(process: subprocess.Popen[str], operation: str, batch: int, burst_s: float) -> list[float]:
    """Requests a burst from a worker and returns the seconds of its counted calls.

    Raises:
        RuntimeError: If the worker has ended.
    """
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("Expected a worker with pipes.")
    process.stdin.write(json.dumps([operation, batch, burst_s]) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"The worker of {operation} died with exit status {process.wait()}.")
    return json.loads(line)


def _rounding(dist: Any, folder: pathlib.Path) -> dict[str, Any]:
    """Returns the effect of rounded weights on log_prob after short training. Empty if there are no data."""
    import keras

    import tfar
    from benchmarks import data

    try:
        rows = data.load("mnist")
    except ValueError:
        return {}
    model = tfar.training.DensityModel(dist, seed=SEED)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(rows.train, batch_size=100, epochs=1, verbose=0)
    found: dict[str, Any] = {"data": "1,000 test rows of binarised MNIST after one epoch of training"}
    for quantize in (None, "float16", "dynamic"):
        path = tfar.serving.export_tflite(dist, folder / f"{quantize}.tflite", quantize)
        error = tfar.serving.log_prob_error(dist, path, rows.test[:1000])
        found[quantize or "float32"] = {
            "mean_absolute_nats": round(error.mean_absolute, 6),
            "largest_nats": round(error.largest, 6),
            "nll": round(error.nll, 3),
            "mib": round(path.stat().st_size / 2**20, 2),
        }
    return found


if __name__ == "__main__":
    raise SystemExit(main())
