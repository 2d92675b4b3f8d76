"""MNIST with a fixed binarisation. Both supported file formats of MNIST give the same bits."""

import hashlib
import os
import pathlib

import numpy as np

from tfar.data.checks import check_seed, data_folder
from tfar.data.images import NUM_VALID, ImageSource, find_builder
from tfar.data.sources import ArraySource
from tfar.data.splits import DataSplits
from tfar.optional import require

# SHA-256 of the uint8 images in the order of the original files.
_ORIGINAL = {
    "train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
}
_MEMBERS = {"train": "x_train", "test": "x_test"}


def load_mnist_binarized(
    *, data_dir: str | os.PathLike[str] | None = None, batch_size: int = 100, seed: int = 0, source: str = "auto"
) -> DataSplits:
    """Loads MNIST, binarised once at random: a pixel is 1 with probability (grey level) / 255.

        x = 1 if u < pixel / 255 else 0,   u = floor(w / 2^11) / 2^53

    where w are the 64-bit words of `numpy.random.PCG64(seed).random_raw`, one for each pixel: first those of the 60000
    train images, then those of the 10000 test images, both in the order of the original files. NumPy guarantees that this
    stream does not change. The last 10000 train images are the validation split. Use seed 0 for results to report.

    Args:
        data_dir: path of a folder that holds mnist.npz (arrays x_train and x_test, uint8 `[N, 28, 28]`) or the set "mnist"
            of tensorflow-datasets (TFDS). Default: `$TFAR_DATA_DIR`, and for TFDS the folders of `load_images`.
        batch_size: int.
        seed: int. Seed of the binarisation.
        source: str. "npz", "tfds", or "auto": mnist.npz if it exists, because it is faster to read, otherwise TFDS. TFDS
            stores the images in another order. The original order is restored and verified, so that the bits are the same.

    Returns:
        `DataSplits` with binary rows of shape `(28, 28)`.

    Raises:
        FileNotFoundError: If neither file format is found.
        ValueError: If `source` is unknown, or if the arrays are not those of MNIST.

    References:
        Salakhutdinov and Murray. On the quantitative analysis of deep belief networks. ICML 2008, section 5.1. Their
        own binarisation is the data set "binarized_mnist".
    """
    seed = check_seed(seed)
    images = read_mnist(data_dir, source)
    bits = np.random.PCG64(seed)
    train, test = (draw_bits(images[k], bits) for k in ("train", "test"))
    num_train = max(len(train) - NUM_VALID["mnist"], 0)
    return DataSplits.from_sources(
        "mnist_binarized",
        {"train": ArraySource(train[:num_train]), "valid": ArraySource(train[num_train:]), "test": ArraySource(test)},
        batch_size=batch_size,
        head="Bernoulli",
        head_config={},
        description=f"MNIST, binarised at random with probability x/255 by PCG64({seed})",
    )


def draw_bits(images: np.ndarray, generator: np.random.PCG64) -> np.ndarray:
    """Draws a bit for each pixel of uint8 images, 1 with probability exactly pixel / 255, from one word each of the generator.

    Example:
        >>> draw_bits(np.array([[0, 255]], np.uint8), np.random.PCG64(3)).tolist()
        [[0, 1]]
    """
    bits = np.empty_like(images)
    for start in range(0, len(images), 1000):  # In parts, because the words of all images would take 376 MB.
        part = images[start : start + 1000].astype(np.uint64)
        words = generator.random_raw(part.size).reshape(part.shape)
        bits[start : start + 1000] = (words >> np.uint64(11)) * np.uint64(255) < part << np.uint64(53)
    return bits


def read_mnist(data_dir: str | os.PathLike[str] | None = None, source: str = "auto") -> dict[str, np.ndarray]:
    """Returns MNIST's images, "train" and "test", uint8 `[N, 28, 28]`, in the order of the original files."""
    if source not in ("auto", "npz", "tfds"):
        raise ValueError(f"source must be 'auto', 'npz' or 'tfds'; received {source!r}")
    folder = data_folder(data_dir)
    path = folder / "mnist.npz" if folder is not None else None
    if source != "tfds" and path is not None and path.is_file():
        return _read_npz(path)
    if source == "npz":
        raise FileNotFoundError(
            f"mnist.npz was not found in {folder or 'any folder, because no folder is set'}: pass data_dir=…"
        )
    try:
        builder = find_builder("mnist", data_dir)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"mnist.npz was not found in {folder or 'any folder'}; {error}") from error
    return {k: _restore_order(k, ImageSource(builder, k).array()[..., 0]) for k in ("train", "test")}


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        missing = [k for k in _MEMBERS.values() if k not in file.files]
        if missing:
            raise ValueError(f"{path}: expected the arrays x_train and x_test; received {', '.join(file.files)}")
        images = {k: file[v] for k, v in _MEMBERS.items()}
    for key, x in images.items():
        if x.dtype != np.uint8 or x.shape[1:] != (28, 28):
            raise ValueError(f"{path}: expected {_MEMBERS[key]} uint8 [N, 28, 28]; received {x.dtype} {list(x.shape)}")
    return images


def _restore_order(split: str, images: np.ndarray) -> np.ndarray:
    """Returns the images in the original order. TFDS sorts them by a hash of their index and the name of the split."""
    hasher = require("tensorflow_datasets.core.hashing", "data").Hasher(split)
    order = sorted(range(len(images)), key=hasher.hash_key)
    original = np.empty_like(images)
    original[order] = images
    if hashlib.sha256(original.tobytes()).hexdigest() != _ORIGINAL[split]:
        raise ValueError(
            f"the original order of the {split} images of MNIST could not be restored from tensorflow-datasets; "
            "pass data_dir=… with a folder that holds mnist.npz (x_train, x_test), and source='npz'"
        )
    return original
