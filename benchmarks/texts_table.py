"""Renders the results on texts as Markdown: perplexities of sentences beside n-grams, and of documents beside topic models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.cases import LikelihoodCase
from benchmarks.render import NOT_RUN, markdown_table, target_text
from benchmarks.results import Result
from benchmarks.topics import FRACTIONS

TEXTS_HEADER = (
    "data",
    "model",
    "perplexity a word",
    "nats a text",
    "perplexity by the bound of one latent",
    "KL, nats",
    "active units",
    "minutes of training",
    "targets",
)
DOCUMENTS_HEADER = (
    "method",
    "perplexity a word, one order",
    "a mixture of 16 orders",
    "one order, of all words together",
    *(f"precision at {fraction:.2%}" for fraction in FRACTIONS),
)


def texts_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns a row for each case and, once for each data set, for the best n-grams. A case without a result is marked."""
    rows, beside = [], {}
    for case, result in zip(cases, found, strict=True):
        if result is None:
            rows.append([case.data, case.title, NOT_RUN, *[""] * 6])
            continue
        rows.append(_row_of_texts(case, result))
        others = result.figures.get("beside", {})
        if others:
            name = min(others, key=lambda other: others[other]["perplexity"])
            beside[case.data] = [
                case.data,
                name,
                _perplexity(others[name]),
                f"{others[name]['nats_a_text']:.2f}",
                *[""] * 5,
            ]
    return markdown_table(TEXTS_HEADER, [*rows, *beside.values()], left=2)


def _row_of_texts(case: LikelihoodCase, result: Result) -> list[str]:
    figures, latent = result.figures, ["", "", ""]
    if "kl" in figures:
        latent = [f"{figures['bound_perplexity']:.2f}", f"{figures['kl']:.2f}", str(figures["active_units"])]
    targets = "; ".join(map(target_text, result.targets))
    minutes = f"{figures['train_seconds'] / 60:.0f}"
    return [case.data, case.title, _perplexity(figures), f"{figures['nats_a_text']:.2f}", *latent, minutes, targets]


def _perplexity(figures: Mapping[str, Any]) -> str:
    return f"{figures['perplexity']:.2f} ± {figures['standard_error']:.2f}"


def documents_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns a row for each case and, once, for each method beside them. A case without a result is marked.

    LDA is scored on some of the documents, on which the cases stand beside it in rows of their own.
    """
    rows, others, notes = [], {}, []
    for case, result in zip(cases, found, strict=True):
        if result is None:
            rows.append([case.title, NOT_RUN, *[""] * (len(DOCUMENTS_HEADER) - 2)])
            continue
        title, figures = f"tfar {case.title.removesuffix(', one order')}", result.figures
        rows.append(_row_of_documents(title, figures))
        few = {"perplexities": figures["lda_documents"]}
        rows.append(_row_of_documents(f"{title}, documents of LDA", few))
        others |= {name: _row_of_documents(name, _by_order(own)) for name, own in figures["beside"].items()}
        notes.append(f"{title}: {'; '.join(map(target_text, result.targets))}.")
    return "\n\n".join([markdown_table(DOCUMENTS_HEADER, [*rows, *others.values()]), *notes])


def _by_order(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the figures of a method without orders in the form of those of one order."""
    own = {"perplexities": {"1": figures["perplexities"]}} if "perplexities" in figures else {"perplexities": {}}
    return {**figures, **own}


def _row_of_documents(name: str, figures: Mapping[str, Any]) -> list[str]:
    one, many = (figures["perplexities"].get(count) for count in ("1", "16"))
    precision = figures.get("precision", {})
    return [
        name,
        "" if one is None else f"{one['macro']:.1f} ± {one['macro_error']:.1f}",
        "" if many is None else f"{many['macro']:.1f} ± {many['macro_error']:.1f}",
        "" if one is None else f"{one['micro']:.1f}",
        *(f"{precision[key]:.3f}" if (key := f"{fraction:.2%}") in precision else "" for fraction in FRACTIONS),
    ]
