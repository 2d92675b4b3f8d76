"""Checks of the correctness of distributions, for user-defined networks and heads and for tfar's test suite.

Every check returns None or raises `CheckError`, an AssertionError that names the error and its location. A check that
cannot be done, such as enumerating images, raises a ValueError.
"""

from tfar.testing.errors import CheckError
from tfar.testing.influences import check_autoregressive
from tfar.testing.normalization import check_normalized
from tfar.testing.samples import check_samplers_agree, check_samples, equal_samples
from tfar.testing.steps import check_steps

__all__ = [
    "CheckError",
    "check_autoregressive",
    "check_normalized",
    "check_samplers_agree",
    "check_samples",
    "check_steps",
    "equal_samples",
]
