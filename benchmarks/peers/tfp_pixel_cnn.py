"""PixelCNN++ in TensorFlow Probability: `tfd.PixelCNN`, which runs on tf-keras."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.cases import Contestant, Unavailable
from benchmarks.timing import Call

NUM_BATCHES = 4


def build(
    image_shape: tuple[int, int, int], batch_size: int, arguments: dict[str, Any], *, seed: int = 0
) -> Contestant:
    """The TFP peer: `log_prob`, `sample` and `train_step`, as graphs.

    Raises:
        Unavailable: without TensorFlow Probability or tf-keras.
    """
    dist = make_distribution(image_shape, arguments, seed=seed)
    x = random_images(NUM_BATCHES * batch_size, image_shape, seed)
    dist.log_prob(x[:batch_size], training=False)  # initialises the kernels' lengths, which a graph cannot
    return Contestant(
        operations={
            "log_prob": {"tf.function": log_prob_call(dist, x[:batch_size])},
            "sample": {"tf.function": sample_call(dist, batch_size)},
            "train_step": {"tf.function": train_step_call(dist, x, batch_size)},
        },
        parameters=sum(int(np.prod(v.shape)) for v in dist.network.trainable_weights),
    )


def random_images(count: int, image_shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Whole numbers 0 .. 255 as float32, `[count, *image_shape]`."""
    return np.random.default_rng(seed).integers(0, 256, (count, *image_shape)).astype(np.float32)


def make_distribution(image_shape: tuple[int, int, int], arguments: dict[str, Any], *, seed: int = 0) -> Any:
    """The distribution, with its network."""
    try:
        import tensorflow_probability as tfp
        import tf_keras
    except ImportError as error:
        raise Unavailable(f"TensorFlow Probability or tf-keras is not installed: {error}") from error
    tf_keras.utils.set_random_seed(seed)
    return tfp.distributions.PixelCNN(image_shape=image_shape, **arguments)


def log_prob_call(dist: Any, x: np.ndarray) -> Call:
    """Log-probabilities of `x`, `[B]`."""
    import tensorflow as tf

    batch = tf.constant(x)
    function = tf.function(lambda: dist.log_prob(batch, training=False))
    return lambda: function().numpy()


def sample_call(dist: Any, batch_size: int) -> Call:
    """A batch of samples: a pass of the network for each pixel."""
    import tensorflow as tf

    function = tf.function(lambda: dist.sample(batch_size))
    return lambda: function().numpy()


def train_step_call(dist: Any, x: np.ndarray, batch_size: int) -> Call:
    """One update of Adam on the next batch, the kernel constraints included."""
    import tensorflow as tf
    import tf_keras

    optimizer, variables = tf_keras.optimizers.Adam(1e-3), dist.network.trainable_weights
    optimizer.build(variables)
    batches = itertools.cycle([tf.constant(part) for part in np.split(x, len(x) // batch_size)])

    @tf.function
    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(dist.log_prob(batch, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: step(next(batches)).numpy()
