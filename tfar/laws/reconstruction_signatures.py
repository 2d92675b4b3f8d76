"""Signatures of autoencoders, beside those of every distribution over documents."""

from typing import Any

from tfar.laws.autoregressive_signatures import Examples, observed_sites
from tfar.laws.signature import Signature, Signatures, spec


def reconstruction_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures `encode`, the code of a text, and `reconstruction_log_prob`, which need no source."""
    examples, law = Examples(dist.copy(jit_compile=False)), dist.law
    event, live = tuple(dist.event_shape.as_list()), examples.dist

    def rows(seed: int) -> dict[str, Any]:
        return {name: part for name, part in examples.rows(seed).items() if not name.startswith("conditional")}

    def scale(seed: int, result: Any) -> Any:
        return abs(result).reshape(len(result), -1).max(axis=1).clip(1.0)

    make = Signatures({"value": spec("value", event), "observed": spec("observed", event)}, None, rows)
    return {
        "encode": make(
            ["value", "observed"],
            ("encoded", (dist.network.code_size,), "the code of the text, from its observed words"),
            lambda given, _: law.encode(given["value"], observed_sites(dist, given["observed"])),
            lambda given, _, seed: live.encode(given["value"], observed=given["observed"]),
            scale,
        ),
        "reconstruction_log_prob": make(
            ["value"],
            ("log_prob", (), "log-probability of the text given itself as the source, in nats"),
            lambda given, _: law.reconstruction_log_prob(given["value"]),
            lambda given, _, seed: live.reconstruction_log_prob(given["value"]),
            scale,
        ),
    }
