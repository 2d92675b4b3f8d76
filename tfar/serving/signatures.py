"""The signatures of a distribution, as its exports offer them."""

from typing import Any

from tfar.forks import check_not_forked
from tfar.laws.signature import Signature


def signatures(dist: Any) -> dict[str, Signature]:
    """Returns the signatures of a distribution by name.

    Args:
        dist: a tfar distribution without a bound condition.

    Returns:
        The signatures. `serving_default`, which a request that names no signature gets, is the first one of the law.

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
