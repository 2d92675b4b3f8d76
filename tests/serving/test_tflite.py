"""TFLite files: what is written and what is refused."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import tfar
from tests.parameters import few_by_default
from tfar import heads, serving
from tfar.serving import rounding, tflite


@pytest.fixture(scope="module")
def dist():
    dist = tfar.MADE([64], [128], seed=1)
    rng = np.random.default_rng(0)
    for variable in dist.trainable_variables:
        variable.assign_add(rng.normal(scale=0.05, size=variable.shape))
    return dist


@pytest.fixture(scope="module")
def plain(dist, tmp_path_factory):
    return tfar.serving.export_tflite(dist, tmp_path_factory.mktemp("plain") / "made.tflite")


def run(path, signature, **inputs):
    (output,) = Interpreter(model_path=str(path)).get_signature_runner(signature)(**inputs).values()
    return np.array(output)


@pytest.mark.slow(ci=True)
def test_weights_are_not_stored_for_each_signature(dist, plain):
    size = sum(4 * int(np.prod(v.shape)) for v in dist.variables)
    # Kernels lie there twice, as the pass and as the steps read them; one copy a signature would be six times.
    assert plain.stat().st_size < 2 * size + 300_000


@pytest.mark.parametrize(("quantize", "tolerance"), few_by_default([("float16", 2e-3), ("dynamic", 5e-2)], count=0))
def test_rounded_weights_give_a_smaller_file_and_nearly_the_same_density(dist, plain, quantize, tolerance, tmp_path):
    path = tfar.serving.export_tflite(dist, tmp_path / "small.tflite", quantize=quantize)
    assert path.stat().st_size < plain.stat().st_size
    value = dist.sample(5, seed=1).numpy()
    np.testing.assert_allclose(run(path, "log_prob", value=value), dist.log_prob(value), rtol=tolerance)
    drawn = run(path, "sample", seed=tfar.random.row_seeds(1, 5).numpy())
    assert set(np.unique(drawn)) <= {0.0, 1.0}


@pytest.fixture(scope="module")
def digits():
    """A distribution that knows something of the digits, and digits that it has not seen."""
    splits = tfar.data.load("digits")
    dist = tfar.MADE(splits.event_shape, [64], seed=0)
    model = tfar.training.DensityModel(dist)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(splits.train, epochs=3, verbose=0)
    return dist, np.concatenate(list(splits.test.as_numpy_iterator()))


@pytest.mark.parametrize(
    ("quantize", "limit"), few_by_default([(None, 1e-4), ("float16", 0.02), ("dynamic", 1.0)], count=0)
)
def test_the_error_of_rounded_weights_on_real_data(digits, quantize, limit, tmp_path):
    dist, rows = digits
    path = tfar.serving.export_tflite(dist, tmp_path / "digits.tflite", quantize=quantize)
    error = tfar.serving.log_prob_error(dist, path, rows)
    expected = dist.log_prob(rows).numpy().astype(np.float64)
    difference = run(path, "log_prob", value=rows) - expected
    assert error.num_rows == len(rows) > rounding.BATCH_SIZE
    assert error.nll == pytest.approx(-expected.mean())
    assert error.mean == pytest.approx(difference.mean(), abs=1e-5)
    assert error.mean_absolute == pytest.approx(np.abs(difference).mean(), abs=1e-5)
    assert error.largest == pytest.approx(np.abs(difference).max(), abs=1e-4)
    assert error.mean_absolute < limit and (quantize is None or error.largest > 1e-4)
    assert f"({len(rows)} rows" in str(error)


@pytest.mark.slow(ci=True)
def test_the_error_of_a_conditional_model(tmp_path):
    dist = tfar.MADE([3], [8], conditional_shape={"a": (2,), "b": (1,)}, seed=0)
    path = tfar.serving.export_tflite(dist, tmp_path / "made.tflite")
    condition = {"a": np.ones([5, 2]), "b": np.arange(5.0)[:, None]}
    error = tfar.serving.log_prob_error(dist, path, np.eye(3)[[0, 1, 2, 0, 1]], condition)
    assert error.largest < 1e-4
    other = tfar.serving.log_prob_error(
        tfar.MADE([3], [8], conditional_shape={"a": (2,), "b": (1,)}, seed=1),
        path,
        np.eye(3)[[0, 1, 2, 0, 1]],
        condition,
    )
    assert other.largest > 1e-3


def test_an_error_needs_a_file_and_rows(digits, tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected a TFLite file"):
        tfar.serving.log_prob_error(digits[0], tmp_path / "none.tflite", digits[1])
    (tmp_path / "made.tflite").touch()
    with pytest.raises(ValueError, match="Expected rows"):
        tfar.serving.log_prob_error(digits[0], tmp_path / "made.tflite", digits[1][:0])


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize(
    "head",
    [heads.Bernoulli(), heads.Categorical(3), heads.NormalMixture(2), heads.LaplaceMixture(2)],
    ids=lambda head: type(head).__name__,
)
def test_extreme_parameters_score_and_draw_as_in_tensorflow(head, tmp_path):
    """Logits, and locations and scales before their softplus, of 200 and -200, by the bias of the outputs."""
    rng = np.random.default_rng(0)
    dist = tfar.MADE([2], [4], head=head, seed=0)
    dist.network.output_layer.bias.assign(rng.choice([-200.0, 200.0], 2 * head.params_size))
    path = tfar.serving.export_tflite(dist, tmp_path / "made.tflite")
    value = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    scores = run(path, "log_prob", value=value)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, dist.log_prob(value), rtol=1e-5, atol=1e-6)
    noise = rng.random((6, 2, head.noise_size), np.float32)
    noise[0], noise[1] = 2.0**-24, 1.0 - 2.0**-24
    draws = run(path, "sample_from_noise", noise=noise)
    assert np.isfinite(draws).all()
    np.testing.assert_allclose(draws, dist.law.sample_from_noise(noise), rtol=1e-5)


def test_what_cannot_be_exported_is_refused(dist, tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    for path, message in (
        ("made.tfl", ".tflite"),
        (None, "path of a file"),
        (tmp_path / "folder.tflite", "is a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            tfar.serving.export_tflite(dist, path)
    with pytest.raises(ValueError, match="quantize"):
        tfar.serving.export_tflite(dist, tmp_path / "made.tflite", quantize="int4")


def test_a_full_disk_leaves_the_file_that_was_there(dist, monkeypatch, tmp_path):
    path = tmp_path / "made.tflite"
    path.write_bytes(b"before")
    monkeypatch.setattr(tflite, "_convert", lambda *args: b"after")
    monkeypatch.setattr(tflite, "make_runner", lambda *args: None)
    monkeypatch.setattr(tflite, "replay", lambda *args: None)

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match=r"could not write .*made.tflite: No space left"):
        tfar.serving.export_tflite(dist, path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["made.tflite"]


@keras.saving.register_keras_serializable("tests")
class Erf(tfar.layers.MaskedDense):
    """A network with an operation that TFLite does not have."""

    def call(self, inputs, training=None):
        return tf.math.erfinv(tf.tanh(super().call(inputs)) * 0.5)


@pytest.mark.slow(ci=True)
def test_an_operation_that_tflite_lacks_is_named(tmp_path):
    network = Erf(3, [1, 2, 3], [1, 2, 3], strict=True)
    dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[3])
    with pytest.raises(serving.ExportError, match=r"(?i)erfinv"):
        tfar.serving.export_tflite(dist, tmp_path / "made.tflite")
    assert os.listdir(tmp_path) == []
