"""Renders the results on ratings as Markdown: the errors of held-out ratings, and the ranks of held-out items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.cases import LikelihoodCase
from benchmarks.ranking_metrics import METRICS
from benchmarks.render import NOT_RUN, markdown_table
from benchmarks.results import Result

RATINGS_HEADER = ("method", "RMSE", "negative log-likelihood, nats a rating", "seconds")
RANKING_HEADER = ("method", *METRICS, "tfar's NDCG@100 less this one's, 95 %", "seconds")


def ratings_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns a row for each case and, once, for each method beside them. A case without a result is marked."""
    rows, others, notes = [], {}, []
    for case, result in zip(cases, found, strict=True):
        if result is None:
            rows.append([case.title, NOT_RUN, "", ""])
            continue
        figures = result.figures
        rows.append(_rating_row(f"tfar {case.title}", figures, figures["train_seconds"]))
        others |= {name: _rating_row(name, own, own.get("seconds")) for name, own in figures["beside"].items()}
        target = figures["rmse_target"]
        verdict = "met" if target["met"] else "missed"
        notes.append(f"{case.title}: target RMSE {target['relation']} {target['limit']}, {verdict}.")
    return "\n\n".join([markdown_table(RATINGS_HEADER, [*rows, *others.values()]), *notes])


def _rating_row(name: str, figures: Mapping[str, Any], seconds: float | None) -> list[str]:
    if "skipped" in figures:
        return [name, figures["skipped"], "", ""]
    nll = f"{figures['test_nll']:.4f} ± {figures['standard_error']:.4f}" if "test_nll" in figures else ""
    return [name, f"{figures['rmse']:.4f} ± {figures['rmse_error']:.4f}", nll, f"{seconds:.0f}"]


def ranking_table(result: Result | None) -> str:
    """Returns a row for each method, with the interval of the difference of our NDCG@100 and its own."""
    if result is None:
        return f"{NOT_RUN} (`python -m benchmarks.ranking` writes it)"
    rows = []
    for name, figures in result.figures.items():
        if "skipped" in figures:
            rows.append([name, figures["skipped"], *[""] * (len(RANKING_HEADER) - 2)])
            continue
        low, high = figures["difference"]
        difference = "" if low == high == 0.0 else f"{low:+.3f} .. {high:+.3f}"
        rows.append([name, *(f"{figures[metric]:.3f}" for metric in METRICS), difference, f"{figures['seconds']:.0f}"])
    targets = [
        f"{t['name']} {t['relation']} {t['limit']:.3f}, {'met' if t['met'] else 'missed'}" for t in result.targets
    ]
    note = f"{result.data['name']}: {result.data['note']}. Targets: {'; '.join(targets)}."
    return "\n\n".join([markdown_table(RANKING_HEADER, rows), note])
