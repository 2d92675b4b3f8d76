"""MADE, NADE and RNADE."""

import itertools
from typing import Any

import numpy as np

import tfar
from tests.reference import made, nade, rnade
from tests.reference.oracles.parts import (
    ACTIVATIONS,
    Array,
    Oracle,
    earlier,
    exact,
    features_of,
    inputs_of,
    order_of,
    sum_of_sites,
    weights_of,
)


def _made_degrees(dist: Any, member: int) -> tuple[Array, list[Array]]:
    """Returns the position of each site in the order of a member, from 1, and the degrees of its hidden units."""
    orders = dist.network.orders
    is_random = dist.parameters["order"] == "random"
    order = orders[min(member, len(orders) - 1)] if is_random else order_of(dist)
    return np.argsort(order) + 1, [np.asarray(layer[member]) for layer in dist.network._members.hidden]


def _made_weights(network: Any) -> made.Weights:
    found, count = weights_of(network), len(network.hidden_units)
    numbered = lambda name: [found[name.format(i)] for i in range(1, count + 1) if name.format(i) in found]  # noqa: E731
    return made.Weights(
        numbered("hidden_{}/kernel"),
        numbered("hidden_{}/bias"),
        found["output/kernel"],
        found["output/bias"],
        found.get("direct/kernel"),
        numbered("condition_{}/kernel"),
        numbered("hidden_{}/connectivity_kernel"),
        found.get("output/connectivity_kernel"),
    )


def _made_member(dist: Any, x: Array, condition: Any, member: int) -> float:
    """Returns log p_k(x) of one member of the ensemble."""
    sites, size = x.ravel(), dist.head.params_size
    degrees, hidden = _made_degrees(dist, member)
    if dist.network.num_masks == 1:  # Its kernels hold the sites in the order of the steps.
        sites, degrees = sites[np.argsort(degrees)], np.sort(degrees)
    inputs = inputs_of(dist, sites)
    params = made.parameters(
        inputs,
        features_of(condition),
        _made_weights(dist.network),
        np.repeat(degrees, len(inputs) // len(sites)),
        hidden,
        np.repeat(degrees, size),
        ACTIVATIONS[dist.parameters["activation"]],
    )
    return sum_of_sites(dist.head, params, sites)


def _made_members(dist: Any, x: Array, condition: Any) -> list[float]:
    return [_made_member(dist, x, condition, k) for k in range(dist.network.num_members)]


def _made_connectivity(dist: Any) -> Array:
    """Returns the product of the masks of the paper, with the direct connections, for each member."""
    found = []
    for member in range(dist.network.num_members):
        degrees, hidden = _made_degrees(dist, member)
        layers, reach = [degrees, *hidden], np.eye(len(degrees))
        for below, above in itertools.pairwise(layers):
            reach = reach @ made.hidden_mask(below, above)
        reach = reach @ made.output_mask(layers[-1], degrees)
        if dist.parameters["direct_connections"]:
            reach = reach + made.output_mask(degrees, degrees)
        found.append(reach.T > 0)
    return np.stack(found)


# In training a member is drawn uniformly.
MADE = Oracle(
    lambda dist, x, condition: made.ensemble(_made_members(dist, x, condition)),
    _made_connectivity,
    lambda dist, x, condition: -float(np.mean(_made_members(dist, x, condition))),
)


def _all_earlier(dist: Any) -> Array:
    return earlier(order_of(dist))[None]


def _nade_log_prob(dist: Any, x: Array, condition: Any) -> float:
    found, sites = weights_of(dist.network), x.ravel()[order_of(dist)]
    weights = nade.Weights(
        w=found["kernel"].T,
        c=found["bias"],
        v=found["output_kernel"].reshape(len(sites), dist.head.params_size, -1),
        b=found["output_bias"].reshape(len(sites), -1),
        first=found.get("first_state"),
        condition=found["condition/kernel"].T if "condition/kernel" in found else None,
    )
    inputs = inputs_of(dist, sites).reshape(len(sites), -1)
    params = nade.parameters(weights, inputs, features_of(condition), dist.parameters["activation"])
    return sum_of_sites(dist.head, params, sites)


def _rnade_log_prob(dist: Any, x: Array, condition: Any) -> float:
    found, order, mixture = weights_of(dist.network), order_of(dist), dist.parameters["head"]
    matrices = np.split(found["output_kernel"].reshape(len(order), mixture.params_size, -1), 3, axis=1)
    biases = np.split(found["output_bias"].reshape(len(order), -1), 3, axis=1)
    weights = rnade.Weights(
        found["kernel"].T,
        found["bias"],
        found["activation_scale"],
        *matrices,
        *biases,
        loc=np.ravel(dist.parameters["loc"])[order],
        scale=np.ravel(dist.parameters["scale"])[order],
        condition=found["condition/kernel"].T if "condition/kernel" in found else None,
    )
    kind = "normal" if isinstance(mixture, tfar.heads.NormalMixture) else "laplace"
    values = x.ravel()[order].astype(np.float64)
    how = (dist.parameters["activation"], kind, mixture.min_scale)
    return rnade.log_prob(weights, values, features_of(condition), *how)


NADE = exact(_nade_log_prob, _all_earlier)
RNADE = exact(_rnade_log_prob, _all_earlier)
