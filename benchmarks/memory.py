"""Peak memory of one contestant in a separate process: `python -m benchmarks.memory made CASE CONTESTANT`.

The process imports its libraries, builds the contestant and runs each of its operations three times. It prints its peak
resident memory, and the resident memory after the imports.
"""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks import machine
from benchmarks.cases import SpeedCase, Unavailable, load_cases

NOTE = "largest resident memory of a fresh process that runs every operation three times"
REPEATS = 3


def measure(model: str, case: str, contestant: str, timeout_s: float = 600.0) -> dict[str, float] | None:
    """Runs a contestant in a new process. If the process fails, prints the last line of its error output and returns None."""
    command = [sys.executable, "-m", "benchmarks.memory", model, case, contestant]
    done = subprocess.run(command, cwd=machine.ROOT, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        print(f"No memory figure for {contestant}: {(done.stderr.splitlines() or ['?'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def find_case(model: str, name: str) -> SpeedCase:
    """Returns the speed case with this name."""
    cases = {case.name: case for case in load_cases(model).speed}
    if name not in cases:
        raise ValueError(f"Expected a speed case out of {sorted(cases)}. Received: {name!r}")
    return cases[name]


def main(model: str, case: str, contestant: str) -> int:
    """Prints both numbers as JSON."""
    build = find_case(model, case).contestants[contestant]
    if contestant.startswith("PyTorch"):
        import torch  # noqa: F401
    else:
        machine.set_threads()
        import tensorflow_probability  # noqa: F401
    imports = machine.peak_memory_mib()
    try:
        built = build()
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    for modes in built.operations.values():
        call = next(iter(modes.values()))
        for _ in range(REPEATS):
            call()
    print(json.dumps({"peak_mib": round(machine.peak_memory_mib()), "imports_mib": round(imports)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
