"""Benchmark of the speed: `python -m benchmarks.speed made [--quick] [--case NAME] [--peers-only] [--json FOLDER]`.

All libraries run in this process in turns, with two threads of the batch scheduling class. The medians are compared. The times
of first calls, which include tracing and compilation (an eager call, or the step of `fit`), and the peak memory are reported
too. A full run takes minutes and writes one result file for each case. `--quick` runs one small case and writes a result only
with `--json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import machine, memory, render, results
from benchmarks.cases import Contestant, SpeedCase, Unavailable, load_cases, model_names
from benchmarks.timing import Timing, alternate, fastest

TIMING_NOTE = "medians of calls that alternate between the contestants in one process, two threads each"
ORDER = ("log_prob", "sample", "train_step")


@dataclasses.dataclass(frozen=True)
class Effort:
    """Duration of the measurements: rounds, seconds of an operation and of a burst, and whether memory is measured."""

    rounds: int = 10
    budget_s: float = 60.0
    burst_s: float = 0.3
    with_memory: bool = True


FULL, QUICK = Effort(), Effort(rounds=4, budget_s=2.0, burst_s=0.02, with_memory=False)


def run_case(model: str, case: SpeedCase, effort: Effort, command: str, *, peers_only: bool = False) -> results.Result:
    """Measures one case and checks its targets."""
    contestants, skipped = _build(case, peers_only=peers_only)
    with machine.OtherLoad() as others:
        timings = {operation: _time(contestants, operation, effort) for operation in ORDER}
    figures = {name: _figures(name, contestants[name], timings) for name in contestants}
    if effort.with_memory:
        for name in figures:
            figures[name]["memory"] = memory.measure(model, case.name, name)
    settings = {
        "threads": machine.NUM_THREADS,
        "scheduling": machine.scheduling(),
        "timing": TIMING_NOTE,
        "memory": memory.NOTE,
    }
    medians = {name: {op: values["median_ms"] for op, values in f["operations"].items()} for name, f in figures.items()}
    return results.make(
        kind="speed",
        case=case.name,
        command=command,
        seed=case.seed,
        data={"name": "random bits", "note": "fair coins with a fixed seed; weights as initialised"},
        settings={**case.settings, **settings},
        figures={"contestants": figures, "skipped": skipped, "other_load": others.share},
        paper={},
        targets=[target.check(medians) for target in case.targets],
    )


def _build(case: SpeedCase, *, peers_only: bool) -> tuple[dict[str, Contestant], dict[str, str]]:
    contestants, skipped = {}, {}
    for name, build in case.contestants.items():
        if peers_only and name.startswith("tfar"):
            skipped[name] = "only the peers were asked for"
            continue
        try:
            contestants[name] = build()
        except Unavailable as reason:
            skipped[name] = str(reason)
    return contestants, skipped


def _time(contestants: Mapping[str, Contestant], operation: str, effort: Effort) -> dict[tuple[str, str, str], Timing]:
    """Measures an operation and its variants (such as "sample, fixed_point") for all contestants and modes."""
    calls = {
        (name, variant, mode): call
        for name, contestant in contestants.items()
        for variant, modes in contestant.operations.items()
        if variant.split(",")[0] == operation
        for mode, call in modes.items()
    }
    return alternate(calls, rounds=effort.rounds, budget_s=effort.budget_s, burst_s=effort.burst_s)


def _figures(name: str, contestant: Contestant, timings: Mapping[str, Mapping[Any, Timing]]) -> dict[str, Any]:
    """Returns the fastest mode of each operation of a contestant, with the medians of all modes."""
    operations: dict[str, Any] = {}
    for variant in contestant.operations:
        found = timings[variant.split(",")[0]]
        modes = {key[2]: timing for key, timing in found.items() if key[:2] == (name, variant)}
        best = fastest(modes)
        medians = {mode: round(timing.median_ms, 4) for mode, timing in modes.items()}
        # A user meets the first mode first: the eager call, or the step of `fit`.
        first_s = round(next(iter(modes.values())).first_s, 4)
        operations[variant] = {"mode": best, **_rounded(modes[best]), "first_s": first_s, "modes_ms": medians}
    return {"parameters": contestant.parameters, "operations": operations}


def _rounded(timing: Timing) -> dict[str, float]:
    return {name: round(value, 4) for name, value in dataclasses.asdict(timing).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cases, prints their tables and writes their result files."""
    options = _parse(arguments)
    machine.use_batch_scheduling()
    machine.set_threads()
    cases = [case for case in load_cases(options.model).speed if case.quick == options.quick]
    cases = [case for case in cases if options.case in (None, case.name)]
    if not cases:
        raise ValueError(f"Expected a speed case of {options.model}. Received: {options.case!r}")
    folder = options.json or (None if options.quick or options.peers_only else results.FOLDER)
    for case in cases:
        result = run_case(
            options.model,
            case,
            QUICK if options.quick else FULL,
            _command(options, case),
            peers_only=options.peers_only,
        )
        print(render.speed_report(result), flush=True)
        if folder is not None:
            results.write(result, folder)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.speed", description=__doc__)
    parser.add_argument("model", choices=model_names())
    parser.add_argument("--quick", action="store_true", help="one tiny case in about half a minute")
    parser.add_argument("--case", help="only this case")
    parser.add_argument("--peers-only", action="store_true", help="leave tfar out")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    return parser.parse_args(arguments)


def _command(options: argparse.Namespace, case: SpeedCase) -> str:
    flag = "--quick" if options.quick else f"--case {case.name}"
    return f"python -m benchmarks.speed {options.model} {flag}"


if __name__ == "__main__":
    raise SystemExit(main())
