"""Neural autoregressive density estimation on TensorFlow."""

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from tfar.version import __version__ as __version__

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError(
        "tfar needs TensorFlow, which is not installed. Install it with `pip install tensorflow`, or without support of GPUs "
        "with `pip install tensorflow-cpu`; https://tfar.readthedocs.io/en/latest/installation.html names the versions."
    )


def _is_command() -> bool:
    """Whether this process is the `tfar` command, which loads TensorFlow (seconds) only once it knows what to do."""
    program = os.path.splitext(os.path.basename(sys.argv[0]))[0] if getattr(sys, "argv", None) else ""
    return program == "tfar" or sys.orig_argv[1:3] == ["-m", "tfar.cli"]


# Everybody else gets everything at once: Keras finds the classes of a saved model only if they have been imported.
if TYPE_CHECKING or not _is_command():
    from tfar import (
        coding,
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
        tables,
        testing,
        training,
    )
    from tfar.distributions import (
        CFNADE,
        DARN,
        MADE,
        NADE,
        RNADE,
        AnyOrderTransformer,
        Autoregressive,
        ConvNADE,
        DiagonalBiLSTM,
        DocNADE,
        DocNADELanguageModel,
        Factorized,
        GatedPixelCNN,
        HierarchicalAutoencoder,
        ImplicitCFNADE,
        LatentVariable,
        MultiscalePixelCNN,
        OrderlessNADE,
        PixelCNN,
        PixelCNNPlusPlus,
        PixelVAE,
        RecurrentLanguageModel,
        RowLSTM,
        SentenceVAE,
        SequenceAutoencoder,
        SpatialLSTM,
        VideoPixelNetwork,
        WaveNet,
    )
    from tfar.tables import TableModel
    from tfar.training import load

__all__ = [
    "CFNADE",
    "DARN",
    "MADE",
    "NADE",
    "RNADE",
    "AnyOrderTransformer",
    "Autoregressive",
    "ConvNADE",
    "DiagonalBiLSTM",
    "DocNADE",
    "DocNADELanguageModel",
    "Factorized",
    "GatedPixelCNN",
    "HierarchicalAutoencoder",
    "ImplicitCFNADE",
    "LatentVariable",
    "MultiscalePixelCNN",
    "OrderlessNADE",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "PixelVAE",
    "RecurrentLanguageModel",
    "RowLSTM",
    "SentenceVAE",
    "SequenceAutoencoder",
    "SpatialLSTM",
    "TableModel",
    "VideoPixelNetwork",
    "WaveNet",
    "coding",
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
    "tables",
    "testing",
    "training",
]


def __getattr__(name: str) -> Any:
    """Imports a name when the command first uses it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "load":
        return importlib.import_module("tfar.training").load
    if name == "TableModel":
        return importlib.import_module("tfar.tables").TableModel
    if name[0].isupper():
        return getattr(importlib.import_module("tfar.distributions"), name)
    return importlib.import_module(f"tfar.{name}")
