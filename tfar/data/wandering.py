"""The data set "wandering_mnist": videos of digits that wander at random, from a process whose entropy is known."""

import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar.data.binarized import read_mnist
from tfar.data.checks import check_count, check_seed
from tfar.data.images import NUM_VALID
from tfar.data.sources import StreamSource
from tfar.data.splits import DataSplits

SIZE, DIGIT_SIZE, FASTEST = 32, 14, 2
ROOM = SIZE - DIGIT_SIZE  # positions of a digit are 0 … ROOM along each axis
# One of four steps draws a new velocity, which may be the old one.
REDRAW_PROBABILITY = 0.25
CHUNK = 100


class Paths(NamedTuple):
    """The paths of digits.

    Attributes:
        positions: int64 `[N, T, K, 2]`. Row and column of the upper left corner of each digit.
        velocities: int64 `[N, T, K, 2]`. Velocities after the step to each frame.
    """

    positions: NDArray[np.int64]
    velocities: NDArray[np.int64]


def load_wandering_mnist(
    *,
    data_dir: str | os.PathLike[str] | None = None,
    batch_size: int = 100,
    seed: int = 0,
    num_digits: int = 2,
    num_frames: int = 10,
    num_train: int = 20_000,
    num_valid: int = 1_000,
    num_test: int = 1_000,
    source: str = "auto",
) -> DataSplits:
    """Generates videos of `num_digits` digits of MNIST that wander through a square of 32 x 32 pixels.

    A digit is shrunk to 14 x 14 pixels by means of 2 x 2 pixels and is 1 where the mean is at least half of the maximum. Its
    position is uniform in the first frame, and its velocity is uniform in {-2, …, 2}^2. Before each step, a new velocity is
    drawn with probability 1/4. Walls reflect. A pixel is 1 if a digit covers it. The digits of the train videos are the first
    50000 train images of MNIST, those of the validation videos the last 10000, and those of the test videos its test images.

    The videos follow from the seed by `numpy.random.PCG64`, one generator for 100 videos, and are generated again in every
    pass, so that they are never all in memory. Use seed 0 for results to report.

    Args:
        data_dir, source: see `load_mnist_binarized`.
        batch_size: int.
        seed: int. Seed of the videos.
        num_digits: int. Number of digits of a video.
        num_frames: int. Number of frames T.
        num_train, num_valid, num_test: int. Numbers of videos.

    Returns:
        `DataSplits` with binary rows of shape `(T, 32, 32)`.

    Raises:
        FileNotFoundError: If MNIST is not found.
        ValueError: If a number is below 1.
    """
    seed = check_seed(seed)
    for name, value in (("num_digits", num_digits), ("num_frames", num_frames)):
        check_count(name, value)
    images = read_mnist(data_dir, source)
    num_kept = max(len(images["train"]) - NUM_VALID["mnist"], 1)
    parts = {"train": images["train"][:num_kept], "valid": images["train"][num_kept:], "test": images["test"]}
    counts = {"train": num_train, "valid": num_valid, "test": num_test}
    sources = {}
    for number, (split, count) in enumerate(counts.items()):
        videos = Videos(
            shrunk(parts[split]), num_digits, num_frames, check_count(f"num_{split}", count), (seed, number)
        )
        sources[split] = StreamSource(videos.chunks, (num_frames, SIZE, SIZE), count)
    return DataSplits.from_sources(
        "wandering_mnist",
        sources,
        batch_size=batch_size,
        head="Bernoulli",
        head_config={},
        description=f"{num_digits} wandering digit{'s' if num_digits > 1 else ''} of MNIST in {num_frames} frames of {SIZE} x "
        f"{SIZE} pixels, by PCG64({seed})",
    )


def shrunk(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the bits `[N, 14, 14]` of images `[N, 28, 28]`: whether the mean of 2 x 2 pixels is at least half of 255."""
    sums = images.astype(np.int64).reshape(-1, DIGIT_SIZE, 2, DIGIT_SIZE, 2).sum(axis=(2, 4))
    return (2 * sums >= 4 * 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Videos:
    """The videos of one split.

    Args:
        digits: uint8 `[M, 14, 14]`. The digits, of which each video draws its own.
        num_digits: int, K.
        num_frames: int, T.
        num_videos: int, N.
        seed: ints. Seed of the split.
    """

    digits: NDArray[np.uint8]
    num_digits: int
    num_frames: int
    num_videos: int
    seed: tuple[int, ...]

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        """Yields the videos in chunks, float32 `[n, T, 32, 32]`."""
        for number in range(-(-self.num_videos // CHUNK)):
            count = min(CHUNK, self.num_videos - number * CHUNK)
            digits, found = self.parts(number)
            yield drawn(digits[:count], found.positions[:count]).astype(np.float32)

    def parts(self, number: int) -> tuple[NDArray[np.uint8], Paths]:
        """Returns the digits `[100, K, 14, 14]` and the paths of a chunk of 100 videos."""
        generator = np.random.PCG64([*self.seed, number])
        chosen = integers(generator, len(self.digits), (CHUNK, self.num_digits))
        return self.digits[chosen], paths(generator, CHUNK, self.num_digits, self.num_frames)


def integers(generator: np.random.PCG64, count: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Draws whole numbers 0 … `count` - 1, one word of the generator each: NumPy guarantees that its words do not change.

    Example:
        >>> integers(np.random.PCG64(0), 5, (4,))
        array([3, 1, 0, 0])
    """
    words = generator.random_raw(int(np.prod(shape))).reshape(shape)
    return ((words >> np.uint64(11)) * 2.0**-53 * count).astype(np.int64)


def paths(generator: np.random.PCG64, num_videos: int, num_digits: int, num_frames: int) -> Paths:
    """Draws the paths of the digits of videos."""
    shape, speeds = (num_videos, num_digits, 2), 2 * FASTEST + 1
    draw = functools.partial(integers, generator)
    position, velocity = draw(ROOM + 1, shape), draw(speeds, shape) - FASTEST
    positions, velocities = [position], [velocity]
    for _ in range(num_frames - 1):
        is_new = draw(round(1.0 / REDRAW_PROBABILITY), shape[:2])[..., None] == 0
        velocity = np.where(is_new, draw(speeds, shape) - FASTEST, velocity)
        position, velocity = moved(position, velocity)
        positions.append(position)
        velocities.append(velocity)
    return Paths(np.stack(positions, 1), np.stack(velocities, 1))


def moved(position: NDArray[np.int64], velocity: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Takes a step, in which walls reflect the digit and its velocity."""
    end = position + velocity
    is_out = (end < 0) | (end > ROOM)
    return np.where(end < 0, -end, np.where(end > ROOM, 2 * ROOM - end, end)), np.where(is_out, -velocity, velocity)


def drawn(digits: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns videos, uint8 `[N, T, 32, 32]`, of digits `[N, K, 14, 14]` at positions `[N, T, K, 2]`."""
    count, num_frames, num_digits, _ = positions.shape
    videos, inside = np.zeros((count, num_frames, SIZE, SIZE), np.uint8), np.arange(DIGIT_SIZE)
    rows, frames = np.arange(count)[:, None, None, None], np.arange(num_frames)[None, :, None, None]
    for k in range(num_digits):
        down = positions[:, :, k, 0, None, None] + inside[:, None]
        across = positions[:, :, k, 1, None, None] + inside
        videos[rows, frames, down, across] |= digits[:, None, k]
    return videos
