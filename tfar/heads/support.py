"""The values that a site can take."""

import math
from typing import NamedTuple


class Support(NamedTuple):
    """The values low .. high of a site.

    Attributes:
        low: float. The lowest value, or -inf.
        high: float. The highest value, or inf.
        discrete: bool. Whether the values are whole numbers.

    Example:
        >>> print(Support(0.0, 255.0, discrete=True), Support(0.0, 1.0, discrete=True), sep=", ")
        whole numbers 0 .. 255, {0, 1}
    """

    low: float = -math.inf
    high: float = math.inf
    discrete: bool = False

    @property
    def num_values(self) -> int | None:
        """Number of values; None if it is not finite."""
        return int(self.high - self.low) + 1 if self.discrete and math.isfinite(self.high - self.low) else None

    def __str__(self) -> str:
        low, high = f"{self.low:.15g}", f"{self.high:.15g}"
        if self.num_values == 2:
            return f"{{{low}, {high}}}"
        kind = "whole numbers" if self.discrete else "real numbers"
        if math.isinf(self.low) and math.isinf(self.high):
            return kind
        if math.isinf(self.high):
            return f"{kind} from {low}"
        if math.isinf(self.low):
            return f"{kind} up to {high}"
        return f"{kind} {low} .. {high}"
