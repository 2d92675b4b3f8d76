"""What the checks feed a distribution: conditions, values, whole supports and grids."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.distributions import Autoregressive
from tfar.distributions.rows import condition, condition_items

MAX_EVENTS = 2**16
CHUNK = 2**14
GRID_POINTS = {1: 2**15 + 1, 2: 2**10 + 1}


class Grid(NamedTuple):
    """A density on a regular grid.

    Attributes:
        axes: one float64 `[N]` for each dimension.
        density: float64 `[N]` or `[N, N]`.
    """

    axes: list[NDArray[np.float64]]
    density: NDArray[np.float64]


def condition_rows(dist: Autoregressive, conditional_input: Any, num_rows: int, seed: int) -> Any:
    """The condition of one row, repeated: what is given, what is bound, or positive random numbers.

    Args:
        dist: the distribution.
        conditional_input: None, or the condition of one row, `[*conditional_shape]` or a dict of them.
        num_rows: int.
        seed: int. Seed of the random condition.

    Returns:
        None, or float32 `[num_rows, *conditional_shape]` or a dict of them.
    """
    shape = dist.conditional_shape
    if shape is None:
        return condition(conditional_input, None)
    bound = dist._condition if conditional_input is None else conditional_input
    if bound is None:
        generator = np.random.default_rng([seed, 1])
        draw = lambda s: generator.uniform(0.5, 1.5, size=s)  # noqa: E731
        bound = {name: draw(s) for name, s in shape.items()} if isinstance(shape, dict) else draw(shape)
    checked = condition(bound, shape)
    rows = [tf.reshape(t, [-1, *s])[:1] for t, s in condition_items(checked, shape)]
    rows = [tf.repeat(row, num_rows, axis=0) for row in rows]
    return dict(zip(shape, rows, strict=True)) if isinstance(shape, dict) else rows[0]


def take(conditional_input: Any, rows: Any) -> Any:
    """Rows of a condition: an index, a slice or an array of them of every tensor; None stays None."""
    if conditional_input is None:
        return None
    return tf.nest.map_structure(lambda tensor: np.asarray(tensor)[rows], conditional_input)


def random_values(dist: Autoregressive, num_rows: int, seed: int) -> NDArray[np.float32]:
    """Random values of the support, `[num_rows, *event_shape]`; the first row is at the top of it."""
    generator = np.random.default_rng([seed, 2])
    shape = (num_rows, *dist.network.event_shape)
    support = dist.head.support()
    if support.num_values is not None:
        values = generator.integers(support.num_values, size=shape).astype(np.float32)
        values[0] = support.num_values - 1
        return values + np.float32(support.low)
    values = generator.normal(size=shape).astype(np.float32)
    values[0] = np.abs(values[0]) + 0.5
    return values


def enumerate_events(dist: Autoregressive) -> NDArray[np.float32]:
    """All events of a discrete distribution, `[events, *event_shape]`.

    Raises:
        ValueError: If the support is not finite or holds more than `MAX_EVENTS` events.
    """
    support, dims = dist.head.support(), int(np.prod(dist.network.event_shape))
    classes = support.num_values
    if classes is None:
        raise ValueError(f"Expected a head with a finite support; received {type(dist.head).__name__}.")
    if dims * np.log2(classes) > np.log2(MAX_EVENTS):
        raise ValueError(
            f"Expected a support of at most {MAX_EVENTS} events, as all are enumerated; received {classes}**{dims}. "
            "Make the same distribution with a smaller `event_shape`."
        )
    events = np.array(list(itertools.product(range(classes), repeat=dims)), np.float32) + np.float32(support.low)
    return events.reshape(-1, *dist.network.event_shape)


def log_probs(dist: Autoregressive, values: Any, conditional_input: Any, seed: int) -> NDArray[np.float64]:
    """`log_prob` of many values under the condition of one row, float64 `[len(values)]`."""
    parts = []
    for first in range(0, len(values), CHUNK):
        chunk = values[first : first + CHUNK]
        rows = condition_rows(dist, conditional_input, len(chunk), seed)
        parts.append(np.asarray(dist.log_prob(chunk, conditional_input=rows), np.float64))
    return np.concatenate(parts)


def grid_density(dist: Autoregressive, conditional_input: Any, seed: int) -> Grid:
    """The density of a continuous distribution of one or two dimensions, over the range of its samples and beyond.

    Raises:
        ValueError: If an event has more than two dimensions.
    """
    dims = int(np.prod(dist.network.event_shape))
    if dims not in GRID_POINTS:
        raise ValueError(
            f"Expected a continuous event of 1 or 2 dimensions, to integrate it on a grid; received {dims}."
        )
    condition = condition_rows(dist, conditional_input, 4096, seed)
    samples = np.asarray(dist.density.sample(random.row_seeds(seed, 4096), condition), np.float64).reshape(-1, dims)
    axes = []
    for low, high in zip(samples.min(0), samples.max(0), strict=True):
        margin = 0.6 * (high - low)
        axes.append(np.linspace(low - margin, high + margin, GRID_POINTS[dims]))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, *dist.network.event_shape)
    density = np.exp(log_probs(dist, points.astype(np.float32), conditional_input, seed))
    return Grid(axes, density.reshape([len(axis) for axis in axes]))
