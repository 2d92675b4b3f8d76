"""What the oracles share: orders, weights by name, inputs and conditionals of sites."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tfar
from tests.reference import cf_nade, made

Array = np.ndarray
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}


class Oracle(NamedTuple):
    """The truth about a distribution.

    Attributes:
        log_prob: of the distribution, one event and its condition: the log-probability.
        connectivity: of the distribution: bool `[members, N, N]`, entry `[k, i, j]` is True if site i depends on site j.
        expected_loss: of the distribution, one event and its condition: the expectation of the training loss.
    """

    log_prob: Callable[[Any, Array, Any], float]
    connectivity: Callable[[Any], Array]
    expected_loss: Callable[[Any, Array, Any], float]


def exact(log_prob: Callable[[Any, Array, Any], float], connectivity: Callable[[Any], Array]) -> Oracle:
    """Returns the oracle of a model whose training loss is `-log_prob`."""
    return Oracle(log_prob, connectivity, lambda dist, x, condition: -log_prob(dist, x, condition))


def earlier(order: Sequence[int] | Array) -> Array:
    """Returns `[i, j]`: whether site j comes before site i in an order, which must be a permutation."""
    order = np.asarray(order)
    assert sorted(order.tolist()) == list(range(len(order)))
    steps = np.argsort(order)
    return steps[:, None] > steps[None, :]


def order_of(dist: Any) -> Array:
    """Returns the order that the argument `order` of a model names. A random one is read from the network."""
    argument, count = dist.parameters["order"], dist.num_sites
    if isinstance(argument, str):
        return {"natural": np.arange(count), "reverse": np.arange(count)[::-1]}.get(argument, dist.network.orders[0])
    return np.asarray(argument)


def weights_of(layer: Any) -> dict[str, Array]:
    """Returns the weights of a Keras layer in float64, by their paths below the layer."""
    return {v.path.split("/", 1)[1]: np.asarray(v, np.float64) for v in layer.weights}


def features_of(condition: Any) -> Any:
    """Returns a condition, or a dict of them in the order of their names, as one vector."""
    if isinstance(condition, dict):
        return np.concatenate([np.ravel(condition[name]) for name in sorted(condition)]).astype(np.float64)
    return None if condition is None else np.ravel(condition).astype(np.float64)


def inputs_of(dist: Any, sites: Array) -> Array:
    """Returns the inputs of the sites of an event, flat: one for each class, or scaled to -1 .. 1."""
    head = dist.head
    if dist.network.one_hot:
        return np.array([float(x == k) for x in sites for k in range(head.num_classes)])
    if isinstance(head, tfar.heads.Categorical):
        return 2.0 * sites / (head.num_classes - 1) - 1.0
    return np.asarray(sites, np.float64)


def site_log_prob(head: Any, params: Array, x: float) -> float:
    """Returns the log-probability of the value of a site."""
    if isinstance(head, tfar.heads.Bernoulli):
        return made.bernoulli(params, x)
    if isinstance(head, tfar.heads.Categorical):
        return made.categorical(params, x)
    if isinstance(head, tfar.heads.Ordinal):
        return float(np.log(cf_nade.rating_probabilities(params, head.cumulative)[int(x) - head.lowest]))
    normal = isinstance(head, tfar.heads.NormalMixture)
    return made.mixture(params, x, made.normal_density if normal else made.laplace_density, head.min_scale)


def sum_of_sites(head: Any, params: Array, sites: Array) -> float:
    """Returns the sum of the log-probabilities of sites, given parameters that hold those of each site in turn."""
    rows = np.reshape(params, [len(sites), -1])
    return float(sum(site_log_prob(head, own, x) for own, x in zip(rows, sites, strict=True)))
