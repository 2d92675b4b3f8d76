"""A mixture of adaptive linear predictors of audio, in NumPy: what a strong lossless coder needs, in bits a sample.

`python -m benchmarks.peers.linear_prediction` prints the bits a sample of the test files, at 8 bits (mu-law) and at 16 bits.

Four linear predictors of different orders and windows are fitted to the samples before each block, by least squares. Around each
prediction lie logistic distributions of nine scales, which are multiples of the recent error of the predictor:

    p(x_t | x_<t) = sum_k w_k(t) (F((upper(x_t) - m_k(t)) / s_k(t)) - F((lower(x_t) - m_k(t)) / s_k(t)))

where F is the logistic function, and lower and upper bound the interval of signals that a level stands for. The weights w_k are
those of Bayes' rule, and an exponential decay makes them forget. Everything at time t is a function of the samples before t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Order, window in samples, and number of samples between two fits. At 8 kHz the windows are 8, 20, 40 and 128 ms.
PREDICTORS = ((2, 64, 8), (10, 160, 16), (16, 320, 16), (32, 1024, 32))
SCALES = np.geomspace(0.15, 4.0, 9)
WEIGHT_DECAY, ERROR_DECAY = 0.98, 0.9
RIDGE, LEAST_RIDGE = 1e-4, 1e-9
# A share of the weight is spread over all experts, and a scale is at least so large, so that no level is impossible.
UNIFORM_SHARE, FIRST_ERROR, LEAST_ERROR = 1e-3, 0.01, 1e-4
LEAST_PROBABILITY = 1e-12


class Levels:
    """The signals that levels stand for: `values` of the levels, and the `edges` between them from -inf to inf.

    `lowest` is the number of the first level, and `least_error` bounds the scale of an expert from below.
    """

    def __init__(
        self, values: np.ndarray, inner_edges: np.ndarray, lowest: int = 0, least_error: float = LEAST_ERROR
    ) -> None:
        self.values, self.lowest, self.least_error = np.asarray(values, np.float64), lowest, least_error
        self.edges = np.concatenate([[-np.inf], inner_edges, [np.inf]])


def mu_law_levels(levels: int = 256) -> Levels:
    """The levels of mu-law companding; the edges lie half-way between two levels before expansion."""
    mu = levels - 1

    def expanded(position: np.ndarray) -> np.ndarray:
        companded = 2.0 * position / mu - 1.0
        return np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu

    return Levels(expanded(np.arange(levels)), expanded(np.arange(mu) + 0.5))


def linear_levels(bits: int = 16) -> Levels:
    """Equal steps from -1 to 1, numbered as the samples are: -32768 to 32767 for 16 bits."""
    half = 2 ** (bits - 1)
    values = np.arange(-half, half) / half
    return Levels(values, values[:-1] + 0.5 / half, lowest=-half, least_error=1.0 / half)


def log_probs(x: np.ndarray, levels: Levels) -> np.ndarray:
    """Log-probability in nats of each level of a signal given the earlier ones, float64 `[T]`.

    Args:
        x: whole numbers `[T]`, the numbers of levels.
        levels: what they stand for.
    """
    x = np.asarray(x, int) - levels.lowest
    signal, bounds = levels.values[x], (levels.edges[x], levels.edges[x + 1])
    experts = []
    for order, window, block in PREDICTORS:
        mean = predictions(signal, order, window, block)
        error = _decayed(np.abs(signal - mean), ERROR_DECAY, FIRST_ERROR) + levels.least_error
        scaled = [(bound - mean) / (SCALES[:, None] * error) for bound in bounds]
        experts.append(_logistic_interval(*scaled))
    return _mixture(np.concatenate(experts))


def predictions(signal: np.ndarray, order: int, window: int, block: int) -> np.ndarray:
    """Predicts each sample from the `order` before it, `[T]`, with coefficients fitted to the `window` before its block."""
    lead, starts = window + order, np.arange(0, len(signal), block)
    padded = np.concatenate([np.zeros(lead), signal])
    # Row k holds the running sums of x_s x_{s-k}; a sum over a window is the difference of two of them.
    sums = np.zeros((order + 1, len(padded) + 1))
    for lag in range(order + 1):
        sums[lag, lag + 1 :] = np.cumsum(padded[lag:] * padded[: len(padded) - lag])
    lags = np.arange(order + 1)
    distance, earlier = np.abs(np.subtract.outer(lags, lags)), np.minimum.outer(lags, lags)
    ends = starts[:, None, None] + lead - earlier
    products = sums[distance, ends] - sums[distance, ends - window]
    ridge = RIDGE * products[:, :1, :1] + LEAST_RIDGE
    matrix = products[:, 1:, 1:] + ridge * np.eye(order)
    coefficients = np.linalg.solve(matrix, products[:, 1:, :1])[..., 0]
    before = sliding_window_view(padded, order)[window : window + len(signal), ::-1]
    return np.einsum("tk,tk->t", before, coefficients[np.arange(len(signal)) // block])


def _decayed(values: np.ndarray, decay: float, first: float) -> np.ndarray:
    """Exponential moving average of the values before each time."""
    result, average = np.empty(len(values)), first
    for time, value in enumerate(values):
        result[time] = average
        average = decay * average + (1.0 - decay) * value
    return result


def _logistic_interval(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Probability of an interval under the logistic distribution; right of its centre, of the mirrored interval."""
    mirrored = lower > 0
    low, high = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    with np.errstate(over="ignore"):
        return np.maximum(1.0 / (1.0 + np.exp(-high)) - 1.0 / (1.0 + np.exp(-low)), 0.0)


def _mixture(experts: np.ndarray) -> np.ndarray:
    """Log-probability `[T]` under the mixture of experts, whose probabilities are `[K, T]`."""
    experts = experts + LEAST_PROBABILITY
    log_experts, log_weights = np.log(experts), np.zeros(len(experts))
    weights = np.empty_like(experts)
    for time in range(experts.shape[1]):
        weights[:, time] = log_weights
        log_weights = WEIGHT_DECAY * log_weights + log_experts[:, time]
    weights = np.exp(weights - weights.max(axis=0))
    weights = (1.0 - UNIFORM_SHARE) * weights / weights.sum(axis=0) + UNIFORM_SHARE / len(experts)
    return np.log((weights * experts).sum(axis=0))


def bits_per_sample(files: Sequence[np.ndarray], levels: Levels) -> float:
    """Bits a sample of all files together."""
    nats = -sum(float(log_probs(x, levels).sum()) for x in files)
    return nats / sum(map(len, files)) / np.log(2.0)


def main() -> int:
    """Prints the bits a sample of the test files."""
    from benchmarks import speech

    for name, levels in (("speech_8_bit", mu_law_levels()), ("speech_16_bit", linear_levels())):
        files = [x.levels for x in speech.load(name).test]
        print(f"{name}, adaptive linear prediction: {bits_per_sample(files, levels):.4f} bits a sample")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
