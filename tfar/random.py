"""Counter-based random numbers in plain ops: the same bits in TensorFlow, XLA, a SavedModel and TFLite.

Each row of a batch has its own seed, so the draw of a row does not depend on the other rows. The generator is Threefry-2x32
with 20 rounds (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011). Rotations are computed as a product and a
right shift because TFLite has no left shift.

Seeds and uniform numbers are equal to the last bit on every machine. Samples are functions of these numbers and of the
parameters that a network computes in float32. The parameters depend on the order of summation, which differs between
instruction sets, libraries, batch sizes and compilers (logits differ by about 3e-6). Therefore:

- The same call in the same software on the same kind of processor gives the same sample.
- Elsewhere a discrete draw may differ if its uniform number lies within the rounding error of a boundary between two values;
  the sites drawn after it may then differ too. Continuous draws differ by the rounding error.
"""

import enum
import functools
from typing import Any

import numpy as np
import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_NUM_PARTS = 1 << 16


@enum.unique
class Stream(enum.IntEnum):
    """All uses of random numbers. Different streams of one seed are independent.

    The second word of the Threefry counter is `stream * 2**16 + part`, so no two streams of a seed share a counter. A stream
    has 2**16 parts, for example one for each layer. The streams from `INITIAL_WEIGHTS` on are those of NumPy generators; see
    `numpy_generator`.
    """

    NOISE = 0  # The noise of a sample, in raster order.
    MEMBER = 1  # The member of an ensemble.
    LATENT = 2  # Latent variables.
    ROW_SEEDS = 3  # Seeds of the rows of a batch.
    ORDER = 4  # The order of a training row.
    STEP = 5  # The step of that order that is trained.
    MASK_ORDER = 6  # The order of a mask.
    MASK_DEGREES = 7  # The degrees of hidden units; a part for each layer.
    DROPOUT = 8  # Dropped hidden units; a part for each layer.
    CONDITION_DROPOUT = 9  # Dropped conditional inputs.
    IMPORTANCE = 10  # Seeds of the importance samples of a row.
    RESAMPLING = 11  # Which of several proposals is chosen, and the seeds of the steps that choose.
    PRIOR = 12  # Seeds of a prior that has a latent variable itself.
    WORD_DROPOUT = 13  # Dropped words; a part for each layer.
    INITIAL_WEIGHTS = 100
    FIXED_ORDERS = 101  # Orders that a model keeps.
    SHUFFLING = 102  # The order of training rows; a part for each epoch.
    EXAMPLES = 103  # Example inputs of exported signatures.
    HELD_OUT = 104  # Rows that are held out of training; a part for each purpose.


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
    """Returns `_rounds` for tensors of these ranks, traced once because tracing it takes much of a sampler's first call."""
    specs = [tf.TensorSpec(None if rank is None else [None] * rank, tf.uint32) for rank in ranks]
    return tf.function(_rounds, input_signature=specs, autograph=False)


def _rounds(
    key_0: tf.Tensor, key_1: tf.Tensor, counter_0: tf.Tensor, counter_1: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the two output words of `threefry`."""
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
    """Converts a seed to an int32 tensor `[2]`.

    Args:
        seed: an int s, which means `[0, s]` (`[s >> 32, s]` beyond 32 bits); an integer tensor of shape `[]`, which means the
            same, or `[2]`; or None, which draws fresh entropy at every call, in a `tf.function` too.

    Returns:
        int32 tensor `[2]`.

    Raises:
        ValueError: If `seed` is anything else.
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
    return tf.cast(tensor, tf.int32) if tensor.shape.rank else _words_of(tensor)


def _words_of(number: tf.Tensor) -> tf.Tensor:
    """Returns the seed of an integer scalar, which is that of the int."""
    low, high = tf.cast(number, tf.int32), tf.zeros([], tf.int32)
    if number.dtype.size > low.dtype.size:
        beyond = tf.cast(tf.bitwise.right_shift(number, tf.constant(32, number.dtype)), tf.int32)
        fits = tf.logical_and(number >= max(-(1 << 31), number.dtype.min), number < 1 << 32)
        high = tf.where(fits, high, beyond)
    return tf.stack([high, low])


def _signed(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >= 1 << 31 else word


def row_seeds(seed: Any, num_rows: int | tf.Tensor, first: int | tf.Tensor = 0) -> tf.Tensor:
    """Derives one seed for each row. The seed of row i depends only on `seed` and i.

    Args:
        seed: see `as_seed`.
        num_rows: int or int32 scalar.
        first: int or int32 scalar. Number of the first row.

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
    """Computes `row_seeds` in one graph call, because about a hundred eager ops would take longer than a small sampler."""
    rows = tf.cast(tf.range(num_rows) + first, tf.uint32)
    words = threefry(tf.cast(seed, tf.uint32)[None], (rows, tf.fill(tf.shape(rows), _word(Stream.ROW_SEEDS))))
    return tf.cast(tf.stack(words, axis=-1), tf.int32)


def derived_seeds(seeds: tf.Tensor, number: int | tf.Tensor, stream: Stream) -> tf.Tensor:
    """Derives another seed for each row, independent for each number and stream.

    Args:
        seeds: int32 tensor `[B, 2]`.
        number: int or int32 scalar.
        stream: `Stream`. What the seeds are for.

    Returns:
        int32 tensor `[B, 2]`.

    Example:
        >>> derived_seeds(row_seeds(1, 3), 0, Stream.IMPORTANCE).shape
        TensorShape([3, 2])
    """
    rows = tf.shape(seeds)[:1]
    counter = (tf.fill(rows, tf.cast(number, tf.uint32)), tf.fill(rows, _word(stream)))
    return tf.cast(tf.stack(threefry(tf.cast(seeds, tf.uint32), counter), axis=-1), tf.int32)


def uniform(seeds: tf.Tensor, size: int | tf.Tensor, stream: Stream, part: int = 0) -> tf.Tensor:
    """Draws uniform numbers in the open interval (0, 1), one row for each seed.

    Args:
        seeds: int32 tensor `[B, 2]`.
        size: int or int32 scalar. Numbers per row.
        stream: `Stream`. What the numbers are for.
        part: int in [0, 2**16). Parts of a stream are independent.

    Returns:
        float32 tensor `[B, size]`, each number an odd multiple of 2**-24.

    Raises:
        ValueError: If `stream` is not a `Stream` or `part` is out of range.

    Example:
        >>> uniform(row_seeds(1, 3), 5, Stream.NOISE).shape
        TensorShape([3, 5])
    """
    return _to_uniform(_words(seeds, size, _word(stream, part)))


def uniform_at(seeds: tf.Tensor, places: tf.Tensor, stream: Stream) -> tf.Tensor:
    """Draws numbers of an endless sequence of uniform numbers, one sequence for each seed.

    The number at a place depends on the seed, the stream and the place alone, so that it can be drawn before the length of an
    event is known. `uniform` needs half the work, but its numbers depend on how many there are.

    Args:
        seeds: int32 tensor `[B, 2]`.
        places: int32 tensor `[K]` or `[B, K]`, from 0.
        stream: `Stream`. What the numbers are for.

    Returns:
        float32 tensor `[B, K]`, each number an odd multiple of 2**-24.

    Example:
        >>> bool(uniform_at(row_seeds(1, 1), [2, 5], Stream.NOISE)[0, 1] == uniform_at(row_seeds(1, 1), [5], Stream.NOISE))
        True
    """
    counter = tf.cast(places, tf.uint32)
    counter = counter[None] if counter.shape.rank == 1 else counter
    words = threefry(tf.cast(seeds, tf.uint32)[:, None, :], (counter, tf.fill(tf.shape(counter), _word(stream))))
    return _to_uniform(words[0])


def kept(seeds: tf.Tensor, size: int, rate: float, part: int = 0) -> tf.Tensor:
    """Draws the factors of dropout: 0 with probability `rate`, else 1 / (1 - rate); one row for each seed.

    A decision uses 16 random bits, half of what a uniform number uses. The rate is rounded to a multiple of 2**-16.

    Args:
        seeds: int32 tensor `[B, 2]`.
        size: int. Factors per row.
        rate: float in [0, 1).
        part: int in [0, 2**16). The part of `Stream.DROPOUT`, for example the number of the layer.

    Returns:
        float32 tensor `[B, size]`.

    Raises:
        ValueError: If `part` is out of range.

    Example:
        >>> sorted(set(kept(row_seeds(1, 3), 50, 0.5).numpy().ravel().tolist()))
        [0.0, 2.0]
    """
    return _kept(seeds, size, min(round(rate * 2**16), 2**16 - 1), _word(Stream.DROPOUT, part))


@functools.partial(tf.function, jit_compile=True)
def _kept(seeds: tf.Tensor, size: int, threshold: int, word: tf.Tensor) -> tf.Tensor:
    """Computes `kept`, compiled: a training step of convolutions is faster without XLA, but this part is slower."""
    words = _words(seeds, (size + 1) // 2, word)
    halves = [
        tf.bitwise.bitwise_and(words, tf.constant(0xFFFF, tf.uint32)),
        tf.bitwise.right_shift(words, tf.constant(16, tf.uint32)),
    ]
    stays = tf.concat([tf.cast(half, tf.int32) >= threshold for half in halves], axis=1)[:, :size]
    return tf.cast(stays, tf.float32) * (1.0 / (1.0 - threshold * 2.0**-16))


def _to_uniform(words: tf.Tensor) -> tf.Tensor:
    """Turns random bits, uint32, into numbers in (0, 1)."""
    top = tf.bitwise.right_shift(words, tf.constant(9, tf.uint32))
    return (tf.cast(top, tf.float32) + 0.5) * (2.0**-23)


def _words(seeds: tf.Tensor, size: int | tf.Tensor, word: tf.Tensor) -> tf.Tensor:
    """Draws random bits, uint32 `[B, size]`, with counters (0, word), (1, word), ..."""
    counter = tf.cast(tf.range((size + 1) // 2), tf.uint32)[None]
    words = threefry(tf.cast(seeds, tf.uint32)[:, None, :], (counter, tf.fill(tf.shape(counter), word)))
    return tf.concat(words, axis=1)[:, :size]


def _word(stream: Stream, part: int = 0) -> tf.Tensor:
    """The second word of the counter, a uint32 scalar."""
    if not 0 <= part < _NUM_PARTS:
        raise ValueError(f"Expected a part of a stream in [0, {_NUM_PARTS}); received {part!r}.")
    return tf.constant(Stream(stream) * _NUM_PARTS + int(part), tf.uint32)


def numpy_generator(seed: int, stream: Stream, part: int = 0) -> np.random.Generator:
    """Makes a NumPy generator for what is drawn outside of graphs.

    The seed comes last because NumPy splits ints beyond 32 bits into several words: in the first place such a seed could equal
    another seed and stream.

    Args:
        seed: int, at least 0.
        stream: `Stream`. What the numbers are for.
        part: int in [0, 2**32). Parts of a stream are independent.

    Example:
        >>> sorted(numpy_generator(0, Stream.SHUFFLING, 1).permutation(3).tolist())
        [0, 1, 2]
    """
    return np.random.default_rng([int(Stream(stream)), part, seed])
