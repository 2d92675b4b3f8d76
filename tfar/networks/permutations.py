"""Orders of sites as permutations in plain ops: sites into the order of the steps and back, by gathers and scatters.

A sort would do too, but is far slower under XLA on a CPU.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def permuted(values: tf.Tensor, order: NDArray[np.int32]) -> tf.Tensor:
    """Rearranges axis 1: entry t of the result is entry `order[t]`."""
    if np.array_equal(order, np.arange(len(order))):
        return values
    return tf.gather(values, tf.constant(order), axis=1)


def unpermuted(values: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
    """Undoes the order of each row: entry `orders[b, t]` of the result is entry t of row b.

    Args:
        values: tensor `[B, N, ...]`.
        orders: int32 `[B, N]`, a permutation in each row.

    Example:
        >>> unpermuted(tf.constant([[30, 10, 20]]), tf.constant([[2, 0, 1]])).numpy()
        array([[10, 20, 30]], dtype=int32)
    """
    rows = tf.broadcast_to(tf.range(tf.shape(orders)[0])[:, None], tf.shape(orders))
    return tf.scatter_nd(tf.stack([rows, orders], axis=-1), values, tf.shape(values))


def inverted(orders: tf.Tensor) -> tf.Tensor:
    """The step at which each site is decided, or the site that each step decides: int32 `[N]` or `[B, N]`, as `orders`.

    Example:
        >>> inverted(tf.constant([2, 0, 1])).numpy()
        array([1, 2, 0], dtype=int32)
    """
    orders = tf.cast(orders, tf.int32)
    rows = tf.reshape(orders, [-1, orders.shape[-1]])
    steps = tf.broadcast_to(tf.range(orders.shape[-1]), tf.shape(rows))
    return tf.reshape(unpermuted(steps, rows), tf.shape(orders))


def observed_first(orders: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Moves the observed sites of each row to the front of an order.

    Args:
        orders: int32 `[N]` or `[B, N]`. The site that each step decides.
        observed: bool `[B, N]`.

    Returns:
        The orders, int32 `[B, N]`; observed sites keep their order, and so do the others.

    Example:
        >>> observed_first(tf.constant([2, 0, 1]), tf.constant([[True, True, False]])).numpy()
        array([[0, 1, 2]], dtype=int32)
    """
    orders = tf.broadcast_to(orders, tf.shape(observed))
    comes_first = tf.gather(tf.cast(observed, tf.int32), orders, axis=1, batch_dims=1)
    before = tf.cumsum(comes_first, axis=1, exclusive=True)
    others_before = tf.range(tf.shape(orders)[1]) - before
    first_steps = tf.reduce_sum(comes_first, axis=1, keepdims=True)
    return unpermuted(orders, tf.where(comes_first > 0, before, first_steps + others_before))
