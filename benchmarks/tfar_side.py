"""The contestants of tfar in a speed case. They call the public API."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.timing import Call

NUM_BATCHES = 10


def contestant(
    dist: Any,
    event_size: int,
    batch_size: int,
    *,
    methods: Sequence[str] = ("ancestral",),
    make_rows: Callable[[int, int, int], np.ndarray] = random_bits,
) -> Contestant:
    """Makes a contestant with the operations `log_prob`, `sample`, `sample, <method>` for further methods, and `train_step`.

    With a latent variable, `log_prob` is the bound of one latent, `elbo`.

    Args:
        dist: a tfar distribution over `event_size` values.
        event_size: int. D.
        batch_size: int. Batch size of every operation.
        methods: names of sampling methods. The operation `sample` uses the first.
        make_rows: makes the inputs, `[rows, event_size]` float32, from the number of rows, the size and a seed.
    """
    import tensorflow as tf

    x = make_rows(NUM_BATCHES * batch_size, event_size, 0).reshape(-1, *dist.event_shape)
    batch = tf.constant(x[:batch_size])
    mode = "XLA" if dist.jit_compile else "tf.function"
    score = functools.partial(dist.elbo, seed=0) if dist.num_latents else dist.log_prob
    in_graph = tf.function(score, jit_compile=dist.jit_compile)
    operations: dict[str, dict[str, Call]] = {
        "log_prob": {
            "eager call": lambda: score(batch).numpy(),
            mode: lambda: in_graph(batch).numpy(),
        }
    }
    for index, method in enumerate(methods):
        name = "sample" if index == 0 else f"sample, {method}"
        operations[name] = {"eager call": sample_call(dist, batch_size, method)}
    operations["train_step"] = {
        "fit's step": train_step_call(dist, x, batch_size),
        f"own loop on tensors, {mode}": own_loop_call(dist, x, batch_size),
    }
    return Contestant(operations, parameters=int(sum(np.prod(v.shape) for v in dist.trainable_variables)))


def sample_call(dist: Any, batch_size: int, method: str) -> Call:
    """Returns a function that draws a batch of samples `[B, D]`."""
    return lambda: dist.sample(batch_size, seed=1, method=method).numpy()


def train_step_call(dist: Any, x: np.ndarray, batch_size: int) -> Call:
    """Returns a function that runs one step of `DensityModel.fit` on a cached data set, with its metrics."""
    import keras
    import tensorflow as tf

    import tfar

    model = tfar.training.DensityModel(dist, seed=0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    iterator = iter(tf.data.Dataset.from_tensor_slices(x).batch(batch_size).cache().repeat().prefetch(2))

    def call() -> float:
        model.make_train_function()  # makes it at the first call only, as `fit` does
        return float(model.train_function(iterator)["loss"])

    return call


def own_loop_call(dist: Any, x: np.ndarray, batch_size: int) -> Call:
    """Returns a function that runs one update of a custom training loop, which has no data set and no metrics."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(dist.trainable_variables)
    batches = itertools.cycle(tf.split(tf.constant(x), len(x) // batch_size))

    @tf.function(jit_compile=dist.jit_compile)
    def update(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(batch, seed=tf.convert_to_tensor(optimizer.iterations)))
        gradients = tape.gradient(loss, dist.trainable_variables)
        optimizer.apply_gradients(zip(gradients, dist.trainable_variables, strict=True))
        return loss

    return lambda: update(next(batches)).numpy()
