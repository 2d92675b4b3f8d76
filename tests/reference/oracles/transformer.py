"""The any-order transformer: one order, and the mean over the orders of training."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import tfar
from tests.reference import any_order_transformer as reference
from tests.reference.oracles.parts import (
    ACTIVATIONS,
    Array,
    Oracle,
    earlier,
    features_of,
    order_of,
    site_log_prob,
    weights_of,
)


def _norm(found: dict[str, Array], name: str) -> reference.Norm:
    return reference.Norm(found[f"{name}/gamma"], found[f"{name}/beta"])


def _block(found: dict[str, Array], name: str, num_heads: int) -> reference.Block:
    """Splits the kernel of queries, keys and values, whose columns hold them in turn, each by head."""
    kernel = found[f"{name}/project/kernel"]
    by_head = kernel.reshape(len(kernel), 3, num_heads, -1).transpose(1, 2, 0, 3)
    dense = [found[f"{name}/{part}/{kind}"] for part in ("expand", "reduce") for kind in ("kernel", "bias")]
    join = [found[f"{name}/join/{kind}"] for kind in ("kernel", "bias")]
    return reference.Block(_norm(found, f"{name}/norm"), *by_head, *join, _norm(found, f"{name}/mlp_norm"), *dense)


def weights(dist: Any) -> reference.Weights:
    """Returns the weights of a distribution in the form of the loops."""
    found, count = weights_of(dist.network), dist.num_sites
    blocks = [
        _block(found, f"block_{i + 1}", dist.parameters["num_heads"]) for i in range(dist.parameters["num_layers"])
    ]
    units = len(found["first_token"][0])
    return reference.Weights(
        values=found["value_kernel"].reshape(count, -1, units),
        previous=found["previous_embedding"],
        sites=found["site_embedding"],
        first=found["first_token"][0],
        condition=found.get("condition/kernel"),
        blocks=blocks,
        last_norm=_norm(found, "last_norm"),
        outputs=found["output/kernel"].reshape(units, count, -1).transpose(1, 0, 2),
        bias=found["output/bias"].reshape(count, -1),
    )


def heads_of(dist: Any) -> Sequence[Any]:
    """Returns the head of each site."""
    return dist.head.heads if isinstance(dist.head, tfar.heads.PerSite) else [dist.head] * dist.num_sites


def _inputs(dist: Any, x: Array) -> Array:
    """The inputs of each site, `[N, I]`."""
    counts = [getattr(head, "num_classes", 0) for head in heads_of(dist)]
    if isinstance(dist.head, tfar.heads.PerSite):
        return _inputs_of_columns(counts, x)
    count, one_hot = counts[0], dist.parameters["one_hot_inputs"]
    if count and (count <= 32 if one_hot is None else one_hot):
        return np.array([[float(value == k) for k in range(count)] for value in x])
    return np.array([[2.0 * value / (count - 1) - 1.0 if count else value] for value in x])


def _inputs_of_columns(counts: Sequence[int], x: Array) -> Array:
    """A number, or 0 for a class, and then the one-hot vector of a class, with zeros up to the longest."""
    inputs = np.zeros([len(x), 1 + max(counts)])
    for site, (count, value) in enumerate(zip(counts, x, strict=True)):
        inputs[site, 1 + int(value) if count else 0] = 1.0 if count else value
    return inputs


def along(dist: Any, x: Array, condition: Any, order: Sequence[int]) -> Array:
    """Returns the log-probability of each site given those before it in an order, `[N]`."""
    activation = ACTIVATIONS[dist.parameters["activation"]]
    sites = x.ravel().astype(np.float64)
    params = reference.parameters(weights(dist), _inputs(dist, sites), order, features_of(condition), activation)
    heads = heads_of(dist)
    return np.array([site_log_prob(head, params[i, : head.params_size], sites[i]) for i, head in enumerate(heads)])


def subsets_first(order: Sequence[int]) -> Iterator[tuple[float, list[int]]]:
    """Yields each order of a subset and the others, which each keep `order`, and its probability: of all sizes the same."""
    count = len(order)
    for size in range(count + 1):
        for first in itertools.combinations(order, size):
            rest = [site for site in order if site not in first]
            yield 1.0 / (count + 1) / math.comb(count, size), [*first, *rest]


def training_orders(dist: Any, order: Sequence[int]) -> Iterator[tuple[float, list[int]]]:
    """Yields the orders of training of some sites, and their probabilities."""
    if dist.parameters["training_orders"] == "completion":
        yield from subsets_first(order)
    else:
        for each in itertools.permutations(order):
            yield 1.0 / math.factorial(len(order)), list(each)


def _log_prob(dist: Any, x: Array, condition: Any) -> float:
    return float(along(dist, x, condition, order_of(dist)).sum())


def _expected_loss(dist: Any, x: Array, condition: Any) -> float:
    orders = training_orders(dist, order_of(dist))
    return -sum(share * float(along(dist, x, condition, order).sum()) for share, order in orders)


ANY_ORDER_TRANSFORMER = Oracle(_log_prob, lambda dist: earlier(order_of(dist))[None], _expected_loss)
