"""Image sets of tensorflow-datasets, with 256 levels a channel, and the two binarised MNISTs.

Nothing is downloaded unless the caller says `download=True`.
"""

import dataclasses
import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import DATA_DIR_VARIABLE, check_count, data_folder, require
from tfar.data.sources import as_float32
from tfar.data.splits import DataSplits

# How many rows to take from the end of train where a set has no validation split: the papers' number, else a tenth.
NUM_VALID = {"mnist": 10_000, "fashion_mnist": 10_000, "kmnist": 10_000}
_VALID_NAMES = ("validation", "valid", "val", "dev")


class UnknownName(ValueError):
    """tensorflow-datasets knows no set of that name."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """A slice of a TFDS split, decoded anew for each pass, in file order.

    Args:
        builder: `tfds.core.DatasetBuilder` whose files are there.
        split: str, in TFDS's language: "train[:50000]".
    """

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
        tfds = require("tensorflow_datasets")
        dataset = self.builder.as_dataset(
            split=self.split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({"image": True}),
            # One file after the other, so that the order does not depend on the machine.
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
    """Loads an image set of tensorflow-datasets by its name there.

    Args:
        name: str, as TFDS takes it: "mnist", "fashion_mnist", "cifar10", "downsampled_imagenet/32x32", "mnist:3.0.1".
        data_dir: path of TFDS's folder, or of one that holds it as `tfds`. By default `$TFAR_DATA_DIR/tfds` if that
            variable is set, else TFDS's own default.
        batch_size: int.
        num_valid: int or None. How many rows to take from the end of train as validation where the set has none
            (10000 for the MNIST family, else a tenth). 0 takes none.
        download: bool. True lets TFDS download and prepare a set that is missing.

    Returns:
        A `DataSplits` of `[H, W, C]` levels 0 … 255 ("binarized_mnist": bits). `test` is None where the set has none.

    Raises:
        FileNotFoundError: the set is not in the folder, which the message names.
        ValueError: TFDS does not know the name, or the set has no uint8 images of one size.
        ImportError: tensorflow-datasets is not installed.
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
    """Returns the TFDS builder of a set that is on disk, without touching the network unless `download`.

    Raises:
        FileNotFoundError: the set is not there.
        ValueError: TFDS does not know the name.
    """
    tfds = require("tensorflow_datasets")
    folders = tfds_folders(data_dir)
    for folder in folders:
        # tfds.builder would ask a server for the description of a missing set; reading from files does not.
        try:
            return require("tensorflow_datasets.core.read_only_builder").builder_from_files(name, data_dir=folder)
        except tfds.core.DatasetNotFoundError:
            continue
    known = tfds.list_builders(with_community_datasets=False)
    if name.split("/")[0].split(":")[0] not in known:
        raise UnknownName(f"expected the name of a data set that tensorflow-datasets knows; received {name!r}")
    if not download:
        looked = " and ".join(str(f or tfds.core.constants.DATA_DIR) for f in folders)
        raise FileNotFoundError(
            f"{name} was looked for in {looked}, and is not there. Pass download=True to let tensorflow-datasets "
            f"fetch it, or name the folder that holds it by data_dir=… or {DATA_DIR_VARIABLE} (as its subfolder tfds)"
        )
    builder = tfds.builder(name, data_dir=folders[0])
    builder.download_and_prepare()
    return builder


def tfds_folders(data_dir: str | os.PathLike[str] | None) -> list[str | None]:
    """Returns where TFDS sets are looked for, in order; None is TFDS's own default."""
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
            f"{name}: expected uint8 images of one size; received {dtype} images of shape {shape}. Bring them to one "
            "size, write them to a .npy file and use tfar.data.from_files"
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
