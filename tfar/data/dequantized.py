"""Whole numbers as real numbers, for models with a density."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.checks import check_seed

# float32 holds every multiple of 1 / _PARTS below _LIMIT exactly.
_PARTS, _LIMIT = 2**16, 256


def dequantize(x: Any, seed: int = 0) -> NDArray[np.float32]:
    """Adds uniform noise in [0, 1) to whole numbers, such as pixels of 8 bits.

        y = x + u,    u = k / 2^16,    k = floor(w / 2^48)

    where w are the 64-bit words of `numpy.random.PCG64(seed).random_raw`, one for each number, a stream that NumPy
    guarantees not to change. Repeated whole numbers would let a density grow without bound. The density p of y gives a
    bound on the probability of x: log P(x) >= E[log p(x + u)], with P(x) the integral of p over x .. x + 1.

    Use another seed for each split of the data, and one for each epoch if fresh noise is wanted.

    Args:
        x: whole numbers in -256 .. 255, of any shape.
        seed: int.

    Returns:
        float32 array of the shape of `x`, from which `numpy.floor` gives x back.

    Raises:
        ValueError: If a value is not a whole number in -256 .. 255.

    Example:
        >>> y = dequantize([[0, 255], [7, 7]])
        >>> np.floor(y).tolist()
        [[0.0, 255.0], [7.0, 7.0]]

    References:
        Theis, van den Oord and Bethge. A note on the evaluation of generative models. ICLR 2016, section 3.1.
        https://arxiv.org/abs/1511.01844
    """
    values = np.asarray(x, np.float64)
    wrong = ~((np.floor(values) == values) & (values >= -_LIMIT) & (values < _LIMIT))
    if wrong.any():
        raise ValueError(f"Expected whole numbers in -{_LIMIT} .. {_LIMIT - 1}; received {values[wrong].flat[0]:.6g}.")
    words = np.random.PCG64(check_seed(seed)).random_raw(values.size) >> np.uint64(48)
    return (values + words.reshape(values.shape) / _PARTS).astype(np.float32)
