"""Pseudorandom numbers that are a function of (seed, row index).

Splits use them instead of a random number generator, so that a stream of unknown length can be split, and so that no
release of NumPy changes the test set.
"""

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: np.ndarray) -> np.ndarray:
    """Applies the finaliser of SplitMix64, a bijective hash of 64-bit words."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def row_fractions(seed: int, start: int, count: int) -> np.ndarray:
    """Returns a uniform number in [0, 1) for each of `count` rows from row `start` on, float64 `[count]`.

        u[i] = (mix(mix(seed + gamma) + (i + 1) gamma) >> 11) / 2^53

    Example:
        >>> bool((row_fractions(7, 0, 10)[4:] == row_fractions(7, 4, 6)).all())
        True

    References:
        Steele, Lea and Flood. Fast splittable pseudorandom number generators. OOPSLA 2014, figure 17.
    """
    key = _mix(np.array([seed % 2**64], np.uint64) + _GAMMA)
    index = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    return (_mix(key + index * _GAMMA) >> np.uint64(11)) * 2.0**-53


def split_of_rows(seed: int, start: int, count: int, valid_fraction: float, test_fraction: float) -> np.ndarray:
    """Returns the split of each of `count` rows from row `start` on, int8: 0 for train, 1 for validation, 2 for test.

        test   if u[i] < test_fraction
        valid  if test_fraction <= u[i] < test_fraction + valid_fraction
        train  otherwise

    Example:
        >>> np.bincount(split_of_rows(0, 0, 10000, 0.1, 0.2)).tolist()
        [7045, 1017, 1938]
    """
    u = row_fractions(seed, start, count)
    valid = (u >= test_fraction) & (u < test_fraction + valid_fraction)
    return np.where(u < test_fraction, 2, np.where(valid, 1, 0)).astype(np.int8)
