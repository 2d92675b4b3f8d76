"""Checks of arguments that several functions of training share."""

from typing import Any


def check_int(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """Returns an argument as an int.

    Raises:
        ValueError: If it is not an int from `lowest` to `highest`.
    """
    is_int = hasattr(value, "__index__") and not isinstance(value, bool)
    if not is_int or int(value) < lowest or (highest is not None and int(value) > highest):
        end = "" if highest is None else f" and at most {highest}"
        raise ValueError(f"Expected `{name}` to be an int of at least {lowest}{end}; received {value!r}.")
    return int(value)


def check_seed(value: Any) -> int:
    """Returns a seed as an int, or raises ValueError if it is not an int from 0 to 2**31 - 1."""
    return check_int("seed", value, 0, 2**31 - 1)
