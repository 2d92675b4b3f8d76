"""Orderless NADE, ConvNADE and CF-NADE: the mean over orders, and the objective of a random order and step."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference import cf_nade, conv_nade
from tests.reference.oracles.parts import (
    ACTIVATIONS,
    Array,
    Oracle,
    earlier,
    features_of,
    inputs_of,
    site_log_prob,
    weights_of,
)

# Of a distribution, an event, the mask of the known sites and a condition: parameters `[N, P]`.
Parameters = Callable[[Any, Array, Array, Any], Array]


def orders_of(dist: Any) -> Array:
    """Returns the orders of the members: those that were given, or random ones, which are read from the law."""
    given = dist.parameters["orders"]
    return np.asarray(dist.law.orders if given is None else given)


def _orderless(parameters: Parameters, reach: Callable[[Any], Array | bool]) -> Oracle:
    """Returns the oracle of a model with a pass under any mask of known sites.

    Args:
        parameters: the pass.
        reach: of the distribution: bool `[N, N]`, whether a site can see another one at all.
    """

    def along(dist: Any, x: Array, condition: Any, order: Array) -> float:
        """log p(x | order), a site after the other."""
        known, result = np.zeros(dist.num_sites), 0.0
        for site in order:
            result += site_log_prob(dist.head, parameters(dist, x, known, condition)[site], x.ravel()[site])
            known[site] = 1.0
        return result

    def log_prob(dist: Any, x: Array, condition: Any) -> float:
        """The mean of the probabilities of the orders (ICML 2014, section 3.1)."""
        parts = [along(dist, x, condition, order) for order in orders_of(dist)]
        return float(np.logaddexp.reduce(parts) - np.log(len(parts)))

    def objective(dist: Any, x: Array, condition: Any) -> float:
        """Minus the mean over d and orders of D / (D - d + 1) times the sum over the sites not yet known (equation 7)."""
        count, result = dist.num_sites, 0.0
        for size in range(count):
            for seen in itertools.combinations(range(count), size):
                known = np.isin(np.arange(count), seen).astype(float)
                params = parameters(dist, x, known, condition)
                rest = sum(site_log_prob(dist.head, params[i], x.ravel()[i]) for i in range(count) if i not in seen)
                result -= rest / (count - size) / math.comb(count, size)
        return result

    def connectivity(dist: Any) -> Array:
        return np.stack([earlier(order) & reach(dist) for order in orders_of(dist)])

    return Oracle(log_prob, connectivity, objective)


def _perceptron(dist: Any, x: Array, known: Array, condition: Any) -> Array:
    """A perceptron on x * m and m (ICML 2014, equations 11 and 12)."""
    found, act = weights_of(dist.network), ACTIVATIONS[dist.parameters["activation"]]
    inputs = inputs_of(dist, x.ravel()).reshape(len(known), -1) * known[:, None]
    sums = found["inputs/bias"] + inputs.ravel() @ found["inputs/kernel"] + known @ found["mask/kernel"]
    if condition is not None:
        sums = sums + features_of(condition) @ found["condition/kernel"]
    number = 2
    while f"hidden_{number}/kernel" in found:
        sums = found[f"hidden_{number}/bias"] + act(sums) @ found[f"hidden_{number}/kernel"]
        number += 1
    return (found["output/bias"] + act(sums) @ found["output/kernel"]).reshape(len(known), -1)


def _conv_layers(dist: Any) -> conv_nade.Weights:
    """Returns the layers of ConvNADE; the kernels of transposed convolutions are turned and flipped."""
    found, depth = weights_of(dist.network), len(dist.parameters["filters"])
    units = dist.parameters["hidden_units"]
    kinds = [f"valid_{i}" for i in range(1, depth + 1)] + [f"full_{i}" for i in range(depth, 0, -1)]
    dense = [] if units is None else [f"dense_{i}" for i in range(1, len(units) + 2)]
    hidden = [*kinds[:-1], *dense[:-1]]

    def layer(name: str) -> conv_nade.Layer:
        kernel = found[f"{name}/kernel"]
        kernel = kernel[::-1, ::-1].transpose(0, 1, 3, 2) if name.startswith("full") else kernel
        condition = found.get(f"condition_{hidden.index(name) + 1}/kernel") if name in hidden else None
        return conv_nade.Layer(kernel, found[f"{name}/bias"], condition)

    return conv_nade.Weights(*[[layer(name) for name in names] for names in (kinds[:depth], kinds[depth:], dense)])


def _convolutions(dist: Any, x: Array, known: Array, condition: Any) -> Array:
    height, width = x.shape[:2]
    inputs = inputs_of(dist, x.ravel()).reshape(height, width, len(known) // (height * width), -1)
    how = (features_of(condition), dist.parameters["activation"])
    params = conv_nade.parameters(_conv_layers(dist), inputs, known.reshape(inputs.shape[:3]), *how)
    return params.reshape(len(known), -1)


def _conv_reach(dist: Any) -> Array | bool:
    """Whether a unit of the smallest layer sees both pixels; with the fully connected branch all sites see each other."""
    if dist.parameters["hidden_units"] is not None:
        return True
    height, width, *channels = dist.parameters["event_shape"]
    sizes = [(k, k) if isinstance(k, int) else k for k in dist.parameters["kernel_sizes"]]
    rows, columns = (sum(size[axis] - 1 for size in sizes) for axis in range(2))
    pixels = np.zeros([height * width] * 2, bool)
    for top, left in np.ndindex(height - rows, width - columns):
        inside = np.zeros([height, width], bool)
        inside[top : top + rows + 1, left : left + columns + 1] = True
        pixels |= np.outer(inside.ravel(), inside.ravel())
    return np.kron(pixels, np.ones([int(np.prod(channels))] * 2)).astype(bool)


def _cf_weights(dist: Any) -> cf_nade.Weights:
    found, count, size = weights_of(dist.network), dist.num_sites, dist.head.params_size
    rows, levels = found["kernel"].reshape(count, -1, found["kernel"].shape[1]), dist.network.num_ratings
    names = [name for name in sorted(found) if name.startswith("hidden_") and name.endswith("kernel")]
    return cf_nade.Weights(
        w=rows[:, :levels],
        q=rows[:, levels] if dist.parameters.get("implicit_term") else None,
        c=found["bias"],
        v=found["output_kernel"].reshape(count, size, -1),
        b=found["output_bias"].reshape(count, size),
        deep=[(found[name], found[name.replace("kernel", "bias")]) for name in names],
        factors=None if dist.parameters["rank"] is None else (found["factor/kernel"], found["output_factor/kernel"]),
        condition=found.get("condition/kernel"),
    )


def _ratings(dist: Any, x: Array, known: Array, condition: Any) -> Array:
    """Of the known ratings; of positive items, one that is known not to be positive adds nothing."""
    ratings = {item: int(x[item]) for item in np.flatnonzero(known) if x[item] > 0}
    share = dist.parameters.get("share_ratings", True)
    return cf_nade.parameters(_cf_weights(dist), ratings, share, features_of(condition))


ORDERLESS_NADE = _orderless(_perceptron, lambda dist: True)
CONV_NADE = _orderless(_convolutions, _conv_reach)
CF_NADE = _orderless(_ratings, lambda dist: True)
