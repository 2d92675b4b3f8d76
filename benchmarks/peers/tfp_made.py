"""MADE in TensorFlow Probability: `tfd.Autoregressive` over `tfb.AutoregressiveNetwork`, Bernoulli outputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant, Unavailable
from benchmarks.peers.masks import random_bits
from benchmarks.timing import Call

NUM_BATCHES = 10


def build(event_size: int, hidden_units: Sequence[int], batch_size: int, *, seed: int = 0) -> Contestant:
    """The TFP peer: `log_prob`, `train_step` and `sample`, as graphs, and compiled with XLA where that ends.

    `sample` is a graph only: TFP unrolls one pass of the network for each dimension, which XLA does not compile in
    reasonable time, and eagerly it is about ten times slower.

    Raises:
        Unavailable: without TensorFlow Probability or tf-keras.
    """
    dist, network = make_distribution(event_size, hidden_units, seed=seed)
    x = random_bits(NUM_BATCHES * batch_size, event_size, seed)
    return Contestant(
        operations={
            "log_prob": log_prob_calls(dist, x[:batch_size]),
            "sample": {"tf.function": sample_call(dist, batch_size)},
            "train_step": train_step_calls(dist, network, x, batch_size),
        },
        parameters=network.count_params(),
    )


def make_distribution(event_size: int, hidden_units: Sequence[int], *, seed: int = 0) -> tuple[Any, Any]:
    """The distribution and the tf-keras network inside it."""
    tfp, tf_keras = _libraries()
    tf_keras.utils.set_random_seed(seed)
    network = tfp.bijectors.AutoregressiveNetwork(
        params=1, event_shape=[event_size], hidden_units=list(hidden_units), activation="relu"
    )
    network.build([None, event_size])

    def conditionals(x: Any) -> Any:
        logits = network(x)[..., 0]
        return tfp.distributions.Independent(
            tfp.distributions.Bernoulli(logits=logits, dtype="float32"), reinterpreted_batch_ndims=1
        )

    start = np.zeros([event_size], np.float32)
    return tfp.distributions.Autoregressive(conditionals, sample0=start, num_steps=event_size), network


def log_prob_calls(dist: Any, x: np.ndarray) -> dict[str, Call]:
    """Log-probabilities of `x`, `[B]`."""
    import tensorflow as tf

    batch = tf.constant(x)

    def make(function: Any) -> Call:
        return lambda: function(batch).numpy()

    return {
        "tf.function": make(tf.function(dist.log_prob)),
        "XLA": make(tf.function(dist.log_prob, jit_compile=True)),
    }


def sample_call(dist: Any, batch_size: int) -> Call:
    """A batch of samples, `[B, D]`."""
    import tensorflow as tf

    function = tf.function(lambda seed: dist.sample(batch_size, seed=seed))
    seed = tf.constant([0, 1])
    return lambda: function(seed).numpy()


def train_step_calls(dist: Any, network: Any, x: np.ndarray, batch_size: int) -> dict[str, Call]:
    """One update of Adam on the next slice of `x`, the kernel constraints included."""
    import tensorflow as tf

    _, tf_keras = _libraries()
    optimizer = tf_keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    def update(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(dist.log_prob(batch))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    def make(step: Any) -> Call:
        batches = itertools.cycle(tf.split(tf.constant(x), len(x) // batch_size))
        return lambda: step(next(batches)).numpy()

    return {"tf.function": make(tf.function(update)), "XLA": make(tf.function(update, jit_compile=True))}


def _libraries() -> tuple[Any, Any]:
    try:
        import tensorflow_probability as tfp
        import tf_keras
    except ImportError as error:
        raise Unavailable(f"TensorFlow Probability or tf-keras is not installed: {error}") from error
    return tfp, tf_keras
