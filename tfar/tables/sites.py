"""Conditionals of single sites of an encoded table."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.heads import Head
from tfar.tables.column import Bools, Classes, Floats, Interval

# Rows of one call of a model.
CHUNK = 4096
_BELOW_ONE = 1.0 - 2.0**-24


def in_chunks(function: Any, *arrays: Any) -> NDArray[Any]:
    """Calls a function of rows with at most `CHUNK` of them, and joins the results."""
    count = len(arrays[0])
    parts = [np.asarray(function(*(array[i : i + CHUNK] for array in arrays))) for i in range(0, max(count, 1), CHUNK)]
    return np.concatenate(parts)


def site_params(dist: Any, values: Floats, known: Bools, site: int) -> Floats:
    """Returns the parameters `[rows, P]` of a site given the known sites, or for a model of one order the sites before it."""

    def of_rows(values: Floats, known: Bools) -> Any:
        if dist.law.allows_any_pattern:
            return dist.conditionals(values, observed=known).params[:, site]
        return dist.conditionals(values).params[:, site]

    return in_chunks(of_rows, values, known)


def own_params(head: Head, params: Floats) -> tf.Tensor:
    """Returns the parameters of a head of a site from those of `PerSite`, which may be longer."""
    return tf.constant(params[:, : head.params_size])


def support_values(head: Head) -> Floats:
    """Returns all values of a site with a finite support, `[K]`."""
    support = head.support()
    return np.arange(support.num_values or 0, dtype=np.float32) + np.float32(support.low)


def is_allowed(head: Head, allowed: Interval | Classes | None) -> Bools:
    """Returns which values of a finite support are allowed, `[K]` or `[rows, K]`."""
    values = support_values(head)
    if allowed is None:
        return np.ones(len(values), bool)
    if isinstance(allowed, Classes):
        return allowed.allowed
    lower, upper = (np.expand_dims(np.asarray(end), -1) for end in allowed)
    return (lower <= values) & (values <= upper)


def allowed_probs(head: Head, params: Floats, allowed: Interval | Classes | None) -> NDArray[np.float64]:
    """Returns the probabilities of the values of a finite support, `[rows, K]`, and 0 for those that are not allowed."""
    probs = np.asarray(head.probs(own_params(head, params)), np.float64)
    return np.where(is_allowed(head, allowed), probs, 0.0)


def allowed_mass(head: Head, params: Floats, allowed: Interval | Classes | None) -> NDArray[np.float64]:
    """Returns the probability of the allowed values, `[rows]`."""
    if allowed is None:
        return np.ones(len(params))
    if isinstance(allowed, Classes):
        return np.minimum(allowed_probs(head, params, allowed).sum(axis=-1), 1.0)
    lower, upper = (np.broadcast_to(np.float32(end), [len(params)]) for end in allowed)
    return np.asarray(head.interval_prob(own_params(head, params), lower, upper), np.float64)


def draw_allowed(head: Head, params: Floats, allowed: Interval | Classes | None, noise: Floats) -> Floats:
    """Draws allowed values of a site, `[rows]`, from its conditional restricted to them.

    Args:
        head: the head of the site.
        params: float32 `[rows, P]`.
        allowed: the values, or None for all.
        noise: float32 `[rows, noise_size]`, uniform.
    """
    if allowed is None:
        return np.asarray(head.sample(own_params(head, params), noise[:, : head.noise_size]))
    if isinstance(allowed, Classes):
        cumulative = np.cumsum(allowed_probs(head, params, allowed), axis=-1)
        reached = cumulative > noise[:, :1] * cumulative[:, -1:]
        return support_values(head)[np.argmax(reached, axis=-1)]
    lower, upper = (np.broadcast_to(np.float32(end), [len(params)]) for end in allowed)
    own = own_params(head, params)
    before = np.ceil(lower) - 1.0 if head.discrete else np.nextafter(lower, np.float32(-np.inf))
    level = np.asarray(head.cdf(own, before)) + noise[:, 0] * allowed_mass(head, params, allowed)
    level = np.clip(level, 2.0**-40, _BELOW_ONE).astype(np.float32)
    drawn = np.asarray(head.distribution(own).quantile(level))
    # Rounding of the level may lead outside of a narrow interval.
    low, high = (np.ceil(lower), np.floor(upper)) if head.discrete else (lower, upper)
    return np.minimum(np.maximum(drawn, low), high)
