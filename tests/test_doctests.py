"""Every example of every module of the package runs."""

import doctest
import importlib
import importlib.util
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar

# Modules that only their extra makes importable.
OPTIONAL = {"tfar.serving.beam": "apache_beam", "tfar.sklearn": "sklearn"}
MODULES = ["tfar", *sorted(m.name for m in pkgutil.walk_packages(tfar.__path__, "tfar.") if "__main__" not in m.name)]


# Their examples compile or export: seconds each.
LONG = [
    f"tfar.{name}"
    for name in ("serving.beam", "serving.rounding", "serving.tflite", "training.logs", "testing.samples")
]
LONG += [f"tfar.sklearn.{name}" for name in ("density", "imputer", "outliers")]
LONG += ["tfar.coding.codec", "tfar.coding.freezing", "tfar.tables.model"]
LONG += [
    f"tfar.distributions.{name}"
    for name in ("pixel_cnn", "gated_pixel_cnn", "multiscale_pixel_cnn", "pixel_cnn_plus_plus", "pixel_rnn")
]
LONG += [
    f"tfar.distributions.{name}"
    for name in (
        "doc_nade",
        "hierarchical_autoencoder",
        "pixel_vae",
        "recurrent_language_model",
        "sentence_vae",
        "sequence_autoencoder",
        "any_order_transformer",
    )
]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow(ci=True)) if name in LONG else name for name in MODULES]
)
def test_examples(name, tmp_path, monkeypatch):
    if not is_importable(name):
        pytest.skip(f"{OPTIONAL[name]} is not installed")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    names = {"tf": tf, "np": np, "keras": keras, "tfar": tfar}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, extraglobs=names, optionflags=flags)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} failed; see the output."


def is_importable(name):
    return name not in OPTIONAL or importlib.util.find_spec(OPTIONAL[name]) is not None


def test_there_are_examples():
    assert {"tfar.distributions.made", *LONG} <= set(MODULES)
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES if is_importable(name)]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 15
