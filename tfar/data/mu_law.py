"""Companding of audio to a few levels, which are finer near silence."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.checks import check_count


def mu_law(x: Any, levels: int = 256) -> NDArray[np.float32]:
    """Compands a signal and rounds it to whole numbers 0 .. levels - 1, the values of a Categorical head.

        f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu),    mu = levels - 1

    Args:
        x: numbers in -1 .. 1, of any shape. Divide 16-bit samples by 32768.
        levels: int of at least 2. Number of levels.

    Returns:
        float32 array of the shape of `x`.

    Raises:
        ValueError: If `levels` is less than 2, or a number is outside -1 .. 1 or not finite.

    Example:
        >>> mu_law([-1.0, -0.01, 0.0, 0.01, 1.0]).tolist()
        [0.0, 98.0, 128.0, 157.0, 255.0]

    References:
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.2. https://arxiv.org/abs/1609.03499
    """
    mu = check_count("levels", levels, minimum=2) - 1
    x = np.asarray(x, np.float64)
    if not (np.abs(x) <= 1.0).all():
        wrong = x[~(np.abs(x) <= 1.0)].flat[0]
        raise ValueError(f"Expected a signal within -1 .. 1; received {wrong}. Divide 16-bit samples by 32768.")
    companded = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((companded + 1.0) * (0.5 * mu) + 0.5).astype(np.float32)


def inverse_mu_law(level: Any, levels: int = 256) -> NDArray[np.float32]:
    """Returns the signal in -1 .. 1 that `mu_law` maps to these levels.

    Args:
        level: whole numbers 0 .. levels - 1, of any shape.
        levels: int of at least 2. Number of levels.

    Returns:
        float32 array of the shape of `level`.

    Raises:
        ValueError: If `levels` is less than 2, or a number is not such a level.

    Example:
        >>> mu_law(inverse_mu_law([0, 98, 255])).tolist()
        [0.0, 98.0, 255.0]
    """
    mu = check_count("levels", levels, minimum=2) - 1
    level = np.asarray(level, np.float64)
    is_level = (level >= 0) & (level <= mu) & (level == np.floor(level))
    if not is_level.all():
        raise ValueError(f"Expected whole numbers 0 .. {mu}; received {level[~is_level].flat[0]}.")
    companded = 2.0 * level / mu - 1.0
    return (np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu).astype(np.float32)
