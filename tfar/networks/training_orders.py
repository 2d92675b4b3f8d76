"""Orders that training draws for networks that score any order in one pass."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.networks.permutations import inverted, observed_first

# The distributions of the orders of training.
TRAINING_ORDERS = ("completion", "random")


def draw_orders(kind: str, seeds: tf.Tensor, order: NDArray[np.int32], observed: tf.Tensor | None = None) -> tf.Tensor:
    """Draws an order for each row, int32 `[B, N]`, among its observed sites. The other sites come last.

    "completion": the orders by which rows are completed. A subset comes first, whose size is uniform in 0 .. N and which is
    uniform given its size; the sites of the subset and the others each keep the given order.
    "random": all orders with equal probability.

    Args:
        kind: one of `TRAINING_ORDERS`.
        seeds: int32 `[B, 2]`.
        order: int32 `[N]`. The order of the network.
        observed: None, or bool `[B, N]`.

    References:
        Shih, Sadigh and Ermon. Training and inference on any-order autoregressive models the right way. NeurIPS 2022.
        https://arxiv.org/abs/2205.13554
    """
    if kind == "random":
        drawn: Any = inverted(_ranks(random.uniform(seeds, len(order), random.Stream.ORDER)))
        return drawn if observed is None else observed_first(drawn, observed)
    # Of sites that come first with a common probability, which is uniform itself, the number is uniform.
    first = random.uniform(seeds, len(order), random.Stream.ORDER) < random.uniform(seeds, 1, random.Stream.STEP)
    if observed is None:
        return observed_first(order, first)
    return observed_first(observed_first(order, observed), tf.logical_and(first, observed))


def _ranks(keys: tf.Tensor) -> tf.Tensor:
    """Returns the rank of each key in its row, int32 `[B, N]`; of equal keys the first one has the smaller rank."""
    one, other = tf.expand_dims(keys, 2), tf.expand_dims(keys, 1)
    places = tf.range(keys.shape[1])
    comes_first = tf.logical_and(tf.equal(one, other), tf.expand_dims(places, 0) < tf.expand_dims(places, 1))
    return tf.reduce_sum(tf.cast(tf.logical_or(other < one, comes_first), tf.int32), axis=2)
