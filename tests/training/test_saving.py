"""Files: what is read back, what a failure leaves, what is refused."""

import os
import re

import keras
import numpy as np
import pytest

import tfar
from tests.parameters import few_by_default
from tfar import files
from tfar.training import DensityModel, load_model

CASES = {
    "plain": {},
    "members": {"num_masks": 3, "order": "random", "degrees": "random", "connectivity_weights": True},
    "agnostic": {"num_masks": None, "num_eval_masks": 2, "order": "random"},
    "conditional": {"conditional_shape": {"a": [2]}, "head": tfar.heads.NormalMixture(2)},
}


def make(**kwargs):
    model = DensityModel(tfar.MADE([6], [8, 8], jit_compile=False, **kwargs), seed=7)
    rng = np.random.default_rng(0)
    for variable in model.dist.variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    return model


@pytest.mark.parametrize("name", CASES)
def test_save_and_load(name, tmp_path, rows):
    model = make(**CASES[name])
    path = tmp_path / "model.keras"
    model.save(path)
    assert os.listdir(tmp_path) == ["model.keras"]
    dist = tfar.load(path)
    assert type(dist) is tfar.MADE and dist.get_config() == model.dist.get_config()
    c = {"a": rows[:, :2]} if name == "conditional" else None
    np.testing.assert_array_equal(
        dist.log_prob(rows, conditional_input=c), model.dist.log_prob(rows, conditional_input=c)
    )
    for a, b in zip(dist.variables, model.dist.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_optimizer_of_a_model_in_half_precision_comes_back(scaled, tmp_path, dtype_policy):
    dtype_policy("mixed_float16")
    model = DensityModel(tfar.MADE([6], [8], jit_compile=False))
    if scaled:
        dtype_policy("float32")
    model.compile("sgd", jit_compile=False, auto_scale_loss=scaled)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(7)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(model.optimizer)
    assert int(loaded.optimizer.iterations) == 7


@pytest.mark.parametrize("through", few_by_default(["keras", "weights"], count=0, in_ci=1))
def test_training_goes_on_from_a_file(through, tmp_path, rows):
    """Every weight, hidden by a mask or not, the optimiser's state and the iterations come back."""
    unbroken, first = make(**CASES["members"]), make(**CASES["members"])
    unbroken.fit(rows, epochs=2, verbose=0)
    first.fit(rows, epochs=1, verbose=0)
    if through == "keras":
        first.save(tmp_path / "model.keras")
        second = load_model(tmp_path / "model.keras")
    else:
        first.save_weights(tmp_path / "a.weights.h5")
        second = make(**CASES["members"])
        second.optimizer.build(second.trainable_variables)
        second.load_weights(tmp_path / "a.weights.h5")
    assert second.seed == 7 and int(second.optimizer.iterations) == 3
    second.fit(rows, epochs=2, initial_epoch=1, verbose=0)
    for a, b in zip(second.dist.variables, unbroken.dist.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("method, name", [("save", "m.keras"), ("save_weights", "m.weights.h5")])
def test_a_failure_leaves_the_old_file_and_no_rest(method, name, tmp_path, monkeypatch):
    model, path = make(), tmp_path / name
    getattr(model, method)(path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match=f"could not write {re.escape(str(path))}"):
        getattr(model, method)(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [name]


def test_overwrite_and_names(tmp_path):
    model = make()
    with pytest.raises(ValueError, match=r"ends with '\.keras'"):
        model.save(tmp_path / "model.h5")
    for method, name in (("save", "m.keras"), ("save_weights", "m.weights.h5")):
        getattr(model, method)(tmp_path / name)
        with pytest.raises(FileExistsError):
            getattr(model, method)(tmp_path / name, overwrite=False)


def test_load_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="none at"):
        tfar.load(tmp_path / "missing.keras")
    for content in (b"", b"no zip", os.urandom(1000)):
        (tmp_path / "bad.keras").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.keras: expected a \.keras file that DensityModel.save wrote"):
            tfar.load(tmp_path / "bad.keras")
    (tmp_path / "bad.txt").write_text("text")
    with pytest.raises(ValueError, match=r"bad\.txt"):
        tfar.load(tmp_path / "bad.txt")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="it holds a Sequential"):
        tfar.load(tmp_path / "other.keras")
    model = make()
    model.save(tmp_path / "half.keras")
    content = (tmp_path / "half.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half\.keras"):
        tfar.load(tmp_path / "half.keras")


def test_weights_of_another_architecture_are_refused(tmp_path):
    make().save_weights(tmp_path / "a.weights.h5")
    other = DensityModel(tfar.MADE([6], [9, 8], jit_compile=False))
    with pytest.raises(ValueError, match="could not be loaded"):
        other.load_weights(tmp_path / "a.weights.h5")


def test_load_model_keeps_the_optimizer(tmp_path, rows):
    model = make()
    model.fit(rows, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert type(again) is DensityModel and again.compiled and again.jit_compile is False
    state = [np.asarray(v) for v in model.optimizer.variables]
    assert int(again.optimizer.iterations) == 3 and len(state) == len(again.optimizer.variables) > 3
    for a, b in zip(again.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError):
        tfar.load(tmp_path / "model.keras", compile=True)
    with pytest.raises(FileNotFoundError, match="none at"):
        load_model(tmp_path / "missing.keras")
