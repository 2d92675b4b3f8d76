"""What an exported model says of itself: `tfar.json`."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfar.distributions import Autoregressive
from tfar.exports import sha256
from tfar.serving.signatures import Signature
from tfar.version import __version__

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def describe(dist: Autoregressive, signatures: Mapping[str, Signature], folder: Path) -> dict[str, Any]:
    """The content of `tfar.json`: what was exported, its signatures, versions and checksums.

    Args:
        dist: the distribution.
        signatures: its signatures.
        folder: the SavedModel, whose files get checksums.

    Returns:
        Plain JSON.
    """

    network = dist.network
    return {
        "distribution": type(dist).__name__,
        "name": dist.name,
        "event_shape": list(network.event_shape),
        "conditional_shape": network.get_config()["conditional_shape"],
        "num_sites": network.num_sites,
        "num_members": dist.num_members,
        "head": keras.saving.serialize_keras_object(dist.head),
        "temperature": dist.temperature,
        "order": _order(dist),
        "any_order": dist.law.allows_any_pattern,
        "num_weights": sum(int(np.prod(v.shape)) for v in dist.variables),
        "signatures": {name: _signature(part) for name, part in signatures.items()},
        "versions": {"tfar": __version__, **_versions()},
        "sha256": {str(p.relative_to(folder)): sha256([p]) for p in _files(folder)},
    }


def _files(folder: Path) -> list[Path]:
    return [folder / "saved_model.pb", *sorted((folder / "variables").iterdir())]


def _order(dist: Autoregressive) -> Any:
    """The order of the sites: "natural", or the permutations of the members."""
    orders = dist.network.orders if dist.law.orders is None else np.asarray(dist.law.orders)
    if len(orders) == 1 and np.array_equal(orders[0], np.arange(dist.num_sites)):
        return "natural"
    return orders.tolist()


def _signature(signature: Signature) -> dict[str, Any]:
    inputs = {
        name: {"shape": spec.shape.as_list(), "dtype": spec.dtype.name, "meaning": signature.meanings["inputs"][name]}
        for name, spec in signature.inputs.items()
    }
    return {"inputs": inputs, "outputs": signature.meanings["outputs"]}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
