"""Named data sets: the bundled digits, the binary tables, and the errors of unknown names."""

import ast
import pathlib
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from data_tables import digest, rows

import tfar.data
from tfar.data import DataSplits, from_files, load, names
from tfar.data.sources import ArraySource

DIGITS = ["a805fae38f234024", "6ed09af1b4a878e8", "88e4b0a9fd285eb7"]


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
    """Published results refer to this split. Another split needs another name."""
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
        ValueError, match=r"unknown data set 'digitz'.*digits.*image set of tensorflow-datasets"
    ) as caught:
        load("digitz", data_dir=tmp_path)
    assert all(name in str(caught.value) for name in names())


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: load(3), "name"),
        (lambda: load("dna", data_dir=3), "data_dir"),
        (lambda: from_files(3), "path_or_pattern"),
        (lambda: tfar.data.open_rows(3), "path_or_pattern"),
    ],
)
def test_paths_that_are_not_paths(call, name):
    with pytest.raises(ValueError, match=f"{name} must be a str or a path; received 3"):
        call()


def test_heads_that_cannot_be_made():
    sources = {"train": ArraySource(np.zeros([2, 3], np.uint8))}
    for head, config, message in (
        ("Gauss", {}, "expected the name of a head in tfar.heads; received 'Gauss'"),
        ("Categorical", {}, r"tfar.heads.Categorical does not accept \{\}: .*num_classes"),
    ):
        splits = DataSplits.from_sources("x", sources, batch_size=1, head=head, head_config=config)
        with pytest.raises(ValueError, match=message):
            splits.make_head()


def imports(tree: ast.AST) -> set[str]:
    """Returns the modules that this code imports outside functions."""
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
            # Which modules of "tfar" itself, `tests/test_imports.py` checks.
            shared = module in ("tfar", "tfar.model_files", "tfar.moments", "tfar.numbered", "tfar.optional")
            assert allowed or shared or module.startswith("tfar.data"), f"{file.name} imports {module}"


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


# ---- binary tables ----


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
    with pytest.raises(FileNotFoundError, match=f"the folder {re.escape(str(tmp_path))} has no file adult.npz"):
        load("adult", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder is set: pass data_dir=… or set .* TFAR_DATA_DIR"):
        load("adult")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": bits(3), "test": bits(3)}, "expected the arrays train, valid, test; received train, test"),
        ({"train": bits(3), "valid": bits(3), "test": bits(3, 5)}, r"with the same D; array test has shape \(3, 5\)"),
        ({"train": bits(3) * 2, "valid": bits(3), "test": bits(3)}, "expected values 0 and 1; array train holds 2"),
        (
            {"train": bits(3), "valid": bits(3), "test": bits(3) * np.nan},
            "expected values 0 and 1; array test holds nan",
        ),
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
