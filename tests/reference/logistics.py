"""The discretised mixture of logistics as the paper writes it, in float64 and loops: slow, and independent of the package.

Salimans et al. PixelCNN++. ICLR 2017, equations 1-3.
"""

import math

import numpy as np


def logistic(z: float) -> float:
    """1 / (1 + exp(-z)), of infinities too."""
    return 1.0 / (1.0 + math.exp(-z)) if z > -700.0 else 0.0


def softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def mu_law(y: float, mu: float | None) -> float:
    """WaveNet's section 2.2, without rounding; y itself without a mu."""
    return y if mu is None else math.copysign(math.log1p(mu * abs(y)) / math.log1p(mu), y)


def channel_prob(x: float, loc: float, scale: float, low: int, high: int, mu: float | None = None) -> float:
    """Equation 2: the mass of the interval around x, open at the lowest and the highest value. In units of -1 .. 1."""
    half = 1.0 / (high - low)
    y = 2.0 * (x - low) / (high - low) - 1.0
    above = math.inf if x == high else (mu_law(y + half, mu) - loc) / scale
    below = -math.inf if x == low else (mu_law(y - half, mu) - loc) / scale
    if below > 0.0:  # the same mass seen from the other side, where the difference keeps its digits
        above, below = -below, -above
    return logistic(above) - logistic(below)


def pixel_prob(
    params: np.ndarray,
    x: np.ndarray,
    num_components: int,
    low: int,
    high: int,
    min_scale: float = math.exp(-7.0),
    mu: float | None = None,
) -> float:
    """Equation 3: p(x) of one pixel `[C]`, with the location of a channel moved by the channels before it."""
    channels = len(x)
    rows = np.asarray(params, np.float64).reshape(num_components, -1)
    weights = np.exp(rows[:, 0] - rows[:, 0].max())
    total = 0.0
    for weight, row in zip(weights / weights.sum(), rows, strict=True):
        locs, raw_scales, coefficients = (
            row[1 : 1 + channels],
            row[1 + channels : 1 + 2 * channels],
            row[1 + 2 * channels :],
        )
        used, mass = 0, weight
        for c in range(channels):
            loc = locs[c]
            for b in range(c):
                loc += coefficients[used] * mu_law(2.0 * (x[b] - low) / (high - low) - 1.0, mu)
                used += 1
            mass *= channel_prob(x[c], loc, softplus(raw_scales[c]) + min_scale, low, high, mu)
        total += mass
    return total
