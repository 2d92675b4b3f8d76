"""`tfar.PixelCNN` equals the loops of the paper."""

from typing import Any

import numpy as np
import pytest

from tests.reference import pixel_cnn
from tests.reference.test_made import inputs_of, site_log_prob
from tests.registry import CASES, Case

PIXEL_CASES = [case for case in CASES if case.name.startswith("PixelCNN-")]


def layers_of(network: Any) -> dict[str, pixel_cnn.Layer]:
    """The weights by the names of their layers."""
    found = {"/".join(v.path.split("/")[-2:]): np.asarray(v, np.float64) for v in network.weights}
    names = {path.split("/")[0] for path in found}
    return {name: pixel_cnn.Layer(found[f"{name}/kernel"], found[f"{name}/bias"]) for name in names}


@pytest.mark.parametrize("case", PIXEL_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_paper(case: Case, distributions: Any) -> None:
    dist, x = distributions(case, jit_compile=False), case.values(2)
    height, width, colours = dist.network.image_shape
    expected = []
    for row in x:
        inputs = inputs_of(row.ravel(), dist.head, dist.network.one_hot).reshape(height, width, -1)
        params = pixel_cnn.parameters(layers_of(dist.network), inputs, colours).reshape(row.size, -1)
        expected.append(sum(site_log_prob(dist.head, p, value) for p, value in zip(params, row.ravel(), strict=True)))
    np.testing.assert_allclose(dist.log_prob(x), expected, rtol=2e-5, atol=2e-5)
