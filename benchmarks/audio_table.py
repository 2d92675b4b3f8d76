"""Renders the results of audio models as Markdown: bits a sample, the effect of a wrong condition, and the cost of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.cases import LikelihoodCase
from benchmarks.render import NOT_RUN, markdown_table
from benchmarks.results import Result

HEADER = (
    "data",
    "model",
    "parameters",
    "bits a sample",
    "with a wrong condition",
    "mean difference of a file",
    "validation bits after minutes",
    "million samples trained",
    "machine",
)


def audio_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns a row for each case. A case without a result is marked."""
    rows = [_row(case, result) for case, result in zip(cases, found, strict=True)]
    return markdown_table(HEADER, rows, left=2)


def _row(case: LikelihoodCase, result: Result | None) -> list[str]:
    if result is None:
        return [case.data, case.title, "", NOT_RUN, *[""] * 5]
    figures = result.figures
    return [
        case.data,
        case.title,
        f"{figures['parameters']:,}",
        f"{figures['bits_per_dim']:.3f} ± {figures['standard_error']:.3f}",
        *_changed(figures.get("changed_condition")),
        ", ".join(f"{point['seconds'] / 60:.0f}: {point['valid']:.2f}" for point in doubling(figures["curve"])),
        f"{figures['train_samples'] / 1e6:.0f}",
        result.machine["cpu"],
    ]


def _changed(changed: dict[str, Any] | None) -> list[str]:
    if changed is None:
        return ["", ""]
    return [
        f"{changed['bits_per_dim']:.3f} ({changed['change']})",
        f"{changed['mean_difference']:+.3f} (t = {changed['t']:.1f})",
    ]


def doubling(curve: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Returns the points number 1, 2, 4, 8, ... and the last."""
    counts = {2**power for power in range(len(curve).bit_length())} & set(range(len(curve))) | {len(curve)}
    return [curve[count - 1] for count in sorted(counts)]
