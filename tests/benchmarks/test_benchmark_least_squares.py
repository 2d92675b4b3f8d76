"""The least-squares coder: fields whose entropy is known, probabilities that sum to 1 and see earlier pixels alone."""

import numpy as np
import pytest

from benchmarks.models import spatial_lstm
from benchmarks.peers import least_squares

# Steps of -1, 0 and 1 have an entropy of 1.5 bits, and 16 equal first levels one of 4.
STEP_BITS, FIRST_BITS = 1.5, 4.0


def fields(count: int, size: int, seed: int) -> np.ndarray:
    """Each pixel is a known function of earlier ones plus a step; near the levels 0 and 255 it is pulled back."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-1, 0, 0, 1], size=[count, size, size])
    x = np.zeros([count, size, size], np.int64)
    for i in range(size):
        for j in range(size):
            if i == j == 0:
                x[:, i, j] = rng.integers(120, 136, size=count)
            elif i == 0 or j == 0:
                x[:, i, j] = (x[:, i, j - 1] if i == 0 else x[:, i - 1, j]) + steps[:, i, j]
            else:
                x[:, i, j] = (x[:, i, j - 1] + x[:, i - 1, j]) // 2 + steps[:, i, j]
    return x


def test_a_field_needs_its_entropy():
    size = 12
    coder = least_squares.train(fields(4000, size, seed=0))
    images = fields(200, size, seed=1)
    assert images.min() > 0 and images.max() < 255
    bits = coder.bits(images)
    assert bits.shape == images.shape
    assert bits[:, 0, 0].mean() == pytest.approx(FIRST_BITS, abs=0.1)
    rest = bits.reshape(200, -1)[:, 1:].mean()
    # No code is shorter than the entropy, but for the chance of 200 fields.
    assert STEP_BITS - 0.02 < rest < STEP_BITS + 0.06, rest
    entropy = (FIRST_BITS + STEP_BITS * (size * size - 1)) / size**2
    assert least_squares.bits_per_pixel(fields(4000, size, seed=0), images) == pytest.approx(entropy, abs=0.06)


def test_probabilities_sum_to_one_and_see_earlier_pixels_alone():
    rng = np.random.default_rng(2)
    coder = least_squares.train(rng.integers(256, size=[30, 7, 6]))
    image = rng.integers(256, size=[7, 6])
    probs = coder.probs(image)
    assert probs.shape == (42, 256) and (probs > 0.0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)
    for place in (0, 5, 6, 20, 41):
        changed = image.copy()
        changed.reshape(-1)[place:] = 255 - changed.reshape(-1)[place:]
        np.testing.assert_array_equal(coder.probs(changed)[: place + 1], probs[: place + 1])
        assert place == 0 or (coder.probs(changed)[place + 1 :] != probs[place + 1 :]).any() or place == 41
    bits = -np.log2(probs[np.arange(42), image.reshape(-1)])
    np.testing.assert_allclose(coder.bits(image[None])[0].reshape(-1), bits)


def test_a_border_has_classes_of_its_own():
    _, border = least_squares.neighbourhoods(np.zeros([1, 6, 7]))
    border = border.reshape(6, 7)
    assert (border[2:, 2:5] == 0).all() and (border[:2] > 0).all() and (border[:, [0, 1, 5, 6]] > 0).all()
    assert len(set(border.ravel())) == 3 * 5 and border.max() <= least_squares.NUM_BORDERS


def test_the_coder_stands_beside_the_spatial_lstm():
    (case, *others) = spatial_lstm.CASES.likelihood
    assert case.beside is least_squares.beside and not any(other.beside for other in others)
