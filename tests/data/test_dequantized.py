"""Dequantisation: noise that keeps the whole number, is uniform, and follows from the seed."""

import numpy as np
import pytest
from scipy import stats

from tfar.data import dequantize


def test_the_whole_number_is_kept_and_the_rest_is_uniform():
    x = np.random.default_rng(0).integers(-256, 256, (100, 10, 10))
    y = dequantize(x, seed=3)
    assert y.dtype == np.float32 and y.shape == x.shape
    np.testing.assert_array_equal(np.floor(y), x)
    assert stats.kstest((y - x).ravel(), "uniform").pvalue > 1e-3


def test_the_noise_follows_from_the_seed():
    x = np.zeros(50)
    np.testing.assert_array_equal(dequantize(x, seed=1), dequantize(x, seed=1))
    assert (dequantize(x, seed=1) != dequantize(x, seed=2)).all()
    words = np.random.PCG64(1).random_raw(2)
    assert dequantize([0, 0], seed=1).tolist() == [int(word >> np.uint64(48)) / 2**16 for word in words]


@pytest.mark.parametrize(("bad", "shown"), [(0.5, "0.5"), (256, "256"), (-257, "-257"), (np.nan, "nan")])
def test_other_numbers_are_refused(bad, shown):
    with pytest.raises(ValueError, match=f"Expected whole numbers in -256 .. 255; received {shown}"):
        dequantize([1, bad])
