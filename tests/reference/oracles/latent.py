"""The parts of DARN: layers of bits given the layer decided before."""

from typing import Any

import numpy as np

from tests.reference import darn
from tests.reference.oracles.parts import Array, earlier, exact, features_of, weights_of


def _slices(network: Any) -> list[slice]:
    """The sites of the layers, in the order in which they are decided."""
    ends = np.cumsum(network.layer_units)
    found = [slice(end - units, end) for end, units in zip(ends, network.layer_units, strict=True)]
    return found[::-1] if network.top_down else found


def _order(network: Any, units: int) -> list[int]:
    return {"natural": list(range(units)), "reverse": list(range(units))[::-1]}[network.order]


def layers_of(dist: Any) -> list[darn.Layer]:
    """The weights of the layers of a part, in the order in which they are decided."""
    network, found, layers = dist.network, weights_of(dist.network), []
    for number, own in enumerate(_slices(network), start=1):
        names = [f"hidden_{number}_{i + 1}" for i in range(len(network.hidden_units))]
        hidden = [(found[f"{name}/kernel"].T, found[f"{name}/bias"]) for name in names if f"{name}/kernel" in found]
        within, link = found.get(f"within_{number}/kernel"), found.get(f"link_{number}/kernel")
        bias, order = np.asarray(network.bias, np.float64)[own], _order(network, own.stop - own.start)
        layers.append(
            darn.Layer(bias, None if within is None else within.T, None if link is None else link.T, hidden, order)
        )
    return layers


def darn_log_prob(dist: Any, x: Array, condition: Any) -> float:
    """Of one event of a part, and its condition."""
    values = [np.ravel(x)[own].tolist() for own in _slices(dist.network)]
    before = None if condition is None else features_of(condition)[: dist.network.condition_units].tolist()
    return darn.stacked(layers_of(dist), values, before)


def darn_connectivity(dist: Any) -> Array:
    """A bit depends on the earlier bits of its layer and on the layer decided before."""
    network, before = dist.network, slice(0, 0)
    found = np.zeros([network.num_sites, network.num_sites], bool)
    for own in _slices(network):
        found[own, before] = True
        if network.autoregressive:
            found[own, own] = earlier(_order(network, own.stop - own.start))
        before = own
    return found[None]


DARN_PART = exact(darn_log_prob, darn_connectivity)
