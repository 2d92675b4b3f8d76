"""`tfar.ConvNADE` equals the loops of the paper."""

from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import conv_nade
from tests.reference.test_made import inputs_of, site_log_prob
from tests.reference.test_nade import features_of
from tests.registry import CASES, Case

CONV_NADE_CASES = [case for case in CASES if case.name.startswith("ConvNADE-")]


def weights_of(dist: tfar.ConvNADE) -> conv_nade.Weights:
    """The weights by their names in the network; the kernels of transposed convolutions are turned and flipped."""
    found = {"/".join(v.path.split("/")[1:]): np.asarray(v, np.float64) for v in dist.network.weights}
    depth, units = len(dist.network.filters), dist.network.hidden_units
    kinds = [f"valid_{i}" for i in range(1, depth + 1)] + [f"full_{i}" for i in range(depth, 0, -1)]
    dense = [] if units is None else [f"dense_{i}" for i in range(1, len(units) + 2)]
    hidden = [*kinds[:-1], *dense[:-1]]
    layers = {}
    for name in [*kinds, *dense]:
        kernel = found[f"{name}/kernel"]
        kernel = kernel[::-1, ::-1].transpose(0, 1, 3, 2) if name.startswith("full") else kernel
        condition = found.get(f"condition_{hidden.index(name) + 1}/kernel") if name in hidden else None
        layers[name] = conv_nade.Layer(kernel, found[f"{name}/bias"], condition)
    of = lambda names: [layers[name] for name in names]  # noqa: E731
    return conv_nade.Weights(of(kinds[:depth]), of(kinds[depth:]), of(dense))


def order_log_prob(dist: tfar.ConvNADE, x: Any, condition: Any, order: Any) -> float:
    """log p(x | order): a pass under the mask of what comes before each site."""
    network, total = dist.network, 0.0
    inputs = inputs_of(x.ravel(), dist.head, network.one_hot)
    inputs = inputs.reshape(*network.event_shape[:2], network.sites_per_pixel, -1)
    weights, activation = weights_of(dist), network.get_config()["activation"]
    for step, site in enumerate(order):
        known = np.zeros(network.num_sites)
        known[order[:step]] = 1.0
        params = conv_nade.parameters(weights, inputs, known.reshape(inputs.shape[:3]), condition, activation)
        total += site_log_prob(dist.head, params.reshape(network.num_sites, -1)[site], x.ravel()[site])
    return total


@pytest.mark.parametrize("case", CONV_NADE_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_paper(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case), case.values(3), case.condition(3)
    expected = []
    for row in range(3):
        own = features_of(condition, row)
        of_orders = [order_log_prob(dist, x[row], own, order) for order in dist.law.orders]
        expected.append(np.logaddexp.reduce(of_orders) - np.log(len(of_orders)))
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5, atol=2e-5)


def test_the_default_is_the_papers_network() -> None:
    """64@8x8, 64@4x4, 64@6x6, 64@7x7 and back to 1@8x8 over the image and its mask, beside 500 -> 500 -> 784."""
    network = tfar.ConvNADE().network
    shapes = [tuple(layer.kernel.shape) for layer in network.convolutions]
    assert shapes == [
        (8, 8, 2, 64),
        (4, 4, 64, 64),
        (6, 6, 64, 64),
        (7, 7, 64, 64),
        (7, 7, 64, 64),
        (6, 6, 64, 64),
        (4, 4, 64, 64),
        (8, 8, 1, 64),
    ]
    assert [tuple(layer.kernel.shape) for layer in network.dense_layers] == [(1568, 500), (500, 500), (500, 784)]
