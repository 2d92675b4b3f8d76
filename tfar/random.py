"""Counter-based random numbers in plain ops: the same in TensorFlow, XLA, a SavedModel and TFLite.

Every row of a batch has its own seed, so that a row's draw does not depend on the rows beside it. The generator is
Threefry-2x32 with 20 rounds: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011. Rotations are written as a
product and a shift because TFLite has no built-in left shift.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

# Streams: draws of one row that must be independent of each other.
NOISE, MEMBER, LATENT = 0, 1, 2


def threefry(key: tf.Tensor, counter: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Threefry-2x32: two words of random bits for each key and counter.

    Args:
        key: uint32 tensor `[..., 2]`.
        counter: two uint32 tensors that broadcast against `key[..., 0]`.

    Returns:
        Two uint32 tensors of the broadcast shape.
    """
    words = (key[..., 0], key[..., 1], *counter)
    shape = functools.reduce(tf.broadcast_static_shape, [word.shape for word in words])
    outputs = _rounds_of_ranks(*[word.shape.rank for word in words])(*words)
    for output in outputs:
        output.set_shape(shape)
    return outputs


@functools.cache
def _rounds_of_ranks(*ranks: int | None) -> Any:
    """`_rounds` for tensors of these ranks, traced once: tracing its many operations is much of the first call of a sampler."""
    specs = [tf.TensorSpec(None if rank is None else [None] * rank, tf.uint32) for rank in ranks]
    return tf.function(_rounds, input_signature=specs, autograph=False)


def _rounds(
    key_0: tf.Tensor, key_1: tf.Tensor, counter_0: tf.Tensor, counter_1: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """What `threefry` returns."""
    parity = tf.constant(_PARITY, tf.uint32)
    schedule = (key_0, key_1, tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(key_0, key_1), parity))
    x_0, x_1 = counter_0 + key_0, counter_1 + key_1
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x_0 = x_0 + x_1
            x_1 = tf.bitwise.bitwise_xor(_rotate(x_1, rotation), x_0)
        x_0 = x_0 + schedule[(group + 1) % 3]
        x_1 = x_1 + schedule[(group + 2) % 3] + tf.constant(group + 1, tf.uint32)
    return x_0, x_1


def _rotate(x: tf.Tensor, distance: int) -> tf.Tensor:
    high = x * tf.constant(1 << distance, tf.uint32)
    low = tf.bitwise.right_shift(x, tf.constant(32 - distance, tf.uint32))
    return tf.bitwise.bitwise_xor(high, low)


def as_seed(seed: Any = None) -> tf.Tensor:
    """Turns what users pass as a seed into an int32 tensor `[2]`.

    Args:
        seed: an int s, which means `[0, s]` (`[s >> 32, s]` beyond 32 bits); an integer tensor of shape `[]` or `[2]`; or
            None, which draws fresh entropy at every call, in a `tf.function` too.

    Returns:
        int32 tensor `[2]`.

    Raises:
        ValueError: If it is anything else.
    """
    if seed is None:
        return tf.random.uniform([2], tf.int32.min, tf.int32.max, tf.int32)
    if isinstance(seed, int | np.integer):
        seed = int(seed)
        high = 0 if -(1 << 31) <= seed < 1 << 32 else seed >> 32
        return tf.constant([_signed(high), _signed(seed)], tf.int32)
    try:
        tensor = tf.convert_to_tensor(seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `seed` to be None, an int or an integer tensor; received {seed!r}.") from error
    if (
        not tensor.dtype.is_integer
        or tensor.shape.rank not in (0, 1)
        or (tensor.shape.rank == 1 and tensor.shape[0] != 2)
    ):
        raise ValueError(
            f"Expected `seed` to be integers of shape [] or [2]; received {tensor.dtype.name} of shape {tensor.shape}."
        )
    tensor = tf.cast(tensor, tf.int32)
    return tensor if tensor.shape.rank else tf.stack([tf.zeros_like(tensor), tensor])


def _signed(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >= 1 << 31 else word


def row_seeds(seed: Any, num_rows: int | tf.Tensor, first: int | tf.Tensor = 0) -> tf.Tensor:
    """Derives one seed a row; row i depends on `seed` and i alone.

    Args:
        seed: see `as_seed`.
        num_rows: int or int32 scalar.
        first: int or int32 scalar. The number i of the first row.

    Returns:
        int32 tensor `[num_rows, 2]`.

    Example:
        >>> row_seeds(1, 3).shape
        TensorShape([3, 2])
    """
    derive = _derive_row_seeds if tf.executing_eagerly() else _derive_row_seeds.python_function
    return derive(as_seed(seed), num_rows, first)


@tf.function(input_signature=[tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32)])
def _derive_row_seeds(seed: tf.Tensor, num_rows: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """What `row_seeds` returns; one call of a graph, as a hundred eager ops take longer than drawing some images does."""
    rows = tf.cast(tf.range(num_rows) + first, tf.uint32)
    words = threefry(tf.cast(seed, tf.uint32)[None], (rows, tf.zeros_like(rows)))
    return tf.cast(tf.stack(words, axis=-1), tf.int32)


def uniform(seeds: tf.Tensor, size: int | tf.Tensor, stream: int = NOISE) -> tf.Tensor:
    """Draws uniform numbers in the open interval (0, 1), one row for each seed.

    Args:
        seeds: int32 tensor `[B, 2]`.
        size: int or int32 scalar. Numbers a row.
        stream: int. Different streams of one seed are independent.

    Returns:
        float32 tensor `[B, size]`, each number an odd multiple of 2**-24.
    """
    top = tf.bitwise.right_shift(_words(seeds, size, stream), tf.constant(9, tf.uint32))
    return (tf.cast(top, tf.float32) + 0.5) * (2.0**-23)


def kept(seeds: tf.Tensor, size: int, rate: float, stream: int = NOISE) -> tf.Tensor:
    """What dropout multiplies by: 0 with probability `rate`, else 1 / (1 - rate); one row for each seed.

    A decision takes 16 random bits, half of what a uniform number does; so the rate is rounded to a multiple of 2**-16.

    Args:
        seeds: int32 tensor `[B, 2]`.
        size: int. Numbers a row.
        rate: float in [0, 1).
        stream: int. Different streams of one seed are independent.

    Returns:
        float32 tensor `[B, size]`.

    Example:
        >>> sorted(set(kept(row_seeds(1, 3), 50, 0.5).numpy().ravel().tolist()))
        [0.0, 2.0]
    """
    return _kept(seeds, size, min(round(rate * 2**16), 2**16 - 1), tf.constant(stream, tf.uint32))


@functools.partial(tf.function, jit_compile=True)
def _kept(seeds: tf.Tensor, size: int, threshold: int, stream: tf.Tensor) -> tf.Tensor:
    """What `kept` returns; compiled, as training steps of convolutions are faster without XLA, and this is not."""
    words = _words(seeds, (size + 1) // 2, stream)
    halves = [
        tf.bitwise.bitwise_and(words, tf.constant(0xFFFF, tf.uint32)),
        tf.bitwise.right_shift(words, tf.constant(16, tf.uint32)),
    ]
    stays = tf.concat([tf.cast(half, tf.int32) >= threshold for half in halves], axis=1)[:, :size]
    return tf.cast(stays, tf.float32) * (1.0 / (1.0 - threshold * 2.0**-16))


def _words(seeds: tf.Tensor, size: int | tf.Tensor, stream: int | tf.Tensor) -> tf.Tensor:
    """Random bits, uint32 `[B, size]`."""
    counter = tf.cast(tf.range((size + 1) // 2), tf.uint32)[None]
    words = threefry(
        tf.cast(seeds, tf.uint32)[:, None, :], (counter, tf.fill(tf.shape(counter), tf.cast(stream, tf.uint32)))
    )
    return tf.concat(words, axis=1)[:, :size]
