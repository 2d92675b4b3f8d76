"""The named sets: the bundled one, the tables of bits, the image sets of TFDS and the two MNISTs of bits."""

import ast
import hashlib
import os
import pathlib
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import tfar.data
from tfar.data import DataSplits, from_files, load, names
from tfar.data.binarized import draw_bits, read_mnist
from tfar.data.sources import ArraySource

DATA_DIR = os.environ.get("TFAR_DATA_DIR")
MNIST = ["2b662d4475973de3", "506e2e4a339b01af", "02eb2b5e1baa0dbd"]
DIGITS = ["a805fae38f234024", "6ed09af1b4a878e8", "88e4b0a9fd285eb7"]


@pytest.fixture
def data_dir(monkeypatch):
    """The folder of real data, or a skip."""
    if not DATA_DIR:
        pytest.skip("TFAR_DATA_DIR is not set")
    monkeypatch.setenv("TFAR_DATA_DIR", DATA_DIR)
    return DATA_DIR


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch):
    """Without the fixture above, the tests do not depend on the environment."""
    monkeypatch.delenv("TFAR_DATA_DIR", raising=False)


def rows(dataset) -> np.ndarray:
    return np.concatenate([batch.numpy() for batch in dataset])


def digest(x: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(x, np.uint8).tobytes()).hexdigest()[:16]


# ---- digits ----


def test_digits_are_scikit_learns_binarised_at_half_scale():
    splits = load("digits", batch_size=64)
    assert (splits.num_train, splits.num_valid, splits.num_test) == (1297, 250, 250)
    assert (splits.event_shape, splits.head, splits.head_config) == ((8, 8), "Bernoulli", {})
    from sklearn.datasets import load_digits

    expected = (load_digits().images >= 8).astype(np.uint8).reshape(1797, 64)
    together = np.concatenate([splits.arrays(k) for k in ("train", "valid", "test")]).reshape(1797, 64)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(expected, axis=0))
    assert sorted(map(bytes, together)) == sorted(map(bytes, expected))


def test_digits_datasets_are_float32_batches_in_the_order_of_the_arrays():
    splits = load("digits", batch_size=64)
    first = next(iter(splits.train))
    assert (first.shape, first.dtype) == ((64, 8, 8), tf.float32)
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal(rows(getattr(splits, name)), splits.arrays(name))
        np.testing.assert_array_equal(rows(getattr(splits, name)), splits.arrays(name))
    assert len(splits.train) == 21


def test_the_split_of_digits_is_pinned_and_the_seed_changes_it():
    """Known answers: published numbers refer to this split. A new one would need a new name."""
    splits = load("digits")
    assert [digest(splits.arrays(k)) for k in ("train", "valid", "test")] == DIGITS
    assert digest(load("digits", seed=1).arrays("test")) != DIGITS[2]


# ---- DataSplits ----


def test_make_head_builds_the_suited_head_by_its_name(monkeypatch):
    heads = types.ModuleType("tfar.heads")
    heads.Categorical = lambda num_classes: ("Categorical", num_classes)
    monkeypatch.setitem(sys.modules, "tfar.heads", heads)
    monkeypatch.setattr(tfar, "heads", heads, raising=False)
    sources = {"train": ArraySource(np.zeros([2, 3], np.uint8))}
    splits = DataSplits.from_sources("x", sources, batch_size=1, head="Categorical", head_config={"num_classes": 5})
    assert splits.make_head() == ("Categorical", 5)


def test_splits_need_rows_and_are_frozen():
    fields = {"batch_size": 1, "head": "Bernoulli", "head_config": {}}
    with pytest.raises(ValueError, match="x: the train split needs at least one row"):
        DataSplits.from_sources("x", {"train": ArraySource(np.zeros([0, 3]))}, **fields)
    with pytest.raises(ValueError, match="x: the train split needs at least one row"):
        DataSplits.from_sources("x", {"test": ArraySource(np.zeros([2, 3]))}, **fields)
    splits = DataSplits.from_sources("x", {"train": ArraySource(np.zeros([2, 3]))}, **fields)
    assert splits.valid is None and splits.arrays("valid") is None and splits.num_valid == 0
    with pytest.raises(AttributeError):
        splits.name = "y"


@pytest.mark.parametrize("size", [0, -3, 1.5])
def test_bad_batch_size(size):
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1; received"):
        load("digits", batch_size=size)


# ---- names ----


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown data set 'digitz'.*digits.*any image set of tensorflow-datasets"
    ) as caught:
        load("digitz", data_dir=tmp_path)
    assert all(name in str(caught.value) for name in names())


def imports(tree: ast.AST) -> set[str]:
    """The modules that are imported when this code runs, functions left out."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(f"{'.' * node.level}{node.module or ''}")
        elif not isinstance(node, ast.FunctionDef):
            found |= imports(node)
    return found


def test_importing_needs_no_optional_package_and_no_other_part_of_tfar():
    files = sorted(pathlib.Path(tfar.data.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for module in imports(ast.parse(file.read_text(encoding="utf-8"))):
            allowed = module.split(".")[0] in sys.stdlib_module_names | {"numpy", "tensorflow", "keras"}
            assert allowed or module.startswith("tfar.data"), f"{file.name} imports {module}"


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("sklearn.datasets", lambda folder: load("digits")),
        ("tensorflow_datasets", lambda folder: load("mnist")),
        ("pyarrow", lambda folder: from_files(folder / "x.parquet")),
    ],
)
def test_a_missing_package_says_how_to_get_it(monkeypatch, tmp_path, module, read):
    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=re.escape('pip install "tfar[data]"')) as caught:
        read(tmp_path)
    assert module in str(caught.value)


# ---- tables of bits ----


def bits(count: int, width: int = 4) -> np.ndarray:
    return (np.arange(count * width).reshape(count, width) % 3 == 0).astype(np.uint8)


@pytest.mark.parametrize("by_variable", [True, False])
def test_binary_tables_are_read_from_the_folder(tmp_path, monkeypatch, by_variable):
    np.savez(tmp_path / "dna.npz", train=bits(7), valid=bits(3), test=bits(2))
    if by_variable:
        monkeypatch.setenv("TFAR_DATA_DIR", str(tmp_path))
    splits = load("dna", data_dir=None if by_variable else tmp_path, batch_size=4)
    assert (splits.event_shape, splits.num_train, splits.num_valid, splits.num_test) == ((4,), 7, 3, 2)
    assert (splits.head, splits.head_config) == ("Bernoulli", {})
    np.testing.assert_array_equal(rows(splits.train), bits(7))
    assert splits.arrays("train").dtype == np.uint8


def test_a_missing_table_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path))}, which has no file adult.npz"):
        load("adult", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder is named: pass data_dir=… or set .* TFAR_DATA_DIR"):
        load("adult")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": bits(3), "test": bits(3)}, "expected the arrays train, valid, test; received train, test"),
        ({"train": bits(3), "valid": bits(3), "test": bits(3, 5)}, r"of one width; array test has shape \(3, 5\)"),
        ({"train": bits(3) * 2, "valid": bits(3), "test": bits(3)}, "expected bits; array train holds 2"),
        ({"train": bits(3), "valid": bits(3), "test": bits(3) * np.nan}, "expected bits; array test holds nan"),
    ],
)
def test_bad_tables(tmp_path, arrays, message):
    np.savez(tmp_path / "dna.npz", **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load("dna", data_dir=tmp_path)
    assert str(tmp_path / "dna.npz") in str(caught.value)


def test_a_table_that_is_no_npz(tmp_path):
    (tmp_path / "dna.npz").write_text("hello")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "dna.npz"))):
        load("dna", data_dir=tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "width", "sizes"),
    [
        ("adult", 123, (5000, 1414, 26147)),
        ("connect4", 126, (16000, 4000, 47557)),
        ("dna", 180, (1400, 600, 1186)),
        ("mushrooms", 112, (2000, 500, 5624)),
    ],
)
def test_the_papers_tables(data_dir, name, width, sizes):
    splits = load(name)
    assert splits.event_shape == (width,)
    assert (splits.num_train, splits.num_valid, splits.num_test) == sizes
    assert set(np.unique(next(iter(splits.valid)))) == {0.0, 1.0}


# ---- image sets ----


REGISTERED = "tfar_tiny"  # TFDS knows this one by its code, and the others by their files alone.


def make_builder(class_name: str, features: dict, sizes: dict[str, int], image) -> type:
    """A TFDS builder of that name, whose image i is image(i)."""

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

        def _generate_examples(self):  # TFDS asks for it by this name; the splits use the one above.
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


# ---- MNIST as bits, drawn once ----


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
    with pytest.raises(FileNotFoundError, match=f"no mnist.npz in {re.escape(str(tmp_path))}; mnist was looked for"):
        load("mnist_binarized", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=f"mnist.npz was looked for in {re.escape(str(tmp_path))}"):
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
    with pytest.raises(ValueError, match=r"could not be brought back to the original order.*source='npz'"):
        load("mnist_binarized", data_dir=tmp_path)


@pytest.mark.data
def test_both_sources_give_the_same_images_so_the_same_bits(data_dir):
    from_tfds, from_npz = read_mnist(source="tfds"), read_mnist(source="npz")
    for split in ("train", "test"):
        np.testing.assert_array_equal(from_tfds[split], from_npz[split])


@pytest.mark.data
def test_the_draw_of_mnist_is_pinned(data_dir):
    """Known answers: published numbers refer to these bits. Other bits would need another name."""
    splits = load("mnist_binarized")
    assert (splits.num_train, splits.num_valid, splits.num_test) == (50_000, 10_000, 10_000)
    assert [digest(splits.arrays(k)) for k in ("train", "valid", "test")] == MNIST
    assert abs(splits.arrays("train").mean() - 0.1307) < 0.001
