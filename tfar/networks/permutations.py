"""Permutations of sites, into the order of the steps and back, in plain operations.

They use gathers and scatters, because XLA sorts slowly on a CPU.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import orders


def permuted(values: tf.Tensor, order: NDArray[np.int32] | tf.Tensor | None) -> tf.Tensor:
    """Rearranges axis 1 of values `[B, N, ...]`: entry t of the result is entry `order[t]`.

    The order is an int32 array or tensor `[N]` for all rows, or a tensor `[B, N]` with one order for each row.
    """
    if order is None:
        return values
    if not isinstance(order, np.ndarray):
        return tf.gather(values, order, axis=1, batch_dims=order.shape.rank - 1)
    if np.array_equal(order, np.arange(len(order))):
        return values
    return tf.gather(values, tf.constant(order), axis=1)


def unpermuted(values: tf.Tensor, order: NDArray[np.int32] | tf.Tensor | None) -> tf.Tensor:
    """Inverts `permuted`, with the same arguments: entry `order[t]` of the result is entry t.

    Example:
        >>> unpermuted(tf.constant([[30, 10, 20]]), tf.constant([[2, 0, 1]])).numpy()
        array([[10, 20, 30]], dtype=int32)
    """
    if order is None or isinstance(order, np.ndarray):
        return permuted(values, None if order is None else orders.positions(order))
    rows = tf.broadcast_to(tf.range(tf.shape(order)[0])[:, None], tf.shape(order))
    return tf.scatter_nd(tf.stack([rows, order], axis=-1), values, tf.shape(values))


def inverted(order: tf.Tensor) -> tf.Tensor:
    """Returns the inverse permutations, int32 `[N]` or `[B, N]`; the inverse of an order holds the step of each site.

    Example:
        >>> inverted(tf.constant([2, 0, 1])).numpy()
        array([1, 2, 0], dtype=int32)
    """
    order = tf.cast(order, tf.int32)
    rows = tf.reshape(order, [-1, order.shape[-1]])
    steps = tf.broadcast_to(tf.range(order.shape[-1]), tf.shape(rows))
    return tf.reshape(unpermuted(steps, rows), tf.shape(order))


def observed_first(order: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Moves the observed sites, bool `[B, N]`, of each row to the front of an order, int32 `[N]` or `[B, N]`.

    The observed sites keep their relative order, and so do the other sites.

    Example:
        >>> observed_first(tf.constant([2, 0, 1]), tf.constant([[True, True, False]])).numpy()
        array([[0, 1, 2]], dtype=int32)
    """
    order = tf.broadcast_to(order, tf.shape(observed))
    comes_first = permuted(tf.cast(observed, tf.int32), order)
    before = tf.cumsum(comes_first, axis=1, exclusive=True)
    others_before = tf.range(tf.shape(order)[1]) - before
    first_steps = tf.reduce_sum(comes_first, axis=1, keepdims=True)
    return unpermuted(order, tf.where(comes_first > 0, before, first_steps + others_before))
