"""Versions of a SavedModel: what is written, what is refused, and that a failure leaves nothing."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar import exports, serving
from tfar.laws import autoregressive_signatures
from tfar.serving import saved_model, warmup

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist():
    return tfar.MADE([4], [8], num_masks=2, conditional_shape=[2], seed=1)


@pytest.fixture(scope="module")
def version(dist, tmp_path_factory):
    return tfar.serving.export_saved_model(dist, tmp_path_factory.mktemp("base") / "made")


def test_the_version_folder_describes_itself(dist, version):
    assert version.name == "1"
    assert os.listdir(version.parent) == ["1"]
    content = json.loads((version / "assets.extra" / "tfar.json").read_text())
    assert content["event_shape"] == [4]
    assert content["conditional_inputs"] == {"conditional_input": [2]}
    assert content["configuration"]["num_masks"] == 2 and content["configuration"]["order"] == "natural"
    assert content["configuration"]["hidden_units"] == [8]
    assert content["signatures"]["complete"]["outputs"]["value"].startswith("the row with draws")
    assert content["versions"]["tfar"] == tfar.__version__
    sample = content["signatures"]["sample"]["inputs"]
    assert {name: (i["shape"], i["dtype"]) for name, i in sample.items()} == {
        "seed": ([None, 2], "int32"),
        "conditional_input": ([None, 2], "float32"),
    }
    for name, checksum in content["sha256"].items():
        assert exports.sha256([version / name]) == checksum


def test_a_copy_at_another_temperature_exports_its_own_law():
    dist = randomize(tfar.MADE([4], [8], conditional_shape=[2], jit_compile=False))
    cold, rows = dist.with_temperature(0.5), {"value": tf.eye(4), "conditional_input": tf.ones([4, 2])}
    found = tfar.serving.signatures.signatures(cold)["log_prob"].function(**rows)["log_prob"]
    np.testing.assert_allclose(
        found, cold.log_prob(rows["value"], conditional_input=rows["conditional_input"]), rtol=1e-5
    )
    warm = dist.log_prob(rows["value"], conditional_input=rows["conditional_input"])
    assert np.abs(found - warm).min() > 1e-3


def test_the_noise_of_an_ensemble_has_its_member(dist):
    parts = tfar.serving.signatures.signatures(dist)
    assert set(parts["sample_from_noise"].inputs) == {"noise", "member_noise", "conditional_input"}
    assert "member_noise" not in tfar.serving.signatures.signatures(tfar.MADE([4], [8]))["sample_from_noise"].inputs


@pytest.mark.parametrize(
    ("value", "condition", "message"),
    [
        ([3, 8], [3, 2], r"not compatible with expected shape \[\?,4\]"),
        ([12], [3, 2], r"not compatible with expected shape \[\?,4\]"),
        ([3, 4, 1], [3, 2], r"not compatible with expected shape \[\?,4\]"),
        ([3, 4], [3, 3], r"not compatible with expected shape \[\?,2\]"),
        ([3, 4], [1, 2], r"same number of rows in value, conditional_input; received\] \[3 1\]"),
        ([1, 4], [3, 2], r"same number of rows in value, conditional_input; received\] \[1 3\]"),
    ],
)
def test_a_shape_that_would_be_answered_as_another_is_refused(dist, value, condition, message):
    function = tfar.serving.signatures.signatures(dist)["log_prob"].function
    assert function(value=tf.zeros([3, 4]), conditional_input=tf.zeros([3, 2]))["log_prob"].shape == [3]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        function(value=tf.zeros(value), conditional_input=tf.zeros(condition))


def test_a_condition_that_is_not_finite_gives_nan_in_its_row(version):
    served = tf.saved_model.load(version).signatures["sample"]
    condition = np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, np.inf]], np.float32)
    drawn = served(seed=tfar.random.row_seeds(1, 3), conditional_input=condition)["value"].numpy()
    assert np.isnan(drawn).all(axis=1).tolist() == [False, True, True]


@pytest.mark.slow(ci=True)
def test_the_warm_up_requests_are_those_of_tensorflow_serving(version):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    served = tf.saved_model.load(version).signatures
    requests = [logs.PredictionLog.FromString(r.numpy()).predict_log.request for r in records]
    assert {r.model_spec.signature_name for r in requests} == set(served)
    for request in requests:
        assert request.model_spec.name == "made"
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        assert not any(np.isnan(v.numpy()).any() for v in served[request.model_spec.signature_name](**inputs).values())


def test_a_warm_up_request_is_encoded_as_the_protocol_says():
    encoded = warmup.prediction_log("m", "sample", {"seed": np.zeros([1, 2], np.int32)})
    assert encoded[0] == 6 << 3 | 2
    assert b"\x0a\x01m\x1a\x06sample" in encoded
    assert len(warmup.prediction_log("m", "s", {"value": np.zeros([100], np.float32)})) > 400


def fails(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.fixture
def quick(monkeypatch):
    """Leaves out what takes long and is not under test."""
    monkeypatch.setattr(saved_model, "trace", lambda parts: {})
    monkeypatch.setattr(saved_model, "write", lambda dist, functions, folder: folder.mkdir())
    monkeypatch.setattr(saved_model, "_check_operations", lambda folder: None)
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: tf.Module())
    monkeypatch.setattr(tf.Module, "signatures", {}, raising=False)
    monkeypatch.setattr(saved_model, "replay", lambda *args: None)
    monkeypatch.setattr(saved_model, "_write_extra", lambda *args: None)
    monkeypatch.setattr(saved_model, "_replay_warmup", lambda *args: None)


def test_versions_count_up_and_are_never_overwritten(dist, quick, tmp_path):
    export = tfar.serving.export_saved_model
    (tmp_path / "notes").mkdir()
    assert [export(dist, tmp_path).name for _ in range(2)] == ["1", "2"]
    assert export(dist, tmp_path, version=10).name == "10"
    assert export(dist, tmp_path).name == "11"
    with pytest.raises(FileExistsError, match="does not exist yet"):
        export(dist, tmp_path, version=2)
    for version in (0, -1, "3", 1.5, True):
        with pytest.raises(ValueError, match="version"):
            export(dist, tmp_path, version=version)


def test_what_cannot_be_exported_is_refused(dist, tmp_path):
    export = tfar.serving.export_saved_model
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        export(dist, tmp_path / "file")
    with pytest.raises(ValueError, match="base_path"):
        export(dist, None)
    with pytest.raises(ValueError, match="send the condition with each request"):
        export(dist.given([0.0, 0.0]), tmp_path)
    with pytest.raises(ValueError, match="tfar distribution"):
        export(keras.layers.Dense(1), tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_says_so_and_leaves_nothing(dist, quick, monkeypatch, tmp_path):
    monkeypatch.setattr(saved_model, "_write_extra", fails)
    with pytest.raises(OSError, match=r"could not write .*made/1: No space left"):
        tfar.serving.export_saved_model(dist, tmp_path / "made")
    assert os.listdir(tmp_path / "made") == []


def test_an_error_of_tensorflow_while_writing_is_an_oserror(dist, monkeypatch, tmp_path):
    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "variables.data: No space left on device")

    monkeypatch.setattr(saved_model, "trace", lambda parts: {})
    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        tfar.serving.export_saved_model(dist, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow(ci=True)
def test_weights_that_are_not_finite_are_refused(tmp_path):
    dist = tfar.MADE([3], [4], head=tfar.heads.NormalMixture(1))
    dist.trainable_variables[-1].assign(tf.fill(dist.trainable_variables[-1].shape, np.nan))
    with pytest.raises(ValueError, match="finite weights"):
        tfar.serving.export_saved_model(dist, tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_replay_sees_a_weight_that_changed_after_saving(monkeypatch, tmp_path):
    dist, write = tfar.MADE([3], [4]), saved_model.write

    def write_and_change(dist, *args):
        write(dist, *args)
        dist.trainable_variables[1].assign_add(tf.ones_like(dist.trainable_variables[1]))

    monkeypatch.setattr(saved_model, "write", write_and_change)
    with pytest.raises(serving.ExportError, match="differs from the distribution"):
        tfar.serving.export_saved_model(dist, tmp_path)
    assert os.listdir(tmp_path) == []


class Masked(tfar.layers.MaskedDense):
    """A network of a user's own, whose call a test replaces."""

    def __init__(self, wrap):
        super().__init__(3, [1, 2, 3], [1, 2, 3], strict=True)
        self.wrap = wrap

    def call(self, inputs, training=None):
        return self.wrap(super().call)(inputs)


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda call: tf.function(call, jit_compile=True), "jit_compile=True"),
        (lambda call: lambda x: tf.ensure_shape(tf.py_function(call, [x], tf.float32), [None, 3]), "calls into Python"),
    ],
    ids=["jit_compile", "py_function"],
)
def test_what_a_server_cannot_run_is_refused(wrap, message, tmp_path):
    dist = tfar.Autoregressive(Masked(wrap), tfar.heads.Bernoulli(), event_shape=[3])
    with pytest.raises(serving.ExportError, match=message):
        tfar.serving.export_saved_model(dist, tmp_path)
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys, tfar
from tfar.serving import saved_model

saved_model.replay = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
tfar.serving.export_saved_model(tfar.MADE([3], [4]), sys.argv[1])
"""


@pytest.mark.slow(ci=True)
def test_a_kill_leaves_no_half_version(version, tmp_path):
    shutil.copytree(version, tmp_path / "1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 2, "the half version was not begun"
    assert [name for name in left if name.isdecimal()] == ["1"]
    assert all(name.startswith(".") for name in left if name != "1")
    loaded = tf.saved_model.load(tmp_path / "1").signatures["log_prob"]
    assert loaded(value=tf.zeros([2, 4]), conditional_input=tf.zeros([2, 2]))["log_prob"].shape == [2]


@pytest.mark.slow(ci=True)
def test_a_warm_up_record_that_the_model_cannot_answer_stops_the_export(tmp_path, monkeypatch):
    right = warmup.write_requests

    def wrong(path, model_name, requests):
        right(path, model_name, [(name, {k: v[..., :1] for k, v in inputs.items()}) for name, inputs in requests])

    monkeypatch.setattr(warmup, "write_requests", wrong)
    with pytest.raises(tfar.serving.ExportError, match="warm-up request"):
        tfar.serving.export_saved_model(tfar.MADE([4], [8]), tmp_path / "made")
    assert not list((tmp_path / "made").iterdir())


def test_warm_up_records_are_read_as_they_were_written(version):
    found = warmup.read_requests(version / "assets.extra" / saved_model.WARMUP)
    rows = np.arange(300, dtype=np.float32).reshape(3, 100)
    path = version.parent / "records"
    warmup.write_requests(path, "made", [("log_prob", {"value": rows, "seed": np.zeros([3, 2], np.int32)})])
    ((signature, inputs),) = warmup.read_requests(path)
    path.unlink()
    assert signature == "log_prob" and set(inputs) == {"value", "seed"} and inputs["seed"].dtype == np.int32
    np.testing.assert_array_equal(inputs["value"], rows)
    assert {name for name, _ in found} >= {"serving_default", "log_prob", "sample", "complete"}


FAULTS = {
    "complete": lambda law: lambda seeds, x, observed, condition=None: law.sample(seeds, condition),
    "sample": lambda law: lambda seeds, condition=None, *rest: law.sample(seeds + 1, condition, *rest),
    "observed_log_prob": lambda law: lambda x, condition=None, observed=None: law.log_prob(x, condition),
    "log_prob": lambda law: lambda *given: law.log_prob(*given) + 0.01,
    "site_log_probs": lambda law: lambda x, condition=None: tf.reverse(law.site_log_probs(x, condition), [1]),
    "sample_from_noise": lambda law: lambda noise, condition=None, *rest: law.sample_from_noise(1.0 - noise, condition),
}


@pytest.mark.parametrize("name", few_by_default(FAULTS, count=2))
def test_a_signature_that_differs_from_the_distribution_is_not_exported(name, tmp_path, monkeypatch):
    """The export equals its own signature; what is wrong is the signature."""
    dist = randomize(tfar.MADE([6], [8], jit_compile=False))
    right, wrong = copy.copy(dist.law), copy.copy(dist.law)
    setattr(wrong, name.removeprefix("observed_"), FAULTS[name](right))

    def signatures(law, dist):
        shell = types.SimpleNamespace(law=wrong, head=dist.head, event_shape=dist.event_shape, num_sites=6)
        return autoregressive_signatures.autoregressive_signatures(
            types.SimpleNamespace(**vars(shell), conditional_shape=None, copy=dist.copy)
        )

    monkeypatch.setattr(type(dist.law), "signatures", signatures)
    with pytest.raises(serving.ExportError, match=rf"differs from the distribution in \[.*'{name}'.*\]"):
        tfar.serving.export_saved_model(dist, tmp_path)
    assert os.listdir(tmp_path) == []
