"""`tfar.GatedPixelCNN` equals the loops of the paper."""

import re
from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import gated_pixel_cnn
from tests.reference.test_made import inputs_of, site_log_prob
from tests.registry import CASES, Case

GATED_CASES = [case for case in CASES if case.name.startswith("GatedPixelCNN-")]


def parts_of(condition: Any, row: int) -> dict[str, np.ndarray]:
    """The parts of the condition of a row by the names of their layers."""
    own = tfar.testing.support.take(condition, row)
    if isinstance(own, dict):
        return {f"condition_{name}": np.asarray(part, np.float64) for name, part in own.items()}
    return {} if own is None else {"condition": np.asarray(own, np.float64)}


@pytest.mark.parametrize("case", GATED_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_paper(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case, jit_compile=False), case.values(2), case.condition(2)
    weights = {"/".join(v.path.split("/")[-2:]): np.asarray(v, np.float64) for v in dist.network.weights}
    weights.update({name[:-1] + "kernel": value for name, value in weights.items() if name.endswith("/v")})
    weights.update({name: value[0, 0] for name, value in weights.items() if re.match(r"link_\d+/kernel", name)})
    height, width, colours = dist.network.image_shape
    expected = []
    for index, row in enumerate(x):
        inputs = inputs_of(row.ravel(), dist.head, dist.network.one_hot).reshape(height, width, -1)
        params = gated_pixel_cnn.parameters(weights, inputs, colours, parts_of(condition, index))
        sites = zip(params.reshape(row.size, -1), row.ravel(), strict=True)
        expected.append(sum(site_log_prob(dist.head, p, value) for p, value in sites))
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5, atol=2e-5)
