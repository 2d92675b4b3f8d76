"""Image sets of TFDS, and the two binarised versions of MNIST."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from data_tables import digest, rows

from tfar.data import load
from tfar.data.binarized import draw_bits, read_mnist

MNIST = ["2b662d4475973de3", "506e2e4a339b01af", "02eb2b5e1baa0dbd"]


# ---- image sets ----


REGISTERED = "tfar_tiny"  # TFDS finds this builder by its registered class, and the others only by their files.


def make_builder(class_name: str, features: dict, sizes: dict[str, int], image) -> type:
    """Returns a TFDS builder class with this name, whose image i is image(i)."""

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=class_name != REGISTERED):
        name = class_name
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {name: self._generate(count) for name, count in sizes.items()}

        def _generate(self, count):
            for i in range(count):
                yield i, {next(iter(features)): image(i)}

        def _generate_examples(self):  # Abstract in the base class; the splits use `_generate`.
            raise NotImplementedError

    return Builder


def small_image(i: int) -> np.ndarray:
    return np.full([4, 6, 3], i, np.uint8)


IMAGE = {"image": tfds.features.Image(shape=(4, 6, 3))}
TINY = make_builder(REGISTERED, IMAGE, {"train": 30, "test": 5}, small_image)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    TINY(data_dir=folder).download_and_prepare()
    return folder


def test_any_image_set_of_tfds_by_its_name(tiny):
    splits = load("tfar_tiny", data_dir=tiny, batch_size=10)
    assert (splits.event_shape, splits.num_train, splits.num_valid, splits.num_test) == ((4, 6, 3), 27, 3, 5)
    assert (splits.head, splits.head_config) == ("Categorical", {"num_classes": 256})
    batches = list(splits.train)
    assert [len(batch) for batch in batches] == [10, 10, 7]
    assert batches[0].dtype == tf.float32
    train, valid, test = (rows(getattr(splits, k)) for k in ("train", "valid", "test"))
    seen = np.concatenate([train, valid])[:, 0, 0, 0]
    assert sorted(seen) == list(range(30)) and sorted(test[:, 0, 0, 0]) == list(range(5))
    np.testing.assert_array_equal(rows(load("tfar_tiny:1.0.0", data_dir=tiny, num_valid=0).train)[:, 0, 0, 0], seen)


def test_images_stay_uint8_in_memory_and_until_the_end_of_the_pipeline(tiny):
    splits = load("tfar_tiny", data_dir=tiny)
    train = splits.arrays("train")
    assert train.dtype == np.uint8
    assert splits.arrays("train") is train
    np.testing.assert_array_equal(rows(splits.train), train)


def test_the_number_of_validation_images(tiny):
    splits = load("tfar_tiny", data_dir=tiny, num_valid=12)
    assert (splits.num_train, splits.num_valid) == (18, 12)
    splits = load("tfar_tiny", data_dir=tiny, num_valid=0)
    assert (splits.num_train, splits.num_valid, splits.valid) == (30, 0, None)
    for bad in (-1, 30):
        with pytest.raises(ValueError, match=f"num_valid must be .*received {bad}"):
            load("tfar_tiny", data_dir=tiny, num_valid=bad)


def test_a_validation_split_of_the_set_itself_is_used(tmp_path):
    make_builder("tfar_valid", IMAGE, {"train": 20, "validation": 4}, small_image)(
        data_dir=tmp_path
    ).download_and_prepare()
    splits = load("tfar_valid", data_dir=tmp_path)
    assert (splits.num_train, splits.num_valid, splits.num_test, splits.test) == (20, 4, 0, None)


def test_several_files_are_read_one_after_the_other(tmp_path):
    builder = make_builder("tfar_shards", IMAGE, {"train": 120}, small_image)(data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    assert builder.info.splits["train"].num_shards == 3
    whole = load("tfar_shards", data_dir=tmp_path, num_valid=0).arrays("train")
    carved = load("tfar_shards", data_dir=tmp_path, num_valid=50)
    np.testing.assert_array_equal(np.concatenate([carved.arrays("train"), carved.arrays("valid")]), whole)


def test_the_folder_may_hold_tfds_as_a_subfolder(tiny, tmp_path, monkeypatch):
    (tmp_path / "tfds").symlink_to(tiny)
    assert load("tfar_tiny", data_dir=tmp_path).num_train == 27
    monkeypatch.setenv("TFAR_DATA_DIR", str(tmp_path))
    assert load("tfar_tiny").num_train == 27


def test_a_missing_image_set_names_the_folder_and_touches_no_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(tfds.core.DatasetInfo, "initialize_from_bucket", refuse)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", refuse)
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path / 'tfds'))}.*download=True"):
        load("cifar10", data_dir=tmp_path)
    monkeypatch.setenv("TFAR_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "tfds"))):
        load("binarized_mnist")


def test_download_prepares_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.DatasetInfo, "initialize_from_bucket", lambda self: None)
    assert load("tfar_tiny", data_dir=tmp_path, download=True).num_train == 27
    assert load("tfar_tiny", data_dir=tmp_path).num_train == 27


def test_sets_without_uint8_images_of_one_size(tmp_path):
    free = {"image": tfds.features.Image(shape=(None, None, 3))}
    make_builder("tfar_free", free, {"train": 2}, small_image)(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(ValueError, match=r"uint8 images of one size; received uint8 images of shape \(None, None, 3\)"):
        load("tfar_free", data_dir=tmp_path)
    words = {"label": tfds.features.ClassLabel(num_classes=5)}
    make_builder("tfar_words", words, {"train": 2}, int)(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(ValueError, match=r"feature 'image'; received the features \['label'\]"):
        load("tfar_words", data_dir=tmp_path)


def test_binarized_mnist_of_tfds_is_bits(tmp_path):
    features = {"image": tfds.features.Image(shape=(28, 28, 1))}
    sizes = {"train": 5, "validation": 3, "test": 2}
    builder = make_builder("binarized_mnist", features, sizes, lambda i: np.full([28, 28, 1], i % 2, np.uint8))
    builder(data_dir=tmp_path).download_and_prepare()
    splits = load("binarized_mnist", data_dir=tmp_path)
    assert (splits.head, splits.head_config, splits.event_shape) == ("Bernoulli", {}, (28, 28, 1))
    assert (splits.num_train, splits.num_valid, splits.num_test) == (5, 3, 2)


@pytest.mark.data
def test_mnist_from_tfds(data_dir):
    splits = load("mnist", batch_size=50)
    assert splits.event_shape == (28, 28, 1)
    assert (splits.num_train, splits.num_valid, splits.num_test) == (50_000, 10_000, 10_000)
    first = next(iter(splits.train))
    assert (first.shape, first.dtype) == ((50, 28, 28, 1), tf.float32)
    stored = tfds.load("mnist", split="train[:50]", data_dir=f"{data_dir}/tfds", shuffle_files=False)
    np.testing.assert_array_equal(first, [example["image"] for example in tfds.as_numpy(stored)])


# ---- MNIST, binarised once ----


def test_draw_bits_follows_the_stated_formula():
    images = np.random.default_rng(0).integers(0, 256, [1500, 28, 28], dtype=np.uint8)
    words = np.random.PCG64(4).random_raw(images.size).reshape(images.shape)
    u = np.floor(words / 2.0**11) / 2.0**53
    agree = draw_bits(images, np.random.PCG64(4)) == (u < images / 255)
    assert agree.all()


def test_draw_bits_has_the_pixels_probabilities():
    levels = np.broadcast_to(np.arange(256, dtype=np.uint8), [20_000, 256])
    means = draw_bits(levels, np.random.PCG64(0)).mean(axis=0)
    assert means[0] == 0 and means[255] == 1
    assert abs(means - np.arange(256) / 255).max() < 5 * 0.5 / np.sqrt(20_000)


def test_mnist_binarized_from_an_npz(tmp_path):
    train = np.random.default_rng(1).integers(0, 256, [10_020, 28, 28], dtype=np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=train, x_test=train[:9])
    splits = load("mnist_binarized", data_dir=tmp_path, seed=3)
    assert (splits.event_shape, splits.head, splits.head_config) == ((28, 28), "Bernoulli", {})
    assert (splits.num_train, splits.num_valid, splits.num_test) == (20, 10_000, 9)
    generator = np.random.PCG64(3)
    expected = draw_bits(train, generator), draw_bits(train[:9], generator)
    np.testing.assert_array_equal(np.concatenate([splits.arrays("train"), splits.arrays("valid")]), expected[0])
    np.testing.assert_array_equal(splits.arrays("test"), expected[1])
    assert (load("mnist_binarized", data_dir=tmp_path).arrays("train") != splits.arrays("train")).any()


def test_mnist_binarized_errors(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=f"mnist.npz was not found in {re.escape(str(tmp_path))}; mnist was not found in"
    ):
        load("mnist_binarized", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=f"mnist.npz was not found in {re.escape(str(tmp_path))}"):
        load("mnist_binarized", data_dir=tmp_path, source="npz")
    with pytest.raises(ValueError, match="source must be 'auto', 'npz' or 'tfds'; received 'web'"):
        load("mnist_binarized", data_dir=tmp_path, source="web")
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros([3, 28, 28], np.uint8))
    with pytest.raises(ValueError, match="expected the arrays x_train and x_test; received x_train"):
        load("mnist_binarized", data_dir=tmp_path)
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros([3, 28, 28]), x_test=np.zeros([3, 28, 28]))
    with pytest.raises(ValueError, match=r"expected x_train uint8 \[N, 28, 28\]; received float64 \[3, 28, 28\]"):
        load("mnist_binarized", data_dir=tmp_path)


def test_a_tfds_mnist_that_is_not_mnist_is_refused(tmp_path):
    features = {"image": tfds.features.Image(shape=(28, 28, 1))}
    builder = make_builder("mnist", features, {"train": 3, "test": 2}, lambda i: np.full([28, 28, 1], i, np.uint8))
    builder(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(
        ValueError, match=r"the original order of the .* images of MNIST could not be restored.*source='npz'"
    ):
        load("mnist_binarized", data_dir=tmp_path)


@pytest.mark.data
@pytest.mark.slow(ci=True)
def test_both_sources_give_the_same_images_so_the_same_bits(data_dir):
    from_tfds, from_npz = read_mnist(source="tfds"), read_mnist(source="npz")
    for split in ("train", "test"):
        np.testing.assert_array_equal(from_tfds[split], from_npz[split])


@pytest.mark.data
def test_the_draw_of_mnist_is_pinned(data_dir):
    """Published results refer to these bits. Other bits need another name."""
    splits = load("mnist_binarized")
    assert (splits.num_train, splits.num_valid, splits.num_test) == (50_000, 10_000, 10_000)
    assert [digest(splits.arrays(k)) for k in ("train", "valid", "test")] == MNIST
    assert abs(splits.arrays("train").mean() - 0.1307) < 0.001
