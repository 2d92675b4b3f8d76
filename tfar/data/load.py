"""`load(name)`, which loads any named data set or file."""

import os
import pathlib
from typing import Any

from tfar.data.binarized import load_mnist_binarized
from tfar.data.binary import BINARY_SETS, load_binary
from tfar.data.bundled import load_digits
from tfar.data.checks import check_path
from tfar.data.files import from_files
from tfar.data.images import UnknownName, load_images
from tfar.data.opening import SUFFIXES, is_files
from tfar.data.splits import DataSplits

IMAGE_SETS = ("mnist", "fashion_mnist", "cifar10", "binarized_mnist")


def names() -> list[str]:
    """Returns the names of the documented data sets. `load` also accepts other image sets of tensorflow-datasets.

    Example:
        >>> "digits" in names()
        True
    """
    return sorted(["digits", "mnist_binarized", *BINARY_SETS, *IMAGE_SETS])


def load(
    name: str, *, data_dir: str | os.PathLike[str] | None = None, batch_size: int = 100, seed: int = 0, **options: Any
) -> DataSplits:
    """Loads a named data set or a file.

    | name | data | event shape | head |
    |---|---|---|---|
    | digits | digits of scikit-learn, binarised (bundled) | (8, 8) | Bernoulli |
    | mnist_binarized | MNIST, binarised at random by a fixed seed | (28, 28) | Bernoulli |
    | binarized_mnist | MNIST, binarised by Salakhutdinov and Murray (TFDS) | (28, 28, 1) | Bernoulli |
    | adult, connect4, dna, mushrooms | binary tables (.npz) | (123,) (126,) (180,) (112,) | Bernoulli |
    | mnist, fashion_mnist, cifar10, any TFDS image set | values 0 … 255 | (H, W, C) | Categorical |
    | a path or pattern of .npy, .npz, .csv, .parquet | rows of the files | as in the files | chosen from the values |
    | a folder of .png files, or a pattern of them | levels 0 … 255 | (H, W, C) | Categorical |

    Args:
        name: str.
        data_dir: path of the folder of data sets. Default: the environment variable TFAR_DATA_DIR, and for TFDS its
            subfolder tfds. The path of a file is relative to `data_dir` if that is passed.
        batch_size: int.
        seed: int. Seed of the split of "digits" and of files, and of the binarisation of "mnist_binarized". Ignored for
            other sets, whose splits are fixed.
        **options: options of the loader: `num_valid` and `download` for TFDS sets (see `images.load_images`), `source` for
            "mnist_binarized", and the options of `from_files` for files.

    Returns:
        `DataSplits`.

    Raises:
        FileNotFoundError: If the set or file is not found.
        ValueError: If no data set has this name, or if an argument is invalid.
        ImportError: If a required optional package is not installed.

    Example:
        >>> load("digits").event_shape
        (8, 8)
    """
    name = check_path("name", name)
    path = name if data_dir is None else str(pathlib.Path(check_path("data_dir", data_dir)).expanduser() / name)
    if name not in names() and is_files(path):
        return from_files(path, batch_size=batch_size, seed=seed, **options)
    if name == "digits":
        return load_digits(batch_size=batch_size, seed=seed, **options)
    if name == "mnist_binarized":
        return load_mnist_binarized(data_dir=data_dir, batch_size=batch_size, seed=seed, **options)
    if name in BINARY_SETS:
        return load_binary(name, data_dir=data_dir, batch_size=batch_size, **options)
    try:
        return load_images(name, data_dir=data_dir, batch_size=batch_size, **options)
    except UnknownName as error:
        raise ValueError(
            f"unknown data set {name!r}: expected one of {', '.join(names())}, the name of an "
            f"image set of tensorflow-datasets, a folder of .png files, or a file ending in {', '.join(SUFFIXES)}"
        ) from error
