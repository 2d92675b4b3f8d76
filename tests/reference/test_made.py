"""The masks of the package are those of the paper."""

import numpy as np

import tfar
from tests.reference import made


def test_masks_of_the_paper_make_the_declared_influences() -> None:
    degrees = [1, 2, 2, 3]
    product = made.hidden_mask([1, 2, 3, 4], degrees) @ made.output_mask(degrees, [1, 2, 3, 4])
    declared = tfar.masks.influences(np.arange(1, 5), [np.array(degrees)]).T
    np.testing.assert_array_equal(product > 0, declared)
