"""RNADE has the weights of the paper."""

import numpy as np
import pytest

import tfar
from tests.reference import rnade


@pytest.mark.parametrize(("num_sites", "units", "components"), [(1, 1, 1), (11, 50, 10)])
def test_the_number_of_weights_is_the_papers(num_sites: int, units: int, components: int) -> None:
    dist = tfar.RNADE([num_sites], units, head=tfar.heads.NormalMixture(components))
    count = sum(int(np.prod(v.shape)) for v in dist.trainable_variables)
    assert count == rnade.num_parameters(num_sites, units, components)
