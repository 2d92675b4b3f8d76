"""`tfar.RNADE` equals the loops of the paper."""

from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import rnade
from tests.reference.test_nade import features_of
from tests.registry import CASES, Case

RNADE_CASES = [case for case in CASES if case.name.startswith("RNADE-")]


def weights_of(dist: tfar.RNADE) -> rnade.Weights:
    """The weights by their names in the network; the units in the order of the model."""
    paths = [v.path.removeprefix(f"{dist.network.name}/") for v in dist.network.weights]
    found = {path: np.asarray(v, np.float64) for path, v in zip(paths, dist.network.weights, strict=True)}
    order, sites = dist.network.orders[0], dist.num_sites
    matrices = np.split(found["output_kernel"].reshape(sites, dist.head.params_size, -1), 3, axis=1)
    biases = np.split(found["output_bias"].reshape(sites, -1), 3, axis=1)
    condition = found.get("condition/kernel")
    return rnade.Weights(
        w=found["kernel"].T,
        c=found["bias"],
        rho=found["activation_scale"],
        **dict(zip(("v_alpha", "v_mu", "v_sigma"), matrices, strict=True)),
        **dict(zip(("b_alpha", "b_mu", "b_sigma"), biases, strict=True)),
        loc=np.asarray(dist.head.units.loc, np.float64).ravel()[order],
        scale=np.asarray(dist.head.units.scale, np.float64).ravel()[order],
        condition=None if condition is None else condition.T,
    )


@pytest.mark.parametrize("case", RNADE_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_papers(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case, jit_compile=False), case.values(3), case.condition(3)
    mixture, expected = dist.head.head, []
    kind = "normal" if isinstance(mixture, tfar.heads.NormalMixture) else "laplace"
    for row in range(3):
        values = x[row].ravel()[dist.network.orders[0]].astype(np.float64)
        how = (features_of(condition, row), dist.network.activation, kind, mixture.min_scale)
        expected.append(rnade.log_prob(weights_of(dist), values, *how))
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5, atol=2e-5)


def test_another_scale_of_the_activations_is_found(distributions: Any) -> None:
    """The comparison would see a model that forgot rho."""
    case = next(case for case in RNADE_CASES if case.name == "RNADE-event-2d")
    dist = case.make().copy(jit_compile=False)
    before = np.asarray(dist.log_prob(case.values(3)))
    dist.network.activation_scale.assign(np.ones(dist.num_sites))
    assert np.abs(np.asarray(dist.log_prob(case.values(3))) - before).min() > 1e-3


@pytest.mark.parametrize(("num_sites", "units", "components"), [(1, 1, 1), (11, 50, 10)])
def test_the_number_of_weights_is_the_papers(num_sites: int, units: int, components: int) -> None:
    dist = tfar.RNADE([num_sites], units, head=tfar.heads.NormalMixture(components))
    count = sum(int(np.prod(v.shape)) for v in dist.trainable_variables)
    assert count == rnade.num_parameters(num_sites, units, components)
