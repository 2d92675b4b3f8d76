"""Schedules, which assign sites to steps.

A schedule is written as `step_of_site`, the number of the step that decides each site. A permutation decides one site
per step. Sites with equal numbers form a group: one step decides them together, independently of each other given the
sites of earlier steps.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray


class Segment(NamedTuple):
    """Consecutive steps that decide groups of one size.

    Attributes:
        first: int. Number of the first step.
        num_steps: int or int32 scalar tensor. Number of steps.
        group_size: int. Number of sites that a step decides.
    """

    first: int
    num_steps: int
    group_size: int


def num_sites(event_shape: tuple[Any, ...], site_shape: tuple[int, ...]) -> int | None:
    """Returns the number of sites of an event, None if its length is not fixed; ValueError if the shapes do not fit."""
    fixed = event_shape[1:] if event_shape[:1] == (None,) else event_shape
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in fixed):
        raise ValueError(
            "Expected the axes of `event_shape` to be ints of at least 1, or None for a first axis of any length; "
            f"received {event_shape}."
        )
    lead = len(event_shape) - len(site_shape)
    if lead < 0 or event_shape[lead:] != site_shape:
        raise ValueError(
            f"Expected `event_shape` to end with the head's site shape {site_shape}; received {event_shape}."
        )
    return None if None in event_shape[:lead] else math.prod(event_shape[:lead])


def check_schedule(step_of_site: ArrayLike, num_sites: int) -> NDArray[np.int32]:
    """Returns a schedule as int32 `[members, num_sites]`, or raises ValueError.

    Steps are numbered without a gap, and all members have groups of the same sizes.
    """
    steps = np.asarray(step_of_site)
    if steps.ndim != 2 or steps.shape[1] != num_sites or not np.issubdtype(steps.dtype, np.integer):
        raise ValueError(
            f"Expected `step_of_site` to be integers of shape [members, {num_sites}]; received {steps.dtype} of shape "
            f"{list(steps.shape)}."
        )
    sizes = [np.bincount(row).tolist() for row in steps] if steps.min() >= 0 else []
    if not sizes or any(0 in row for row in sizes) or any(row != sizes[0] for row in sizes):
        raise ValueError(
            "Expected `step_of_site` to number the steps from 0 without a gap, with groups of the same sizes for every member; "
            f"received steps from {steps.min()} to {steps.max()}{f' of {sizes} sites' if sizes else ''}."
        )
    return steps.astype(np.int32)


def order_of(step_of_site: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the sites in the order of the steps, int32 of the same shape; sites of a group stay in raster order.

    Example:
        >>> order_of(np.array([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    return np.argsort(step_of_site, axis=-1, kind="stable").astype(np.int32)


def segments(step_of_site: NDArray[np.int32]) -> tuple[Segment, ...]:
    """Splits the steps of a schedule `[num_sites]` into runs of steps with groups of one size.

    Example:
        >>> segments(np.array([0, 1, 2, 2, 3, 3]))
        (Segment(first=0, num_steps=2, group_size=1), Segment(first=2, num_steps=2, group_size=2))
    """
    sizes = np.bincount(step_of_site)
    starts = np.flatnonzero(np.diff(sizes, prepend=-1))
    ends = [*starts[1:], len(sizes)]
    return tuple(Segment(int(a), int(b - a), int(sizes[a])) for a, b in zip(starts, ends, strict=True))


def sites_of_step(step_of_site: NDArray[np.int32], index: tf.Tensor, group_size: int) -> tf.Tensor:
    """Returns the sites of a step of a schedule `[num_sites]` in raster order, int32 `[G]`.

    The group has `group_size` sites if `index` has no static value, as in loops, where all groups have the size of `x_previous`.

    Example:
        >>> sites_of_step(np.array([1, 0, 1]), tf.constant(1), 1).numpy()
        array([0, 2], dtype=int32)
    """
    static = tf.get_static_value(index)
    if static is not None:
        return tf.constant(np.flatnonzero(step_of_site == static), tf.int32)
    first = np.cumsum(np.bincount(step_of_site, minlength=1)) - np.bincount(step_of_site)
    start = tf.gather(tf.constant(first, tf.int32), tf.clip_by_value(index, 0, len(first) - 1))
    return tf.gather(tf.constant(order_of(step_of_site)), start + tf.range(group_size))
