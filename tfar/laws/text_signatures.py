"""Signatures of distributions over documents, beside those of every autoregressive distribution."""

from typing import Any

from tfar.laws.autoregressive_signatures import Examples, observed_sites
from tfar.laws.signature import Signature, Signatures, spec


def text_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures `encode`, the vector of a document, and `perplexity`, that of a word of it."""
    examples, law = Examples(dist.copy(jit_compile=False)), dist.law
    event, live = tuple(dist.event_shape.as_list()), examples.dist
    make = Signatures(
        {"value": spec("value", event), "observed": spec("observed", event)}, dist.conditional_shape, examples.rows
    )

    def scale(seed: int, result: Any) -> Any:
        return abs(result).reshape(len(result), -1).max(axis=1)

    return {
        "encode": make(
            ["value", "observed"],
            ("encoded", (dist.network.code_size,), "the vector of the document, from its observed words"),
            lambda given, condition: law.encode(given["value"], observed_sites(dist, given["observed"]), condition),
            lambda given, condition, seed: live.encode(
                given["value"], observed=given["observed"], conditional_input=condition
            ),
            scale,
        ),
        "perplexity": make(
            ["value", "observed"],
            ("perplexity", (), "the perplexity of an observed word; 1 of a document without words"),
            lambda given, condition: law.perplexity(given["value"], observed_sites(dist, given["observed"]), condition),
            lambda given, condition, seed: live.perplexity(
                given["value"], observed=given["observed"], conditional_input=condition
            ),
            scale,
        ),
    }
