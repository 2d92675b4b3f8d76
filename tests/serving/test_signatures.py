"""Signatures: several outputs, other laws than the autoregressive one, and examples that see faults."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models
from tests.registry import randomize
from tfar.laws.signature import Example, Output, make_signature, named_condition, spec
from tfar.serving.replay import numpy_runner, replay
from tfar.serving.signatures import signatures


@pytest.fixture(scope="module")
def dist():
    return randomize(tfar.MADE([4], [8], jit_compile=False))


def two_outputs(dist, fault=0.0):
    """A signature with the outputs `log_prob` and `site_log_probs`, and a fault in the second."""

    def compute(given, _):
        shares = dist.law.site_log_probs(given["value"])
        return {"log_prob": dist.law.log_prob(given["value"]), "site_log_probs": shares + fault}

    def example(seed):
        value = dist.sample(3, seed=seed).numpy()
        outputs = {"log_prob": dist.log_prob(value).numpy(), "site_log_probs": dist.site_log_probs(value).numpy()}
        return Example({"value": value}, outputs, np.ones([3]))

    outputs = {"log_prob": Output((), "the score"), "site_log_probs": Output((4,), "its shares")}
    return make_signature(compute, {"value": spec("value", (4,))}, outputs, None, example)


def exported_with(made, dist, tmp_path, monkeypatch):
    monkeypatch.setattr(type(dist.law), "signatures", lambda law, dist: {"both": made})
    path = tfar.serving.export_saved_model(dist, tmp_path / "made")
    return tf.saved_model.load(path).signatures, tfar.serving.export_tflite(dist, tmp_path / "made.tflite")


@pytest.mark.slow(ci=True)
def test_a_signature_may_have_several_outputs(dist, tmp_path, monkeypatch):
    found, path = exported_with(two_outputs(dist), dist, tmp_path, monkeypatch)
    assert sorted(found) == ["both", "serving_default"]
    value = dist.sample(5, seed=1)
    outputs = found["both"](value=value)
    assert sorted(outputs) == ["log_prob", "site_log_probs"]
    np.testing.assert_allclose(outputs["log_prob"], dist.log_prob(value), rtol=1e-5)
    np.testing.assert_allclose(outputs["site_log_probs"], dist.site_log_probs(value), rtol=1e-5, atol=1e-6)
    lite = tfar.serving.tflite.make_runner(path.read_bytes())("both", {"value": value.numpy()})
    for name, output in outputs.items():
        np.testing.assert_allclose(lite[name], output, rtol=1e-5, atol=1e-6)


def test_every_output_is_compared(dist, tmp_path, monkeypatch):
    with pytest.raises(
        tfar.serving.ExportError, match=r"differs from the distribution in \['both', 'serving_default'\]"
    ):
        exported_with(two_outputs(dist, fault=1e-3), dist, tmp_path, monkeypatch)
    made = two_outputs(dist)
    run = numpy_runner({"both": made.concrete()})
    replay("x", {"both": made}, run)
    with pytest.raises(tfar.serving.ExportError, match="differs"):
        replay("x", {"both": made}, lambda name, inputs: {"log_prob": run(name, inputs)["log_prob"]})


@pytest.fixture(scope="module")
def latent():
    prior = tfar.Factorized([2], tfar.heads.NormalMixture(1), trainable=False)
    network = keras.Sequential([keras.Input([4]), keras.layers.Dense(6)])
    encoder = tfar.Factorized([2], tfar.heads.NormalMixture(1), network=network, conditional_shape=[4])
    decoder = tfar.MADE([4], [8], conditional_shape=[2])
    return tfar.LatentVariable(prior, encoder, decoder, jit_compile=False)


@pytest.mark.slow(ci=True)
def test_a_latent_variable_distribution_is_exported_with_its_own_signatures(latent, tmp_path):
    path = tfar.serving.export_saved_model(latent, tmp_path / "made")
    loaded = tf.saved_model.load(path)
    found = loaded.signatures
    assert sorted(found) == ["decode_log_prob", "elbo", "encode", "importance_log_prob", "sample", "serving_default"]
    value, seeds = latent.sample(4, seed=3), tfar.random.row_seeds(5, 4)
    np.testing.assert_array_equal(found["sample"](seed=tfar.random.row_seeds(3, 4))["value"], value)
    for name in ("elbo", "serving_default"):
        np.testing.assert_allclose(found[name](value=value, seed=seeds)["elbo"], latent.elbo(value, seed=5), rtol=1e-4)
    np.testing.assert_allclose(
        found["importance_log_prob"](value=value, seed=seeds)["importance_log_prob"],
        latent.importance_log_prob(value, 100, seed=5),
        rtol=1e-4,
    )
    encoded = found["encode"](value=value, seed=seeds)
    assert encoded["latent"].shape == (4, 2)
    params = latent.encoder.law.conditional_params(encoded["latent"], value)
    moments = latent.encoder.head.distribution(params)
    np.testing.assert_allclose(encoded["mean"], moments.mean(), atol=1e-5)
    np.testing.assert_allclose(encoded["scale"], moments.stddev(), rtol=1e-4)
    found_log_prob = found["decode_log_prob"](value=value, latent=encoded["latent"])["log_prob"]
    np.testing.assert_allclose(found_log_prob, latent.decode(encoded["latent"]).log_prob(value), rtol=1e-4)
    bad = tf.concat([value[:1] + 0.5, value[1:]], 0)
    assert np.isnan(found["elbo"](value=bad, seed=seeds)["elbo"]).tolist() == [True, False, False, False]


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("name", ["elbo", "importance_log_prob", "sample", "encode"])
def test_draws_of_other_seeds_are_no_export_of_a_latent_variable_distribution(name, latent):
    made = signatures(latent)[name]
    right = made.concrete()
    replay("x", {name: made}, numpy_runner({name: right}))
    wrong = lambda **given: right(**{**given, "seed": given["seed"] + 1})  # noqa: E731
    with pytest.raises(tfar.serving.ExportError, match="differs"):
        replay("x", {name: made}, numpy_runner({name: wrong}))


def test_names_of_conditions():
    assert named_condition(None) == {}
    assert named_condition(1) == {"conditional_input": 1}
    assert named_condition({"a": 1}) == {"conditional_a": 1}


def test_a_row_outside_of_the_support_has_no_latent():
    found = signatures(latent_models.binary())["encode"]
    value = tf.constant([[0.0, 1.0, 1.0], [0.0, 5.0, 1.0]])
    outputs = found.function(value=value, seed=tfar.random.row_seeds(0, 2))
    assert sorted(outputs) == ["latent", "mean", "scale"]
    for output in outputs.values():
        assert np.isfinite(output[0]).all() and np.isnan(output[1]).all()
