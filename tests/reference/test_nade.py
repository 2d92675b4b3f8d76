"""NADE has the weights of the papers."""

import numpy as np
import pytest

import tfar
from tests.reference import nade


@pytest.mark.parametrize(("num_sites", "units"), [(1, 1), (5, 7), (784, 500)])
def test_the_number_of_weights_is_the_papers(num_sites: int, units: int) -> None:
    count = lambda dist: sum(int(np.prod(v.shape)) for v in dist.trainable_variables)  # noqa: E731
    assert count(tfar.NADE([num_sites], units)) == nade.num_parameters(num_sites, units)
    learned = tfar.NADE([num_sites], units, learned_first_state=True)
    assert count(learned) == nade.num_parameters(num_sites, units) + units
