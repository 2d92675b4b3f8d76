"""Worker process of `benchmarks.serving` for one runtime. It reads requests and writes times as lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[str, np.ndarray], np.ndarray]
SETTLE_S = 0.05


def cpp(job: dict[str, Any]) -> Call:
    """Runs the C++ loader and session of TensorFlow, without XLA and without TensorFlow's Python."""
    from tests.serving import savedmodel_runtime

    model = savedmodel_runtime.SavedModel(savedmodel_runtime.library(), job["saved_model"])

    def call(operation: str, rows: np.ndarray) -> np.ndarray:
        source, target = job["tensors"][operation]
        return model.run({source: rows}, target)

    return call


def litert(job: dict[str, Any]) -> Call:
    """Runs LiteRT with one interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=job["tflite"], num_threads=job["threads"])
    runners = {name: interpreter.get_signature_runner(name) for name in ("log_prob", "sample")}
    inputs = {"log_prob": "value", "sample": "seed"}
    return lambda operation, rows: next(iter(runners[operation](**{inputs[operation]: rows}).values()))


def live(job: dict[str, Any]) -> Call:
    """Runs the distribution itself with eager calls, compiled with XLA."""
    from benchmarks import machine

    machine.set_threads(job["threads"])
    import tfar

    dist = tfar.load(job["keras"])

    def call(operation: str, rows: np.ndarray) -> np.ndarray:
        return (dist.log_prob(rows) if operation == "log_prob" else dist.sample(len(rows), seed=0)).numpy()

    return call


def burst(call: Callable[[], object], seconds: float) -> list[float]:
    """Returns the times of the calls in the second half of a burst, or of a single call if `seconds` is 0."""
    time.sleep(SETTLE_S)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds / 2:
        call()
    times: list[float] = []
    while not times or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def main(runtime: str, text: str) -> None:
    """Answers requests until the input ends."""
    job = json.loads(text)
    call = {"C++ runtime": cpp, "LiteRT": litert, "live distribution": live}[runtime](job)
    with np.load(job["inputs"]) as arrays:
        inputs = dict(arrays)
    for line in sys.stdin:
        operation, batch, seconds = json.loads(line)
        rows = inputs[operation][:batch]
        print(json.dumps(burst(lambda o=operation, r=rows: call(o, r), seconds)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
