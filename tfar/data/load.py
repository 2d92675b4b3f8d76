"""One door to every data set: `load(name)`."""

import os
import pathlib
from typing import Any

from tfar.data.binarized import load_mnist_binarized
from tfar.data.binary import BINARY_SETS, load_binary
from tfar.data.bundled import load_digits
from tfar.data.files import from_files
from tfar.data.images import UnknownName, load_images
from tfar.data.opening import SUFFIXES
from tfar.data.splits import DataSplits

IMAGE_SETS = ("mnist", "fashion_mnist", "cifar10", "binarized_mnist")


def names() -> list[str]:
    """Returns the names that `load` documents; it takes those of tensorflow-datasets' image sets too.

    Example:
        >>> "digits" in names()
        True
    """
    return sorted(["digits", "mnist_binarized", *BINARY_SETS, *IMAGE_SETS])


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    batch_size: int = 100,
    seed: int = 0,
    **options: Any,
) -> DataSplits:
    """Loads a data set by its name, or the user's own file.

    | name | what | event shape | suited head |
    |---|---|---|---|
    | digits | scikit-learn's digits as bits (bundled) | (8, 8) | Bernoulli |
    | mnist_binarized | MNIST, each pixel drawn once | (28, 28) | Bernoulli |
    | binarized_mnist | Salakhutdinov's own draw (TFDS) | (28, 28, 1) | Bernoulli |
    | adult, connect4, dna, mushrooms | tables of bits (.npz) | (123,) (126,) (180,) (112,) | Bernoulli |
    | mnist, fashion_mnist, cifar10, any TFDS image set | 256 levels | (H, W, C) | Categorical |
    | a path or pattern of .npy, .npz, .csv, .parquet | the user's rows | as the file | by the values |

    Args:
        name: str.
        data_dir: path of the folder of data sets. By default the environment variable TFAR_DATA_DIR, and for TFDS its
            subfolder tfds. A relative file is looked for in an explicit `data_dir`.
        batch_size: int.
        seed: int. Which split of "digits" and of files, which draw of "mnist_binarized"; the others have their own.
        **options: those of the loader: `num_valid` and `download` of TFDS sets (`images.load_images`), `source` of
            "mnist_binarized", all of `from_files`.

    Returns:
        A `DataSplits`.

    Raises:
        FileNotFoundError: the set or file is not there; says where it was looked for.
        ValueError: nobody knows the name.
        ImportError: an optional package is missing; says how to get it.

    Example:
        >>> load("digits").event_shape
        (8, 8)
    """
    name = os.fspath(name)
    if pathlib.PurePath(name).suffix.lower() in SUFFIXES:
        path = name if data_dir is None else pathlib.Path(data_dir).expanduser() / name
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
            f"unknown data set {name!r}: expected one of {', '.join(names())}, any image set of tensorflow-datasets by "
            f"its name there, or a file ending in {', '.join(SUFFIXES)}"
        ) from error
