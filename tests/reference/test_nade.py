"""`tfar.NADE` equals the loops of the papers."""

from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import nade
from tests.reference.test_made import inputs_of, site_log_prob
from tests.registry import CASES, Case

NADE_CASES = [case for case in CASES if case.name.startswith("NADE-")]


def weights_of(dist: tfar.NADE) -> nade.Weights:
    """The weights by their names in the network."""
    found = {"/".join(v.path.split("/")[1:]): np.asarray(v, np.float64) for v in dist.network.weights}
    condition = found.get("condition/kernel")
    sites, params = dist.num_sites, dist.head.params_size
    return nade.Weights(
        w=found["kernel"].T,
        c=found["bias"],
        v=found["output_kernel"].reshape(sites, params, -1),
        b=found["output_bias"].reshape(sites, params),
        first=found.get("first_state"),
        condition=None if condition is None else condition.T,
    )


def features_of(condition: Any, row: int) -> Any:
    own = tfar.testing.support.take(condition, row)
    return np.concatenate([own[name].ravel() for name in sorted(own)]) if isinstance(own, dict) else own


@pytest.mark.parametrize("case", NADE_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_papers(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case, jit_compile=False), case.values(3), case.condition(3)
    order, expected = dist.network.orders[0], []
    for row in range(3):
        sites = x[row].ravel()[order]
        inputs = inputs_of(sites, dist.head, dist.network.one_hot).reshape(len(sites), -1)
        params = nade.parameters(weights_of(dist), inputs, features_of(condition, row), dist.network.activation)
        expected.append(sum(site_log_prob(dist.head, p, value) for p, value in zip(params, sites, strict=True)))
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("num_sites", "units"), [(1, 1), (5, 7), (784, 500)])
def test_the_number_of_weights_is_the_papers(num_sites: int, units: int) -> None:
    count = lambda dist: sum(int(np.prod(v.shape)) for v in dist.trainable_variables)  # noqa: E731
    assert count(tfar.NADE([num_sites], units)) == nade.num_parameters(num_sites, units)
    learned = tfar.NADE([num_sites], units, learned_first_state=True)
    assert count(learned) == nade.num_parameters(num_sites, units) + units
