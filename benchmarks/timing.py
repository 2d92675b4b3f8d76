"""Alternating measurements: everybody is timed in the same minutes of the same process."""

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
    """Times of one call in milliseconds; `first_s` is the first call, compilation included, in seconds."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    count: int
    first_s: float


def alternate(
    calls: Mapping[Name, Call], *, rounds: int = 30, budget_s: float = 30.0, burst_s: float = BURST_S
) -> dict[Name, Timing]:
    """Times `calls` round-robin: a burst of each in every round, the first of the round moving on by one.

    A machine that slows down for a while slows everybody. Before each burst there is a pause, so that worker threads
    of the library before, which spin while they wait for work, have gone to sleep (after a pause of 4 ms they still
    made PyTorch ten times slower, after 50 ms nothing was left). The first half of a burst is not counted: what is
    compared are loops that go on, as in training and scoring, and for some 50 ms after a pause the two threads of a
    library may still share a core, which costs TensorFlow up to half its speed and PyTorch a tenth.

    Args:
        calls: name to a call that returns when its result is ready.
        rounds: int. Rounds to run.
        burst_s: float. Seconds of a burst, about, the half that is not counted included.
        budget_s: float. No new round starts after this many seconds, once three are done.

    Returns:
        The timing of each name.
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
    """Name of the smallest median."""
    return min(timings, key=lambda name: timings[name].median_ms)


def _elapsed(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _burst_length(call: Call, burst_s: float) -> int:
    """How many calls fill the counted half of a burst, by the third call: the second after compilation can still be slow."""
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
    """The timing of calls that took `times`, in seconds."""
    low, median, high = (1e3 * float(value) for value in np.percentile(times, [10, 50, 90]))
    return Timing(median, low, high, len(times), first_s)
