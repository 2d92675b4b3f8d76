"""Alternating measurements of several functions in one process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np

Call = Callable[[], object]
Name = TypeVar("Name", bound=Hashable)

SETTLE_S = 0.1
BURST_S = 0.3
MAX_BURST = 500
SLOW_S = 0.2
MIN_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Timing:
    """Times of a function in milliseconds. `first_s` is the time of the first call in seconds, including compilation."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    count: int
    first_s: float


def alternate(
    calls: Mapping[Name, Call], *, rounds: int = 30, budget_s: float = 30.0, burst_s: float = BURST_S
) -> dict[Name, Timing]:
    """Measures functions in turns. Each round has one burst of calls of every function; the first function changes by round.

    In this way a temporary slowdown of the machine affects all functions. There is a pause before each burst, because worker
    threads of a library keep a core busy for a while after the last call (after a pause of 4 ms they made PyTorch ten times
    slower, after 50 ms there was no effect). The first half of a burst is not counted, because for about 50 ms after a pause
    the two threads of a library may share a core, which slows TensorFlow by up to a half and PyTorch by a tenth.

    Args:
        calls: dict from names to functions that return when their result is ready.
        rounds: int. Number of rounds.
        burst_s: float. Approximate duration of a burst in seconds, including the half that is not counted.
        budget_s: float. After this many seconds and at least three rounds, no new round starts.

    Returns:
        dict from names to timings.
    """
    first = {name: _elapsed(call) for name, call in calls.items()}
    bursts = {name: _burst_length(call, burst_s) for name, call in calls.items()}
    times: dict[Name, list[float]] = {name: [] for name in calls}
    names = list(calls)
    start = time.perf_counter()
    for index in range(rounds):
        if index >= MIN_ROUNDS and time.perf_counter() - start > budget_s:
            break
        turn = index % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            times[name] += _burst(calls[name], bursts[name])
    return {name: summary(times[name], first[name]) for name in calls}


def fastest(timings: Mapping[str, Timing]) -> str:
    """Returns the name with the smallest median."""
    return min(timings, key=lambda name: timings[name].median_ms)


def _elapsed(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _burst_length(call: Call, burst_s: float) -> int:
    """Estimates the calls in the counted half of a burst from the third call, because the second one may still be slow."""
    seconds = _elapsed(call)
    if seconds < SLOW_S:
        seconds = min(seconds, _elapsed(call), _elapsed(call))
    return int(np.clip(burst_s / 2 / max(seconds, 1e-9), 1, MAX_BURST))


def _burst(call: Call, length: int) -> list[float]:
    time.sleep(SETTLE_S)
    if length > 1:
        for _ in range(length):
            call()
    return [_elapsed(call) for _ in range(length)]


def summary(times: list[float], first_s: float) -> Timing:
    """Returns the timing of calls of these durations in seconds."""
    low, median, high = (1e3 * float(value) for value in np.percentile(times, [10, 50, 90]))
    return Timing(median, low, high, len(times), first_s)
