"""Smoke test on an accelerator: `python -m benchmarks.gpu_smoke [--seconds 3]`.

Runs log_prob, a train step and sampling of MADE 784-500-500 with batch size 100 in float32 and in mixed_float16. Prints the
device, the times, and whether the results of the two precisions agree. Without a GPU it runs on the CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks import machine, tfar_side
from benchmarks.models.made import build_distribution
from benchmarks.peers.masks import random_bits
from benchmarks.render import markdown_table, milliseconds

EVENT_SIZE, HIDDEN_UNITS, BATCH_SIZE = 784, (500, 500), 100
POLICIES = ("float32", "mixed_float16")
OPERATIONS = ("log_prob", "sample", "sample, fixed_point", "train_step")
TOLERANCE = 1e-2


def devices() -> list[str]:
    """Returns the accelerators that TensorFlow finds, which are none on a machine without GPU or TPU."""
    import tensorflow as tf

    return [f"{device.name} ({kind})" for kind in ("GPU", "TPU") for device in tf.config.list_physical_devices(kind)]


def measure(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Returns the time of the first call in seconds, and the median of the other calls in milliseconds."""
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while not times or time.perf_counter() < stop:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return first, 1e3 * float(np.median(times))


def run_policy(policy: str, seconds: float) -> tuple[list[list[str]], np.ndarray]:
    """Returns the rows of the report for one precision, and the log_probs of a fixed batch before training."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        dist = build_distribution(EVENT_SIZE, HIDDEN_UNITS, seed=0)
        log_prob = np.asarray(dist.log_prob(random_bits(BATCH_SIZE, EVENT_SIZE, seed=0)))
        methods = ("ancestral", "fixed_point")
        operations = tfar_side.contestant(dist, EVENT_SIZE, BATCH_SIZE, methods=methods).operations
        rows = []
        for operation in OPERATIONS:
            first, median = measure(next(iter(operations[operation].values())), seconds)
            rows.append([policy, operation, f"{first:.2f}", milliseconds(median)])
    finally:
        keras.config.set_dtype_policy(before)
    return rows, log_prob


def agreement(found: dict[str, np.ndarray]) -> tuple[str, bool]:
    """Returns a sentence on the difference between the precisions, and whether it is small enough."""
    exact, mixed = (found[policy] for policy in POLICIES)
    error = float(np.max(np.abs(mixed - exact) / np.abs(exact)))
    good = bool(mixed.dtype == np.float32 and error < TOLERANCE)
    verdict = "agree" if good else "DISAGREE"
    return f"The precisions {verdict}: log_prob is {mixed.dtype}, largest relative difference {error:.1e}.", good


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report. The exit code is 1 if the results of mixed precision differ too much."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_smoke", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each operation")
    options = parser.parse_args(arguments)
    found, rows = {}, []
    accelerators = devices()
    print(
        f"Devices: {', '.join(accelerators)}" if accelerators else f"No GPU: on the CPU ({machine.machine()['cpu']})."
    )
    for policy in POLICIES:
        more, found[policy] = run_policy(policy, options.seconds)
        rows += more
    print(markdown_table(("precision", f"operation, batch {BATCH_SIZE}", "first call, s", "median, ms"), rows))
    sentence, good = agreement(found)
    print(sentence)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
