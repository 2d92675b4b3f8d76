"""Checks of arguments that several functions of training share."""

import operator
from typing import Any


def check_int(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """Returns an argument as an int, or raises ValueError if it is not an int from `lowest` to `highest`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        end = "" if highest is None else f" and at most {highest}"
        raise ValueError(f"Expected `{name}` to be an int of at least {lowest}{end}; received {value!r}.")
    return number


def check_seed(value: Any) -> int:
    """Returns a seed as an int, or raises ValueError if it is not an int from 0 to 2**31 - 1."""
    return check_int("seed", value, 0, 2**31 - 1)
