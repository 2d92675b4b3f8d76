"""Validation of arguments, folders and optional packages, shared by the loaders."""

import numbers
import os
import pathlib
from typing import Any

DATA_DIR_VARIABLE = "TFAR_DATA_DIR"


def check_path(name: str, value: Any) -> str:
    """Returns a str or a path as a str, or raises ValueError."""
    try:
        return os.fsdecode(value)
    except TypeError as error:
        raise ValueError(f"{name} must be a str or a path; received {value!r}") from error


def data_folder(data_dir: str | os.PathLike[str] | None) -> pathlib.Path | None:
    """Returns the folder of data sets: `data_dir`, or else the environment variable TFAR_DATA_DIR, or else None."""
    if data_dir is not None:
        return pathlib.Path(check_path("data_dir", data_dir)).expanduser()
    named = os.environ.get(DATA_DIR_VARIABLE)
    return pathlib.Path(named).expanduser() if named else None


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """Returns `value` as an int, or raises ValueError if it is not an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; received {value!r}")
    return int(value)


def check_seed(value: Any) -> int:
    """Returns a seed as an int, or raises ValueError if it is not a non-negative integer."""
    return check_count("seed", value, minimum=0)


def check_fractions(valid_fraction: Any, test_fraction: Any) -> tuple[float, float]:
    """Returns both fractions, each in [0, 1), as floats, or raises ValueError; their sum must be below 1."""
    for name, value in (("valid_fraction", valid_fraction), ("test_fraction", test_fraction)):
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
            raise ValueError(f"{name} must be a number in [0, 1); received {value!r}")
    if valid_fraction + test_fraction >= 1:
        raise ValueError(
            "valid_fraction + test_fraction must be below 1, so that the train split has rows; "
            f"received {valid_fraction} + {test_fraction}"
        )
    return float(valid_fraction), float(test_fraction)


def check_frames(frames: Any, condition: str | None) -> None:
    """Raises ValueError if `frames` is neither None nor a positive int, or if it is given with labels of single pictures."""
    if frames is None:
        return
    check_count("frames", frames)
    if condition is not None:
        raise ValueError(f"condition={condition!r} labels single pictures: expected frames=None; received {frames}")
