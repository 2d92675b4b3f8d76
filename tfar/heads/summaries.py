"""Generic statistics of conditionals: sums over a finite support, and quantiles by bisection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfar.heads.numerics import smallest_float

if TYPE_CHECKING:
    from tfar.heads.base import Head

# Largest number of joint values of a site that is enumerated.
MAX_JOINT_VALUES = 2**16


def values_of(head: Head) -> tf.Tensor:
    """Returns all values of a site with a finite support, `[num, *site_shape]`, in lexicographic order.

    Raises:
        ValueError: If the support is not finite, or there are more than `MAX_JOINT_VALUES` joint values of channels.
    """
    support, channels = head.support(), int(np.prod(head.site_shape, dtype=int))
    if support.num_values is None:
        raise ValueError(f"Expected a head with finitely many values; those of {type(head).__name__} are {support}.")
    if channels > 1 and support.num_values**channels > MAX_JOINT_VALUES:
        raise ValueError(
            f"Expected at most {MAX_JOINT_VALUES} joint values of the channels, as all are listed; received "
            f"{support.num_values}**{channels}. `log_prob` gives the probability of one of them."
        )
    grid = np.indices([support.num_values] * channels).reshape(channels, -1).T + support.low
    return tf.constant(grid.reshape(-1, *head.site_shape), tf.float32)


def mean_variance(head: Head, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the mean and the variance over a finite support, both `[..., *site_shape]`."""
    values, probs = values_of(head), head._probs(params, site)
    probs = tf.reshape(probs, tf.concat([tf.shape(probs), [1] * len(head.site_shape)], 0))
    axis = -1 - len(head.site_shape)
    mean = tf.reduce_sum(probs * values, axis=axis, keepdims=True)
    return tf.squeeze(mean, axis), tf.reduce_sum(probs * tf.square(values - mean), axis=axis)


def entropy(head: Head, params: tf.Tensor, site: Any) -> tf.Tensor:
    """Returns the entropy in nats over a finite support, `[...]`."""
    values_of(head)
    probs = head._probs(params, site)
    return -tf.reduce_sum(tf.math.xlogy(probs, probs), axis=-1)


def mode(head: Head, params: tf.Tensor, site: Any) -> tf.Tensor:
    """Returns the most probable value of a finite support, `[..., *site_shape]`."""
    return tf.gather(values_of(head), tf.argmax(head._probs(params, site), axis=-1))


def quantile(head: Head, params: tf.Tensor, p: tf.Tensor, site: Any) -> tf.Tensor:
    """Returns the smallest float32 x with cdf(x) >= p, `[..., *site_shape]`; all sites must have the same support."""
    shape, support = tf.broadcast_dynamic_shape(tf.shape(params)[:-1], tf.shape(p)), head.support()
    value_shape = tf.concat([shape, [1] * len(head.site_shape)], 0)
    p = tf.broadcast_to(p, shape)
    x = smallest_float(lambda x: head._cdf(params, tf.reshape(x, value_shape), site) >= p, shape)
    inside = tf.where(tf.abs(x) < 0.5, 0.0, tf.round(x)) if head.discrete else x  # 0 for a negative number close to it
    x = tf.where(p > 0.0, tf.where(p < 1.0, inside, support.high), support.low)
    return tf.reshape(tf.where(tf.math.is_nan(p), p, x), value_shape)
