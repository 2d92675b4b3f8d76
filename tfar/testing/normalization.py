"""Check that probabilities sum to one."""

from typing import Any

import numpy as np

from tfar.distributions import Autoregressive
from tfar.testing import support
from tfar.testing.errors import CheckError


def check_normalized(
    dist: Autoregressive, conditional_input: Any = None, atol: float | None = None, seed: int = 0
) -> None:
    """Checks that the probabilities of all events sum to 1, or that a density integrates to 1.

    A discrete support is enumerated, up to 2**16 events. A density of one or two dimensions is integrated on a grid by
    the trapezoid rule.

    Args:
        dist: the distribution.
        conditional_input: None for a random condition, or the condition of one row.
        atol: float. Tolerance of the sum. Default: 1e-5, and 1e-3 for an integral.
        seed: int. Seed of the random condition and of the samples that determine the range of the grid.

    Raises:
        CheckError: If the sum is not 1; the message gives the sum.
        ValueError: If the support is too large, or is continuous with more than two dimensions, or if some
            values have a mass and others a density.

    Example:
        >>> tfar.testing.check_normalized(tfar.MADE(event_shape=[4], hidden_units=[8]))
    """
    if dist.head.discrete:
        events = support.enumerate_events(dist)
        total = float(np.exp(support.log_probs(dist, events, conditional_input, seed)).sum())
        what, limit = f"the probabilities of all {len(events)} events to sum to 1", 1e-5
    else:
        total = integrate(support.grid_density(dist, conditional_input, seed))
        what, limit = "the density to integrate to 1", 1e-3
    limit = limit if atol is None else atol
    if not abs(total - 1.0) <= limit:
        raise CheckError(f"Expected {what} within {limit:g}; received {total:.8f}.")


def integrate(grid: support.Grid) -> float:
    """Integrates a density on a grid by the trapezoid rule."""
    total: Any = grid.density
    for axis in reversed(grid.axes):
        total = np.trapezoid(total, axis, axis=-1)
    return float(total)
