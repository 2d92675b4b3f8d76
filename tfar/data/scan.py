"""What a first pass over the rows of files finds: their range, their units, missing values, and the head that suits them."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfar.moments import Moments

MAX_CLASSES = 256


@dataclasses.dataclass
class Values:
    """Minimum and maximum of the values that have been read, whether all are whole numbers, and whether some are missing.

    Example:
        >>> values = Values(); values.add([np.array([0.0, 3.0])])
        2
        >>> suit(None, None, values)
        ('Categorical', {'num_classes': 4})
    """

    minimum: float = np.inf
    maximum: float = -np.inf
    integral: bool = True
    missing: bool = False

    def add(self, chunks: Iterator[np.ndarray], moments: Moments | None = None) -> int:
        """Updates the statistics, and `moments` if given, with more rows and returns the number of these rows."""
        count = 0
        for chunk in chunks:
            count += len(chunk)
            observed = chunk[~np.isnan(chunk)]
            self.missing = self.missing or observed.size < chunk.size
            if observed.size:
                self.minimum = min(self.minimum, float(observed.min()))
                self.maximum = max(self.maximum, float(observed.max()))
                self.integral = self.integral and bool((observed == np.rint(observed)).all())
            if moments is not None:
                moments.add(np.ma.array(chunk, mask=np.isnan(chunk)))
        return count


def suit(head: str | None, head_config: dict[str, Any] | None, values: Values) -> tuple[str, dict[str, Any]]:
    """Returns the name and the arguments of the head; those that are None are chosen from the values."""
    levels = int(values.maximum) + 1 if values.integral and 0 <= values.minimum <= values.maximum else None
    if head is None:
        if head_config is not None:
            raise ValueError(f"head_config requires head=…; received head_config={head_config} and head=None")
        if levels is not None and levels <= 2:
            head = "Bernoulli"
        else:
            head = "Categorical" if levels is not None and levels <= MAX_CLASSES else "NormalMixture"
    if head_config is not None:
        return head, dict(head_config)
    if head == "Categorical" and levels is None:
        raise ValueError(
            "Categorical requires non-negative whole numbers or head_config={'num_classes': …}; the data have other values"
        )
    configs: dict[str, dict[str, Any]] = {
        "Categorical": {"num_classes": levels},
        "NormalMixture": {"num_components": 10},
    }
    return head, configs.get(head, {})
