"""Memory of a train step: `python -m benchmarks.step_memory [--quick] [--case NAME] [--json FOLDER]`.

Each case is trained for a few steps in new processes with the step of `DensityModel.fit`, once with its batch size and once with
one row. The difference of the two peaks is the memory of the other rows, because weights, optimiser and compiler are in both. For
a compiled step, the size of the buffers that XLA assigns (including weights and inputs) is reported too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, render, results
from benchmarks.models import nade, pixel_cnn, pixel_cnn_plus_plus
from benchmarks.peers.masks import random_bits

NOTE = "largest resident memory of a fresh process during three train steps, after a first that compiles"
STEPS = 3
COMPILED, PLAIN = "XLA", "tf.function"
# Pattern of the file with the buffers of the step. `one_step_on_data` is the name of the function in Keras.
ASSIGNMENT = "*one_step_on_data*buffer-assignment.txt"


@dataclasses.dataclass(frozen=True)
class StepCase:
    """A model whose train step is measured.

    Args:
        name: str. The result file is `memory-<name>.json`.
        title: str. Name of the model in the tables.
        build: function that makes the distribution.
        settings: dict. Settings of the distribution, for the result file.
        batch_size: int.
        numbers: float or None. Numbers per site that the backward pass needs according to the formula.
        modes: the modes to measure, COMPILED or PLAIN.
        dtype: str. Name of the Keras dtype policy.
    """

    name: str
    title: str
    build: Callable[[], Any]
    settings: Mapping[str, Any]
    batch_size: int
    numbers: float | None = None
    modes: tuple[str, ...] = (COMPILED, PLAIN)
    dtype: str = "float32"


# Numbers that the backward pass needs -----------------------------------------------------------------------------------


def pixel_cnn_numbers(filters: int, num_blocks: int, output_filters: Sequence[int]) -> float:
    """Returns the numbers per pixel of a PixelCNN with residual blocks: ReLUs of F, F/2 and F/2, and a padded copy of F/2."""
    return 2.5 * filters * num_blocks + filters + sum(output_filters)


def gated_pixel_cnn_numbers(filters: int, num_blocks: int, output_filters: Sequence[int]) -> float:
    """Returns the numbers per pixel of a GatedPixelCNN: tanh, sigmoid and input of each stack, link and gate."""
    return 9 * filters * (num_blocks + 1) + filters + sum(output_filters)


def pixel_cnn_plus_plus_numbers(filters: int, num_blocks: int, num_levels: int) -> float:
    """Returns the numbers per pixel of a PixelCNN++ with concat_elu and dropout.

    A block needs 12 F and a skip connection of F needs 4 F. Each deeper level needs a quarter of this.
    """
    total = 0.0
    for level in range(num_levels):
        up = num_blocks + (level + 1 < num_levels)
        total += ((12 + 16) * num_blocks + (16 + 20) * up) * filters / 4**level
    return total


# The cases ------------------------------------------------------------------------------------------------------------


def pixel_cnn_case(
    name: str, image: tuple[int, int], filters: int, num_blocks: int, batch_size: int, **how: Any
) -> StepCase:
    """Returns the case of a PixelCNN with residual blocks."""
    settings = {"filters": filters, "num_blocks": num_blocks, "output_filters": [32, 32]}
    return StepCase(
        name,
        f"PixelCNN {num_blocks} x {filters}",
        lambda: pixel_cnn.pixel_cnn(image, **settings),
        {"event_shape": list(image), **settings},
        batch_size,
        numbers=pixel_cnn_numbers(**settings),
        **how,
    )


def gated_case(image: tuple[int, int], batch_size: int, dtype: str = "float32") -> StepCase:
    """Returns the case of the GatedPixelCNN of the speed case."""
    settings = pixel_cnn.GATED
    filters, num_blocks = settings["filters"], settings["num_blocks"]
    half = dtype != "float32"
    return StepCase(
        f"gated-pixel-cnn-{num_blocks}x{filters}{'-' + dtype.replace('_', '-') if half else ''}",
        f"GatedPixelCNN {num_blocks} x {filters}{', ' + dtype if half else ''}",
        lambda: pixel_cnn.gated_pixel_cnn(image, **settings),
        {"event_shape": list(image), **settings},
        batch_size,
        numbers=gated_pixel_cnn_numbers(**settings),
        dtype=dtype,
    )


def plus_plus_case() -> StepCase:
    """Returns the case of the PixelCNN++ of the speed case."""

    def build() -> Any:
        import tfar

        return tfar.PixelCNNPlusPlus.from_tfp(pixel_cnn_plus_plus.IMAGE, **pixel_cnn_plus_plus.ARGUMENTS)

    arguments = pixel_cnn_plus_plus.ARGUMENTS
    names = {"filters": "num_filters", "num_blocks": "num_resnet", "num_levels": "num_hierarchies"}
    sizes = {ours: arguments[theirs] for ours, theirs in names.items()}
    return StepCase(
        "pixel-cnn-plus-plus-32",
        "PixelCNN++ {filters}, {num_blocks} block, {num_levels} levels".format(**sizes),
        build,
        {"event_shape": list(pixel_cnn_plus_plus.IMAGE), **arguments},
        pixel_cnn_plus_plus.BATCH,
        numbers=pixel_cnn_plus_plus_numbers(**sizes),
    )


def nade_case(event_size: int, hidden_units: int, batch_size: int) -> StepCase:
    """Returns the case of NADE, which never holds the features of all sites in memory."""
    return StepCase(
        f"nade-{event_size}-{hidden_units}",
        f"NADE {event_size}-{hidden_units}",
        lambda: nade.build_distribution(event_size, hidden_units, seed=0),
        {"event_shape": [event_size], "hidden_units": [hidden_units]},
        batch_size,
        modes=(COMPILED,),
    )


CASES = (
    pixel_cnn_case("pixel-cnn-7x64", pixel_cnn.MNIST, 64, 7, 16),
    gated_case(pixel_cnn.MNIST, 16),
    gated_case(pixel_cnn.MNIST, 16, "mixed_bfloat16"),
    plus_plus_case(),
    nade_case(784, 500, 1000),
    nade_case(1568, 500, 1000),
)
QUICK = pixel_cnn_case("quick", (8, 8), 8, 1, 4, modes=(COMPILED,))


# One process ----------------------------------------------------------------------------------------------------------


def measure_here(case: StepCase, batch_size: int, mode: str) -> dict[str, float]:
    """Trains in this process. Returns the peak memory during the steps and the peak before the first step, in MiB."""
    machine.set_tensorflow_threads()
    step = _train_step(case, batch_size, mode)
    before = machine.peak_memory_mib()
    step()
    machine.forget_peak_memory()
    for _ in range(STEPS):
        step()
    return {"peak_mib": round(machine.peak_memory_mib(), 1), "built_mib": round(before, 1)}


def _train_step(case: StepCase, batch_size: int, mode: str) -> Callable[[], float]:
    """Returns a function that runs one step of `DensityModel.fit` on the same batch."""
    import keras
    import tensorflow as tf

    import tfar

    keras.config.set_dtype_policy(case.dtype)
    dist = case.build()
    x = random_bits(batch_size, int(np.prod(dist.event_shape)), seed=0).reshape(-1, *dist.event_shape)
    if dist.network.awaits_data:
        dist.initialize(x[:1])
    model = tfar.training.DensityModel(dist, seed=0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=mode == COMPILED)
    iterator = iter(tf.data.Dataset.from_tensors(x).repeat())
    model.make_train_function()
    return lambda: float(model.train_function(iterator)["loss"])


# All of them ----------------------------------------------------------------------------------------------------------


def measure(
    case: StepCase, batch_size: int, mode: str, *, xla_flags: str = "", timeout_s: float = 1200.0
) -> dict[str, float]:
    """Runs `measure_here` in a new process.

    Raises:
        RuntimeError: If the process fails. The message holds the last line of its error output.
    """
    command = [sys.executable, "-m", "benchmarks.step_memory", "--here", case.name, str(batch_size), mode]
    flags = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {xla_flags}".strip()} if xla_flags else {}
    environment = {**os.environ, **flags}
    done = subprocess.run(command, cwd=machine.ROOT, capture_output=True, text=True, timeout=timeout_s, env=environment)
    if done.returncode:
        raise RuntimeError(f"No memory figure for {case.name}: {(done.stderr.splitlines() or ['?'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def assigned_mib(case: StepCase, batch_size: int) -> float:
    """Returns the MiB of all buffers that XLA assigns to the compiled step, from a dump of XLA.

    It uses a separate process, because writing dumps takes memory.

    Raises:
        RuntimeError: If the process fails or writes no dump.
    """
    with tempfile.TemporaryDirectory() as folder:
        measure(case, batch_size, COMPILED, xla_flags=f"--xla_dump_to={folder} --xla_dump_hlo_as_text")
        found = [total_bytes(path.read_text()) for path in pathlib.Path(folder).glob(ASSIGNMENT)]
    if not found:
        raise RuntimeError(f"Expected XLA to dump its buffers of {case.name} as {ASSIGNMENT}. Found none.")
    return round(max(found) / 2**20, 1)


def total_bytes(dump: str) -> int:
    """Returns the total number of bytes in a dump of XLA's buffer assignment.

    Raises:
        RuntimeError: If the dump has no line with the total.
    """
    match = re.search(r"^Total bytes used: (\d+)", dump, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"Expected a line 'Total bytes used: ...' in XLA's buffer assignment. Found: {dump[:200]!r}")
    return int(match[1])


def run_case(case: StepCase, command: str) -> results.Result:
    """Measures a case in all its modes."""
    modes = {mode: _figures(case, mode) for mode in case.modes}
    return results.make(
        kind="memory",
        case=case.name,
        command=command,
        seed=0,
        data={"name": "random bits", "note": "fair coins with a fixed seed; weights as initialised"},
        settings={
            **case.settings,
            "batch_size": case.batch_size,
            "dtype": case.dtype,
            "optimizer": "adam",
            "threads": machine.NUM_THREADS,
            "memory": NOTE,
        },
        figures={"title": case.title, "modes": modes, "formula_kib": _kib(case)},
        paper={},
        targets=[],
    )


def _figures(case: StepCase, mode: str) -> dict[str, float]:
    """Returns the peaks of both batch sizes and the memory of one more row; for a compiled step also by XLA's buffers."""

    def row_kib(one: float, batch: float) -> float:
        return round(1024 * (batch - one) / (case.batch_size - 1), 1)

    one, batch = (measure(case, size, mode) for size in (1, case.batch_size))
    peak = one["peak_mib"]
    figures = {**batch, "one_row_peak_mib": peak, "row_kib": row_kib(peak, batch["peak_mib"])}
    if mode == COMPILED:
        of_one, of_batch = (assigned_mib(case, size) for size in (1, case.batch_size))
        figures |= {"assigned_mib": of_batch, "assigned_row_kib": row_kib(of_one, of_batch)}
    return figures


def _kib(case: StepCase) -> float | None:
    """Returns the KiB per event according to the formula."""
    if case.numbers is None:
        return None
    size = 4 if case.dtype == "float32" else 2
    return round(case.numbers * math.prod(case.settings["event_shape"]) * size / 1024, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the cases, prints their tables and writes their result files."""
    options = _parse(arguments)
    cases = {case.name: case for case in (*CASES, QUICK)}
    if options.here:
        name, batch_size, mode = options.here
        print(json.dumps(measure_here(cases[name], int(batch_size), mode)))
        return 0
    if options.case is not None and options.case not in cases:
        raise ValueError(f"Expected a case out of {sorted(cases)}. Received: {options.case!r}")
    chosen = [cases[options.case]] if options.case else [QUICK] if options.quick else list(CASES)
    folder = options.json or (None if options.quick else results.FOLDER)
    for case in chosen:
        result = run_case(case, f"python -m benchmarks.step_memory --case {case.name}")
        print(f"{render.memory_table([case], [result])}\n", flush=True)
        if folder is not None:
            results.write(result, folder)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.step_memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one tiny case; writes nothing")
    parser.add_argument("--case", help="only this case")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    parser.add_argument("--here", nargs=3, metavar=("CASE", "BATCH", "MODE"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
