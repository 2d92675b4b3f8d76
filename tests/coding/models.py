"""Small models to freeze, with weights large enough that rounding and cutting matter."""

from typing import Any

import numpy as np

import tfar

SERIES = {"skip_filters": 6, "num_layers": 2, "num_stacks": 2}
CASES: dict[str, Any] = {
    "bits": lambda: tfar.MADE([6], [12], seed=0),
    "deep": lambda: tfar.MADE([2, 3], [12, 9], order="random", degrees="random", seed=1),
    "connectivity": lambda: tfar.MADE([5], [8], connectivity_weights=True, direct_connections=False, seed=2),
    "classes": lambda: tfar.MADE([4], [10], head=tfar.heads.Categorical(3), order="reverse", seed=3),
    "pixels": lambda: tfar.PixelCNN([2, 3], 4, num_blocks=2, first_kernel_size=3, seed=6),
    "colours": lambda: tfar.PixelCNN(
        [2, 2, 2], 4, num_blocks=1, first_kernel_size=3, head=tfar.heads.Categorical(3), use_residual=False, seed=7
    ),
    "gates": lambda: tfar.GatedPixelCNN([2, 3], 4, num_blocks=2, first_kernel_size=3, seed=8, conditional_shape=[3]),
    "gated colours": lambda: tfar.GatedPixelCNN(
        [2, 2, 2], 4, num_blocks=1, first_kernel_size=3, head=tfar.heads.Categorical(3), seed=9
    ),
    "series": lambda: tfar.WaveNet([6], 4, **SERIES, head=tfar.heads.Categorical(3), conditional_shape=[3], seed=10),
    "series of bits": lambda: tfar.WaveNet([4, 2], 4, **SERIES, head=tfar.heads.Bernoulli(), seed=11),
    "condition": lambda: tfar.MADE([5], [8], conditional_shape=[3], seed=4),
}


def make(name: str, scale: float = 0.7) -> Any:
    """A model of `CASES` with normal weights."""
    dist, rng = CASES[name](), np.random.default_rng(5)
    for variable in dist.network.variables:
        variable.assign(rng.normal(0.0, scale, variable.shape))
    return dist


def labels(dist: Any, count: int) -> Any:
    """One-hot conditional inputs for a model with a condition, else None."""
    if dist.conditional_shape is None:
        return None
    size = dist.conditional_shape[0]
    return np.eye(size, dtype=np.float32)[np.arange(count) % size]


def events(dist: Any) -> np.ndarray:
    """All events, `[N, *event_shape]`."""
    values, sites = dist.head.support().num_values, dist.num_sites
    return np.indices([values] * sites).reshape(sites, -1).T.reshape(-1, *dist.event_shape).astype(np.float32)
