"""The description of an exported model: `tfar.json`."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfar.exports import sha256
from tfar.laws.signature import Signature, condition_specs
from tfar.version import __version__

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def describe(
    dist: Any, signatures: Mapping[str, Signature], folder: Path, data: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns the content of `tfar.json`: configuration, signatures, versions and checksums of the SavedModel in a folder.

    `data` describes the data of the model, see `export_saved_model`.
    """
    parts = [folder / "saved_model.pb", *sorted((folder / "variables").iterdir())]
    return {
        "distribution": type(dist).__name__,
        "name": dist.name,
        "event_shape": dist.event_shape.as_list(),
        "conditional_inputs": {
            name: s.shape.as_list()[1:] for name, s in condition_specs(dist.conditional_shape).items()
        },
        "data": dict(data or {}),
        "any_pattern": getattr(dist.law, "allows_any_pattern", False),
        "shorter": getattr(dist.law, "allows_shorter", False),
        "num_weights": sum(int(np.prod(v.shape)) for v in dist.variables),
        "configuration": keras.saving.serialize_keras_object(dist)["config"],
        "signatures": {name: _signature(part) for name, part in signatures.items()},
        "versions": versions(),
        "sha256": {str(p.relative_to(folder)): sha256([p]) for p in parts},
    }


def _signature(signature: Signature) -> dict[str, Any]:
    inputs = {
        name: {"shape": spec.shape.as_list(), "dtype": spec.dtype.name, "meaning": signature.meanings[name]}
        for name, spec in signature.inputs.items()
    }
    return {"inputs": inputs, "outputs": signature.outputs}


def versions() -> dict[str, str]:
    """Returns the versions of tfar and of the packages that affect its numbers."""
    found = {"tfar": __version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
