"""The signatures of a distribution, as its exports offer them."""

from typing import Any

from tfar.forks import check_not_forked
from tfar.laws.signature import Signature


def signatures(dist: Any) -> dict[str, Signature]:
    """Returns the signatures of a distribution by name; `serving_default`, for requests without a name, is the first one.

    Raises:
        ValueError: If `dist` is not a tfar distribution, or its condition is bound.

    Example:
        >>> sorted(signatures(tfar.MADE([4], [8]))["complete"].inputs)
        ['observed', 'seed', 'value']
    """
    check_not_forked()
    if not hasattr(dist, "law"):
        raise ValueError(f"Expected a tfar distribution; received {type(dist).__name__}.")
    if dist.bound_condition is not None:
        raise ValueError(
            "Expected a distribution without a bound condition, because the condition is an input of every signature. Export "
            "the distribution on which `given` was called, and send the condition with each request."
        )
    made = dist.law.signatures(dist)
    return {"serving_default": next(iter(made.values())), **made}
