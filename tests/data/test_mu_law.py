"""Companding, against the formula of the paper in plain Python."""

import math

import numpy as np
import pytest

import tfar


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_mu_law_is_the_nearest_level_of_the_formula(levels):
    x = np.concatenate([np.linspace(-1.0, 1.0, 401), [1e-4, -1e-4]])
    mu = levels - 1
    found = tfar.data.mu_law(x, levels)
    assert found.dtype == np.float32
    for value, level in zip(x, found, strict=True):
        companded = math.copysign(math.log(1.0 + mu * abs(value)) / math.log(1.0 + mu), value)
        distances = [abs(2.0 * k / mu - 1.0 - companded) for k in range(levels)]
        assert distances[int(level)] <= min(distances) + 1e-12


@pytest.mark.parametrize("levels", [2, 255, 256, 1024])
def test_the_inverse_returns_to_every_level(levels):
    level = np.arange(levels)
    signal = tfar.data.inverse_mu_law(level, levels)
    np.testing.assert_array_equal(tfar.data.mu_law(signal, levels), level)
    assert (np.diff(signal) > 0).all() and signal[0] == -1.0 and signal[-1] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tfar.data.mu_law([0.0, 32767.0]), "received 32767"),
        (lambda: tfar.data.mu_law([np.nan]), "received nan"),
        (lambda: tfar.data.mu_law([0.0], levels=1), "at least 2"),
        (lambda: tfar.data.inverse_mu_law([0.5]), "received 0.5"),
        (lambda: tfar.data.inverse_mu_law([256]), "0 .. 255"),
    ],
)
def test_other_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
