"""Probabilities of classes from logits by whole numbers, which are the same on every machine.

A floating-point exponential differs in its last bit between mathematical libraries. So the weights of the classes are read
from a table that is computed with whole numbers.
"""

import functools

import numpy as np
from numpy.typing import NDArray

# Logits are rounded to multiples of 2**-LOGIT_BITS, and the largest class has the weight 2**WEIGHT_BITS.
LOGIT_BITS = 8
WEIGHT_BITS = 30
_DIGITS = 128  # binary digits of the computation of the table


def class_probs(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the softmax of logits `[..., K]`, the same bits on every machine.

    The weight of a class is `round(2**30 exp(-d))`, where d is the distance of its logit from the largest one, rounded to a
    multiple of 2**-8. Weights are whole numbers with exact sums, and a quotient of float64 has one correct result.

    Example:
        >>> class_probs(np.float32([0.0, 0.0, -100.0])).tolist()
        [0.5, 0.5, 0.0]
    """
    wide = logits.astype(np.float64)
    steps = np.rint((wide.max(axis=-1, keepdims=True) - wide) * 2.0**LOGIT_BITS)
    table = weights_by_distance()
    weights = table[np.minimum(steps, len(table) - 1).astype(np.int64)]
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


@functools.cache
def weights_by_distance() -> NDArray[np.float64]:
    """Returns `round(2**30 exp(-k / 256))` for k = 0, 1, ... up to the first 0."""
    one, factor = 1 << _DIGITS, _exp_of_step()
    value = one
    found: list[int] = []
    while not found or found[-1]:
        found.append((value + (one >> (WEIGHT_BITS + 1))) >> (_DIGITS - WEIGHT_BITS))
        value = value * factor >> _DIGITS
    return np.array(found, np.float64)


def _exp_of_step() -> int:
    """Returns exp(-2**-LOGIT_BITS) in units of 2**-_DIGITS, by its power series."""
    total = term = 1 << _DIGITS
    count = 0
    while term:
        count += 1
        term = (term >> LOGIT_BITS) // count
        total += term if count % 2 == 0 else -term
    return total
