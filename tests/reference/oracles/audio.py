"""WaveNet."""

import math
from typing import Any

import numpy as np

import tfar
from tests.reference import logistics, wavenet
from tests.reference.oracles.parts import Array, exact, sum_of_sites, weights_of

# Of 16 bits: as many distances between two values as exp(-7) is for 8 bits.
MIN_SCALE = {255: math.exp(-7.0), 65535: math.exp(-7.0) * 255 / 65535}


def _dilations(dist: Any) -> list[int]:
    arguments = dist.parameters
    return [2**layer for _ in range(arguments["num_stacks"]) for layer in range(arguments["num_layers"])]


def _inputs(dist: Any, x: Array) -> Array:
    """Returns the values of each time `[T, C]` as vectors: one-hot, or scaled to -1 .. 1 and companded."""
    head = dist.head
    if isinstance(head, tfar.heads.Categorical) and dist.parameters["one_hot_inputs"] is not False:
        return np.array([[float(value == k) for value in row for k in range(head.num_classes)] for row in x])
    if isinstance(head, tfar.heads.DiscretizedLogisticMixture):
        scaled = 2.0 * (x - head.low) / (head.high - head.low) - 1.0
        return np.array([[logistics.mu_law(y, head.companding) for y in row] for row in scaled])
    if isinstance(head, tfar.heads.Categorical):
        return 2.0 * x / (head.num_classes - 1) - 1.0
    return 2.0 * x - 1.0 if isinstance(head, tfar.heads.Bernoulli) else x


def _log_prob(dist: Any, x: Array, condition: Any) -> float:
    head, x = dist.head, np.asarray(x, np.float64).reshape(len(x), -1)
    parts = condition if isinstance(condition, dict) else {} if condition is None else {"": condition}
    named = {f"condition_{name}".removesuffix("_"): np.asarray(part, np.float64) for name, part in parts.items()}
    weights = weights_of(dist.network)
    params = wavenet.parameters(weights, _inputs(dist, x), _dilations(dist), named, dist.parameters["hop_length"])
    if not isinstance(head, tfar.heads.DiscretizedLogisticMixture):
        return sum_of_sites(head, params, x.ravel())
    how = (head.num_components, head.low, head.high, MIN_SCALE[head.high - head.low], head.companding)
    return float(sum(math.log(logistics.pixel_prob(own, row, *how)) for own, row in zip(params, x, strict=True)))


def _connectivity(dist: Any) -> Array:
    channels = 1 if dist.head.site_shape else int(np.prod(dist.event_shape[1:]))
    return wavenet.connectivity(dist.event_shape[0], channels, dist.parameters["kernel_size"], _dilations(dist))[None]


WAVENET = exact(_log_prob, _connectivity)
