"""Models read from files."""

import os
from typing import Any

import keras

import tfar.distributions  # noqa: F401  Keras finds the classes of a saved model only if they have been imported.
from tfar import model_files
from tfar.training.density_model import DensityModel


def load(path: Any) -> Any:
    """Reads the distribution of a model that `DensityModel.save` wrote.

    Args:
        path: path of a `.keras` file, or of the folder of a finished run of `tfar train`.

    Returns:
        The distribution, with its weights.

    Raises:
        FileNotFoundError: If there is no such file, or the run is not finished.
        ValueError: If it is not a `.keras` file of a `DensityModel`.
    """
    return _read(path, compile=False).dist


def load_model(path: Any) -> DensityModel:
    """Reads a model that `DensityModel.save` wrote, compiled and with the state of its optimizer: `fit` can go on.

    Args:
        path: path of a `.keras` file, or of the folder of a finished run of `tfar train`.

    Raises:
        FileNotFoundError: If there is no such file, or the run is not finished.
        ValueError: If it is not a `.keras` file of a `DensityModel`.
    """
    return _read(path, compile=True)


def _read(path: Any, compile: bool) -> DensityModel:
    path = os.fspath(path)
    if os.path.isdir(path):
        path, folder = os.path.join(path, model_files.RUN_MODEL), path
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"Expected the folder of a finished run; {folder} has no {model_files.RUN_MODEL}. A run gets it at its end: "
                f"tfar train MODEL --out {folder} --resume"
            )
    if not os.path.exists(path):
        raise FileNotFoundError(f"Expected a model file; there is none at {path}.")
    with model_files.reading_model(path):
        model = keras.saving.load_model(path, compile=compile)
    if not isinstance(model, DensityModel):
        raise ValueError(f"Expected {path} to hold a DensityModel; it holds a {type(model).__name__}.")
    return model
