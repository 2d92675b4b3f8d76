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

# Their examples compile or export: seconds each. Of the models, MADE stands for all by default.
LONG = {
    *(f"tfar.serving.{name}" for name in ("beam", "log_prob", "rounding", "scoring", "tflite")),
    *(f"tfar.sklearn.{name}" for name in ("density", "imputer", "outliers")),
    *(
        f"tfar.{name}"
        for name in ("coding.codec", "coding.freezing", "tables.model", "testing.samples", "training.logs")
    ),
    *(name for name in MODULES if name.startswith("tfar.distributions.") and name != "tfar.distributions.made"),
}


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
