"""Image data sets of tensorflow-datasets (TFDS).

Nothing is downloaded unless the caller passes `download=True`.
"""

import dataclasses
import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import DATA_DIR_VARIABLE, check_count, data_folder
from tfar.data.sources import as_float32
from tfar.data.splits import DataSplits
from tfar.optional import require

# Number of train rows that become the validation split of sets without one, as in the papers. Other sets: a tenth.
NUM_VALID = {"mnist": 10_000, "fashion_mnist": 10_000, "kmnist": 10_000}
_VALID_NAMES = ("validation", "valid", "val", "dev")


class UnknownName(ValueError):
    """Raised if tensorflow-datasets has no data set with this name."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """A slice of a TFDS split, such as "train[:50000]". Each pass decodes the images again, in the order of the files."""

    builder: Any
    split: str

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.builder.info.features["image"].shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    @property
    def num_rows(self) -> int:
        return self.builder.info.splits[self.split].num_examples

    def _batches(self, batch_size: int) -> tf.data.Dataset:
        tfds = require("tensorflow_datasets", "data")
        dataset = self.builder.as_dataset(
            split=self.split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({"image": True}),
            # Read one file after the other, so that the order does not depend on the machine.
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        return dataset.map(lambda example: example["image"], num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        return self._batches(batch_size).map(as_float32).prefetch(tf.data.AUTOTUNE)

    def array(self) -> np.ndarray:
        images = np.empty([self.num_rows, *self.event_shape], np.uint8)
        start = 0
        for batch in self._batches(1000).as_numpy_iterator():
            images[start : start + len(batch)] = batch
            start += len(batch)
        return images


def load_images(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    batch_size: int = 100,
    num_valid: int | None = None,
    download: bool = False,
) -> DataSplits:
    """Loads an image data set of tensorflow-datasets.

    Args:
        name: str. Name in TFDS, such as "mnist", "cifar10", "downsampled_imagenet/32x32" or "mnist:3.0.1".
        data_dir: path of the folder of TFDS, or of a folder with the subfolder `tfds`. Default: `$TFAR_DATA_DIR/tfds` if
            this variable is set, otherwise the default folder of TFDS.
        batch_size: int.
        num_valid: int or None. Number of rows at the end of train that become the validation split if the set has none.
            None is 10000 for the MNIST family and a tenth of train for other sets. 0 makes no validation split.
        download: bool. Whether TFDS may download and prepare a set that is missing.

    Returns:
        `DataSplits` with rows of shape `(H, W, C)` and values 0 … 255 (0 and 1 for "binarized_mnist"). `test` is None if the
        set has no test split.

    Raises:
        FileNotFoundError: If the set is not in the folder.
        ValueError: If TFDS has no set with this name, or if the set has no uint8 images of one size.
        ImportError: If tensorflow-datasets is not installed.
    """
    builder = find_builder(name, data_dir, download)
    _check_images(name, builder)
    splits = _name_splits(name, builder, num_valid)
    is_binary = builder.info.name == "binarized_mnist"
    return DataSplits.from_sources(
        name,
        {k: ImageSource(builder, v) for k, v in splits.items()},
        batch_size=batch_size,
        head="Bernoulli" if is_binary else "Categorical",
        head_config={} if is_binary else {"num_classes": 256},
        description=f"{builder.info.full_name} of tensorflow-datasets: "
        + ", ".join(f"{k}={v}" for k, v in splits.items()),
    )


def find_builder(name: str, data_dir: str | os.PathLike[str] | None, download: bool = False) -> Any:
    """Returns the TFDS builder of a data set on disk. It uses the network only if `download` is True."""
    tfds = require("tensorflow_datasets", "data")
    folders = tfds_folders(data_dir)
    for folder in folders:
        # builder_from_files uses no network, whereas tfds.builder requests the description of a missing set from a server.
        try:
            return require("tensorflow_datasets.core.read_only_builder", "data").builder_from_files(
                name, data_dir=folder
            )
        except tfds.core.DatasetNotFoundError:
            continue
    known = tfds.list_builders(with_community_datasets=False)
    if name.split("/")[0].split(":")[0] not in known:
        raise UnknownName(f"expected the name of a data set of tensorflow-datasets; received {name!r}")
    if not download:
        looked = " and ".join(str(f or tfds.core.constants.DATA_DIR) for f in folders)
        raise FileNotFoundError(
            f"{name} was not found in {looked}. Pass download=True to download it with tensorflow-datasets, pass data_dir=… with "
            f"the folder that holds it, or set the environment variable {DATA_DIR_VARIABLE} to a folder with a subfolder tfds"
        )
    builder = tfds.builder(name, data_dir=folders[0])
    builder.download_and_prepare()
    return builder


def tfds_folders(data_dir: str | os.PathLike[str] | None) -> list[str | None]:
    """Returns the folders in which TFDS sets are searched, in order. None is the default folder of TFDS."""
    folder = data_folder(data_dir)
    if folder is None:
        return [None]
    return [str(folder), str(folder / "tfds")] if data_dir is not None else [str(folder / "tfds")]


def _check_images(name: str, builder: Any) -> None:
    features = builder.info.features
    if "image" not in features:
        raise ValueError(f"{name}: expected a set with the feature 'image'; received the features {sorted(features)}")
    shape, dtype = features["image"].shape, np.dtype(features["image"].np_dtype)
    if None in shape or dtype != np.uint8:
        raise ValueError(
            f"{name}: expected uint8 images of one size; received {dtype} images of shape {shape}. Resize them, write them to "
            "a .npy file and use tfar.data.from_files"
        )


def _name_splits(name: str, builder: Any, num_valid: int | None) -> dict[str, str]:
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    if "train" not in sizes:
        raise ValueError(f"{name}: expected a split 'train'; received {sorted(sizes)}")
    splits = {"train": "train"}
    own = [k for k in _VALID_NAMES if k in sizes]
    if own:
        splits["valid"] = own[0]
    else:
        num_train = sizes["train"]
        if num_valid is None:
            num_valid = NUM_VALID.get(builder.info.name, num_train // 10)
        if check_count("num_valid", num_valid, minimum=0) >= num_train:
            raise ValueError(f"num_valid must be below the {num_train} rows of train; received {num_valid}")
        if num_valid:
            splits = {"train": f"train[:{num_train - num_valid}]", "valid": f"train[{num_train - num_valid}:]"}
    if "test" in sizes:
        splits["test"] = "test"
    return splits
