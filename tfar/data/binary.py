"""The binary data sets on which the papers compare NADE and MADE, each read from an .npz file."""

import os
import pathlib
import zipfile

import numpy as np

from tfar.data.checks import DATA_DIR_VARIABLE, data_folder
from tfar.data.sources import ArraySource
from tfar.data.splits import SPLIT_NAMES, DataSplits

BINARY_SETS = {
    "adult": "the census table as 123 bits",
    "connect4": "positions of Connect Four as 126 bits",
    "dna": "DNA splice junctions as 180 bits",
    "mushrooms": "mushroom descriptions as 112 bits",
}


def load_binary(name: str, *, data_dir: str | os.PathLike[str] | None = None, batch_size: int = 100) -> DataSplits:
    """Loads a set of `BINARY_SETS` from `<folder>/<name>.npz`, which holds the arrays train, valid and test of shape `[N, D]`.

    Raises:
        FileNotFoundError: If the folder or the file does not exist.
        ValueError: If an array is missing, is not a table, or has values other than 0 and 1.

    References:
        Larochelle and Murray. The neural autoregressive distribution estimator. AISTATS 2011, section 6.
    """
    folder = data_folder(data_dir)
    if folder is None:
        raise FileNotFoundError(
            f"{name} is read from a file {name}.npz (binary arrays train, valid and test), but no folder is set: pass data_dir=… "
            f"or set the environment variable {DATA_DIR_VARIABLE}"
        )
    path = folder / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"the folder {folder} has no file {path.name}. Add this file (binary arrays train, valid and test), or set another "
            f"folder with data_dir=… or the environment variable {DATA_DIR_VARIABLE}"
        )
    return DataSplits.from_sources(
        name,
        {k: ArraySource(v) for k, v in _read_bits(path).items()},
        batch_size=batch_size,
        head="Bernoulli",
        head_config={},
        description=f"{BINARY_SETS[name]}, from {path.name}",
    )


def _read_bits(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            missing = [k for k in SPLIT_NAMES if k not in file.files]
            if missing:
                raise ValueError(f"expected the arrays {', '.join(SPLIT_NAMES)}; received {', '.join(file.files)}")
            arrays = {k: file[k] for k in SPLIT_NAMES}
        width = arrays["train"].shape[1:]
        for key, x in arrays.items():
            if x.ndim != 2 or x.shape[1:] != width:
                raise ValueError(f"expected arrays [N, D] with the same D; array {key} has shape {x.shape}")
            if not np.isin(x, (0, 1)).all():
                raise ValueError(f"expected values 0 and 1; array {key} holds {x[~np.isin(x, (0, 1))][0]}")
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: {error}") from error
    return {k: v.astype(np.uint8) for k, v in arrays.items()}
