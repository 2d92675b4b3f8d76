"""Small models that the tests of distributions share."""

import numpy as np
import pytest
from enumeration import binary, mixture, spread


@pytest.fixture(scope="module")
def dist():
    return spread(binary())


@pytest.fixture(scope="module")
def real():
    return spread(mixture(), 0.3)


@pytest.fixture(scope="module")
def conditional():
    return spread(binary(conditional_shape=[2]))


@pytest.fixture(scope="module")
def condition():
    return np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
