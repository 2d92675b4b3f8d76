"""`tfar.MADE.log_prob` equals the loops of the paper."""

from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import made
from tests.registry import CASES, Case, randomize

MADE_CASES = [case for case in CASES if case.name.startswith("MADE-")]
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}


def weights_of(dist: tfar.MADE) -> made.Weights:
    """The weights by their names in the network."""
    by_name = {tuple(v.path.split("/")[-2:]): np.asarray(v, np.float64) for v in dist.network.weights}
    layers = range(1, len(dist.network.hidden_units) + 1)
    get = lambda layer, name: by_name.get((layer, name))  # noqa: E731
    return made.Weights(
        [get(f"hidden_{i}", "kernel") for i in layers],
        [get(f"hidden_{i}", "bias") for i in layers],
        get("output", "kernel"),
        get("output", "bias"),
        get("direct", "kernel"),
        [get(f"condition_{i}", "kernel") for i in layers],
        []
        if get("hidden_1", "connectivity_kernel") is None
        else [get(f"hidden_{i}", "connectivity_kernel") for i in layers],
        get("output", "connectivity_kernel"),
    )


def inputs_of(sites: np.ndarray, head: Any, one_hot: bool) -> np.ndarray:
    """Inputs of the sites of one event: one for each class, or scaled to -1 .. 1."""
    if one_hot:
        return np.array([float(x == k) for x in sites for k in range(head.num_classes)])
    if isinstance(head, tfar.heads.Categorical):
        return 2.0 * sites / (head.num_classes - 1) - 1.0
    return np.asarray(sites, np.float64)


def site_log_prob(head: Any, params: np.ndarray, x: float) -> float:
    if isinstance(head, tfar.heads.Bernoulli):
        return made.bernoulli(params, x)
    if isinstance(head, tfar.heads.Categorical):
        return made.categorical(params, x)
    normal = isinstance(head, tfar.heads.NormalMixture)
    return made.mixture(params, x, made.normal_density if normal else made.laplace_density, head.min_scale)


def member_site_log_probs(dist: tfar.MADE, sites: np.ndarray, condition: Any, member: int) -> list[float]:
    """log p_k(x_d | sites before d) of one event, as the kernels hold the sites: with several masks in raster order."""
    network, size = dist.network, dist.head.params_size
    degrees = np.argsort(network.orders[min(member, len(network.orders) - 1)]) + 1
    if network.num_masks == 1:  # its kernels hold the sites in the order of the steps
        sites, degrees = sites[network.orders[0]], np.sort(degrees)
    inputs = inputs_of(sites, dist.head, network.one_hot)
    params = made.parameters(
        inputs,
        condition,
        weights_of(dist),
        np.repeat(degrees, len(inputs) // len(sites)),
        [layer[member] for layer in network._members.hidden],
        np.repeat(degrees, size),
        ACTIVATIONS[network.activation.__name__],
    )
    return [site_log_prob(dist.head, p, x) for p, x in zip(params.reshape(-1, size), sites, strict=True)]


@pytest.mark.parametrize("case", MADE_CASES, ids=lambda case: case.name)
def test_log_prob_equals_the_paper(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case, jit_compile=False), case.values(3), case.condition(3)
    expected = []
    for row in range(3):
        own = tfar.testing.support.take(condition, row)
        if isinstance(own, dict):
            own = np.concatenate([own[name].ravel() for name in sorted(own)])
        members = [sum(member_site_log_probs(dist, x[row].ravel(), own, k)) for k in range(dist.num_members)]
        expected.append(made.ensemble(members))
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("order", [[2, 0, 1, 4, 3], [4, 3, 2, 1, 0]], ids=["not its own inverse", "its own inverse"])
def test_shares_of_an_ensemble_equal_the_paper(order: list[int]) -> None:
    """The share of a site is the ratio of the averaged probabilities of the prefixes of the order with and without it."""
    dist = randomize(tfar.MADE([5], [8], num_masks=3, order=order, jit_compile=False))
    x = np.random.default_rng(0).integers(2, size=(4, 5)).astype(np.float32)
    shares = dist.site_log_probs(x)
    for row in range(4):
        log_probs = np.array([member_site_log_probs(dist, x[row], None, k) for k in range(3)])
        for t, site in enumerate(order):
            through, before = (made.ensemble(log_probs[:, order[:n]].sum(axis=1)) for n in (t + 1, t))
            np.testing.assert_allclose(shares[row, site], through - before, rtol=1e-4, atol=1e-5)


def test_masks_of_the_paper_make_the_declared_influences() -> None:
    degrees = [1, 2, 2, 3]
    product = made.hidden_mask([1, 2, 3, 4], degrees) @ made.output_mask(degrees, [1, 2, 3, 4])
    declared = tfar.masks.influences(np.arange(1, 5), [np.array(degrees)]).T
    np.testing.assert_array_equal(product > 0, declared)
