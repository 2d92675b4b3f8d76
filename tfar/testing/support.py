"""Inputs of the checks: conditions, values, enumerated supports and grids."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfar import random
from tfar.distributions import Autoregressive
from tfar.distributions.rows import condition, condition_items, pack_condition

MAX_EVENTS = 2**16
CHUNK = 2**14
GRID_POINTS = {1: 2**14 + 1, 2: 2**9 + 1}


class Grid(NamedTuple):
    """A density on a regular grid.

    Attributes:
        axes: one float64 `[N]` for each dimension.
        density: float64 `[N]` or `[N, N]`.
    """

    axes: list[NDArray[np.float64]]
    density: NDArray[np.float64]


def event_shape(dist: Autoregressive) -> tuple[int, ...]:
    """Returns the shape of an event.

    Raises:
        ValueError: If the length of an event is not fixed.
    """
    if not dist.event_shape.is_fully_defined():
        raise ValueError(
            f"Expected events of a fixed shape; received {dist.event_shape}. Check `dist.with_length(...)`."
        )
    return tuple(int(size) for size in dist.event_shape.as_list())


def by_site(
    dist: Autoregressive, x: NDArray, function: Callable[[NDArray[np.float32], int], NDArray]
) -> NDArray[np.float32]:
    """Applies `function(values [B, *site_shape], site)` to the values of each site of events."""
    sites = np.array(np.asarray(x).reshape(len(x), dist.num_sites, *dist.head.site_shape), np.float32)
    for site in range(dist.num_sites):
        sites[:, site] = function(sites[:, site], site)
    return sites.reshape(np.shape(x))


def earlier_sites(step_of_site: ArrayLike) -> NDArray[np.bool_]:
    """Returns a bool matrix whose entry `[i, j]` is True if site j is decided before site i."""
    steps = np.asarray(step_of_site)
    return steps[None, :] < steps[:, None]


def condition_rows(dist: Autoregressive, conditional_input: Any, num_rows: int, seed: int) -> Any:
    """Returns conditions: a random one for each row, or the given or bound condition of one row for all rows.

    Args:
        dist: the distribution.
        conditional_input: None, or the condition of one row, `[*conditional_shape]` or a dict of them.
        num_rows: int. Number of rows.
        seed: int. Seed of the random conditions.

    Returns:
        None, or float32 `[num_rows, *conditional_shape]` or a dict of them. A random condition of variable length is as
        long as an event.
    """
    shape = dist.conditional_shape
    if shape is None:
        return condition(conditional_input, None)
    bound = dist.bound_condition if conditional_input is None else conditional_input
    if bound is None:
        generator = np.random.default_rng([seed, 1])
        length: Any = dist.event_shape[0] if len(dist.event_shape) else None

        def draw(shape: tuple[Any, ...]) -> NDArray[np.float64]:
            sizes = (num_rows, *[length if size is None else size for size in shape])
            if dist.network.num_condition_values is not None:
                return generator.integers(dist.network.num_condition_values, size=sizes).astype(np.float64)
            return generator.uniform(0.5, 1.5, size=sizes)

        drawn = {name: draw(s) for name, s in shape.items()} if isinstance(shape, dict) else draw(shape)
        return condition(drawn, shape)
    rows = [
        tf.reshape(t, [-1, *t.shape[t.shape.rank - k :]])[:1]
        for t, k in condition_items(condition(bound, shape), shape)
    ]
    return pack_condition([tf.repeat(row, num_rows, axis=0) for row in rows], shape)


def one_condition(dist: Autoregressive, conditional_input: Any, num_rows: int, seed: int) -> Any:
    """Returns the condition of one row for all rows: the given or bound one, or a random one."""
    row = condition_rows(dist, conditional_input, 1, seed)
    return None if row is None else tf.nest.map_structure(lambda tensor: tf.repeat(tensor, num_rows, axis=0), row)


def take(conditional_input: Any, rows: Any) -> Any:
    """Returns rows of a condition: an index, a slice or an array of rows of every tensor; None stays None."""
    if conditional_input is None:
        return None
    return tf.nest.map_structure(lambda tensor: np.asarray(tensor)[rows], conditional_input)


def random_values(dist: Autoregressive, num_rows: int, seed: int) -> NDArray[np.float32]:
    """Returns random values of the support, `[num_rows, *event_shape]`; the first row has the highest values."""
    generator = np.random.default_rng([seed, 2])

    def draw(values: NDArray[np.float32], site: int) -> NDArray[np.float32]:
        own = dist.head.support(site)
        if own.discrete:
            low, high = max(own.low, -8.0), min(own.high, max(own.low, -8.0) + 255.0)
            drawn = generator.integers(int(low), int(high) + 1, size=values.shape).astype(np.float32)
            drawn[0] = high
            return drawn
        drawn = np.clip(generator.normal(size=values.shape), own.low, own.high).astype(np.float32)
        drawn[0] = np.abs(drawn[0]) + 0.5
        return drawn

    x = by_site(dist, np.zeros((num_rows, *event_shape(dist)), np.float32), draw)
    sites = dist.law.member(0).values(tf.constant(x))
    inside = np.asarray(dist.head.in_event_support(sites, np.arange(dist.num_sites)))
    if inside.all():
        return x
    return np.where(inside, np.asarray(sites), np.float32(0.0)).reshape(x.shape)  # 0 follows the end of a sequence


def site_values(dist: Autoregressive) -> list[NDArray[np.float32]]:
    """Returns the values of each entry of an event, in raster order.

    Raises:
        ValueError: If the support of a site is not finite.
    """
    values = []
    for site in range(dist.num_sites):
        own = dist.head.support(site)
        if own.num_values is None:
            raise ValueError(
                f"Expected a head with a finite support; {type(dist.head).__name__} has {own} at site {site}."
            )
        entry = np.float32(own.low) + np.arange(own.num_values, dtype=np.float32)
        values += [entry] * int(np.prod(dist.head.site_shape, dtype=int))
    return values


def enumerate_events(dist: Autoregressive) -> NDArray[np.float32]:
    """Returns all events of a discrete distribution, `[events, *event_shape]`.

    Raises:
        ValueError: If the support is not finite or has more than `MAX_EVENTS` events.
    """
    shape, values = event_shape(dist), site_values(dist)
    number = float(np.sum([np.log2(len(entry)) for entry in values]))
    if number > np.log2(MAX_EVENTS):
        raise ValueError(
            f"Expected a support of at most {MAX_EVENTS} events, because all are enumerated; received 2**{number:.0f}. "
            "Make the same distribution with a smaller `event_shape`."
        )
    return np.array(list(itertools.product(*values)), np.float32).reshape(-1, *shape)


def log_probs(dist: Autoregressive, values: Any, conditional_input: Any, seed: int) -> NDArray[np.float64]:
    """Returns the `log_prob` of many values under the condition of one row, float64 `[len(values)]`.

    That of an event outside the support, such as a sequence that goes on after its end, is -inf.
    """
    parts = []
    for first in range(0, len(values), CHUNK):
        chunk = values[first : first + CHUNK]
        rows = one_condition(dist, conditional_input, len(chunk), seed)
        x = tf.constant(chunk, tf.float32)
        is_outside = np.isnan(dist.law.bad_row_marks(x, rows))
        parts.append(np.where(is_outside, -np.inf, np.asarray(dist.law.log_prob(x, rows), np.float64)))
    return np.concatenate(parts)


def draws(
    dist: Autoregressive, num_samples: int, seed: int, method: str, conditional_input: Any
) -> NDArray[np.float32]:
    """Returns samples `[num_samples, *event_shape]` under the condition of one row."""
    rows = one_condition(dist, conditional_input, num_samples, seed)
    length = event_shape(dist)[0] if dist.network.num_sites is None else None
    return np.asarray(dist.law.sample(random.row_seeds(seed, num_samples), rows, length, method))


def grid_density(dist: Autoregressive, conditional_input: Any, seed: int) -> Grid:
    """Returns the density of a continuous distribution of one or two dimensions, over the range of its samples and beyond.

    Raises:
        ValueError: If an event has more than two dimensions, or some values have a mass.
    """
    dims = int(np.prod(event_shape(dist)))
    if dims not in GRID_POINTS:
        raise ValueError(
            f"Expected a continuous event of 1 or 2 dimensions, to integrate it on a grid; received {dims}."
        )
    discrete = [site for site in range(dist.num_sites) if dist.head.support(site).discrete]
    if dist.head.mixed or discrete:
        raise ValueError(
            "Expected a head of discrete sites, or one whose values all have a density; some values of "
            f"{type(dist.head).__name__} have a mass{f' (site {discrete[0]})' if discrete else ''} and others a density."
        )
    samples = draws(dist, 4096, seed, "ancestral", conditional_input).astype(np.float64).reshape(-1, dims)
    axes = []
    for low, high in zip(samples.min(0), samples.max(0), strict=True):
        margin = 0.6 * (high - low)
        axes.append(np.linspace(low - margin, high + margin, GRID_POINTS[dims]))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, *event_shape(dist))
    density = np.exp(log_probs(dist, points.astype(np.float32), conditional_input, seed))
    return Grid(axes, density.reshape([len(axis) for axis in axes]))
