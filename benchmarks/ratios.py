"""Ratios of medians, on which targets are set. A ratio is None if one of its contestants was skipped."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases import Medians


def ratio_to_fastest(medians: Medians, *, ours: str, peers: Sequence[str], operation: str) -> float | None:
    """Returns the time of tfar divided by the time of the fastest other library."""
    times = [time for peer in peers if (time := _time(medians, peer, operation)) is not None]
    mine = _time(medians, ours, operation)
    return mine / min(times) if mine is not None and times else None


def ratio_within(medians: Medians, *, ours: str, operation: str, unit: str) -> float | None:
    """Returns the time of one operation of tfar divided by that of another."""
    mine, other = _time(medians, ours, operation), _time(medians, ours, unit)
    return mine / other if mine is not None and other is not None else None


def faster_than(medians: Medians, *, ours: str, peer: str, operation: str) -> float | None:
    """Returns the time of another library divided by the time of tfar."""
    mine, theirs = _time(medians, ours, operation), _time(medians, peer, operation)
    return theirs / mine if mine is not None and theirs is not None else None


def _time(medians: Medians, contestant: str, operation: str) -> float | None:
    return medians.get(contestant, {}).get(operation)
