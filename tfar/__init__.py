"""Neural autoregressive density estimation on TensorFlow."""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tfar.version import __version__ as __version__

if TYPE_CHECKING:
    from tfar import (
        data,
        distributions,
        heads,
        laws,
        layers,
        masks,
        networks,
        orders,
        plots,
        random,
        serving,
        testing,
        training,
    )
    from tfar.distributions import (
        MADE,
        NADE,
        RNADE,
        Autoregressive,
        ConvNADE,
        Factorized,
        GatedPixelCNN,
        LatentVariable,
        OrderlessNADE,
        PixelCNN,
        PixelCNNPlusPlus,
    )
    from tfar.training import load

__all__ = [
    "MADE",
    "NADE",
    "RNADE",
    "Autoregressive",
    "ConvNADE",
    "Factorized",
    "GatedPixelCNN",
    "LatentVariable",
    "OrderlessNADE",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "data",
    "distributions",
    "heads",
    "laws",
    "layers",
    "load",
    "masks",
    "networks",
    "orders",
    "plots",
    "random",
    "serving",
    "testing",
    "training",
]

# Where the names come from that are no modules of the package.
_HOMES = {
    "MADE": "distributions",
    "NADE": "distributions",
    "RNADE": "distributions",
    "Autoregressive": "distributions",
    "ConvNADE": "distributions",
    "Factorized": "distributions",
    "GatedPixelCNN": "distributions",
    "LatentVariable": "distributions",
    "OrderlessNADE": "distributions",
    "PixelCNN": "distributions",
    "PixelCNNPlusPlus": "distributions",
    "load": "training",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    return getattr(home, name) if name in _HOMES else home


def _is_command() -> bool:
    """Whether this process is the `tfar` command, which loads TensorFlow (seconds) only once it knows what to do."""
    program = os.path.splitext(os.path.basename(sys.argv[0]))[0] if getattr(sys, "argv", None) else ""
    return program == "tfar" or sys.orig_argv[1:3] == ["-m", "tfar.cli"]


# Everybody else gets everything at once: Keras finds the classes of a saved model only if they have been imported.
if not _is_command():
    globals().update({name: __getattr__(name) for name in __all__})
