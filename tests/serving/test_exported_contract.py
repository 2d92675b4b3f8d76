"""Exports of groups, nested stages, sequences, latent variables and ratings, read by the C++ runtime and by TFLite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

import tfar
from tests import latent_models
from tests.contract_networks import GroupsNetwork, SequenceNetwork, VideoNetwork
from tests.parameters import few_by_default
from tests.registry import BY_NAME, randomize
from tfar.serving.signatures import signatures


def autoregressive(network):
    return randomize(tfar.Autoregressive(network, tfar.heads.Bernoulli(), jit_compile=False))


def wavenet(head, **kwargs):
    sizes = {"filters": 3, "skip_filters": 4, "num_layers": 2, "num_stacks": 1, "jit_compile": False}
    return randomize(tfar.WaveNet([None], head=head, **sizes, **kwargs))


DISTRIBUTIONS = {
    "sequence": lambda: autoregressive(SequenceNetwork(channels=2, conditional_size=3)),
    # The condition changes at every time.
    "wavenet": lambda: wavenet(
        tfar.heads.Categorical(5), conditional_shape={"speaker": (2,), "features": (None, 2)}, hop_length=1
    ),
    "documents": lambda: randomize(tfar.DocNADE(6, 4, tree="balanced", length="eos", jit_compile=False)),
    "truncated-documents": lambda: (
        randomize(tfar.DocNADE(6, 4, tree="balanced", length="eos", jit_compile=False)).with_top_k(4).with_top_p(0.9)
    ),
    "normal-latents": latent_models.gaussian,
    "wavenet-frames": lambda: wavenet(
        tfar.heads.NormalMixture(2), conditional_shape=(None, 2), hop_length=2, upsampling="learned"
    ),
    "groups": lambda: autoregressive(GroupsNetwork([0, 1, 1, 2, 2, 2], 2)),
    "video": lambda: autoregressive(VideoNetwork((2, 2, 3))),
    "plain-sequence": lambda: autoregressive(SequenceNetwork()),
    "fixed-length": lambda: autoregressive(SequenceNetwork()).with_length(4),
    "bags": lambda: randomize(tfar.DocNADE(6, [4, 3], max_length=5, jit_compile=False)),
    "texts": lambda: randomize(tfar.DocNADELanguageModel(6, 4, context_size=3, jit_compile=False)),
    "recurrent-texts": lambda: randomize(
        tfar.RecurrentLanguageModel(
            6, None, 4, embedding_dim=3, tie_embeddings=True, conditional_shape=(2,), jit_compile=False
        )
    ),
    "sequence-autoencoder": lambda: randomize(
        tfar.SequenceAutoencoder(6, 4, 4, embedding_dim=3, num_layers=2, tie_encoder=False, jit_compile=False)
    ),
    "sequence-autoencoder-of-any-length": lambda: randomize(
        tfar.SequenceAutoencoder(6, None, 4, embedding_dim=3, tree="balanced", jit_compile=False)
    ),
    "hierarchical-autoencoder": lambda: randomize(
        tfar.HierarchicalAutoencoder(5, 3, 2, 4, embedding_dim=3, jit_compile=False)
    ),
    "binary-latents": latent_models.binary,
    "ratings": lambda: randomize(
        tfar.CFNADE(6, [5, 4], num_ratings=3, rank=3, conditional_shape=(2,), num_orders=2, jit_compile=False)
    ),
    "pixel-vae": lambda: BY_NAME["PixelVAE-binary"].make().copy(jit_compile=False),
    "pixel-vae-two-levels": lambda: randomize(
        tfar.PixelVAE(
            [6, 5],
            2,
            filters=4,
            num_blocks=1,
            num_levels=2,
            map_channels=2,
            condition="upsample",
            encoder_filters=[3, 3],
            jit_compile=False,
        ),
        scale=0.2,
    ),
    "sentence-vae": lambda: randomize(
        tfar.SentenceVAE(6, 4, 2, units=4, embedding_dim=3, num_layers=2, tie_embeddings=True, jit_compile=False)
    ),
    "sentence-vae-without-words": lambda: randomize(
        tfar.SentenceVAE(6, 4, 2, units=4, embedding_dim=3, word_keep_rate=0.0, jit_compile=False)
    ),
    "layers-of-latents": lambda: randomize(tfar.DARN([2, 2], [2, 3], hidden_units=[3], jit_compile=False)),
}


@pytest.fixture(scope="module", params=few_by_default(DISTRIBUTIONS, count=0, in_ci=2))
def exported(request, tmp_path_factory):
    """The signatures with an example each, and the folder of both exports."""
    dist, folder = DISTRIBUTIONS[request.param](), tmp_path_factory.mktemp(request.param)
    path = tfar.serving.export_saved_model(dist, folder / "model")
    tfar.serving.export_tflite(dist, folder / "model.tflite")
    parts = signatures(dist)
    # Other seeds than those with which the export compared itself.
    examples = {name: part.example(5) for name, part in parts.items()}
    inputs = {f"{name}/{key}": rows for name, example in examples.items() for key, rows in example.inputs.items()}
    np.savez(folder / "inputs.npz", **inputs)
    job = {
        "saved_model": str(path),
        "tflite": str(folder / "model.tflite"),
        "signatures": tensor_names(path),
        "inputs": str(folder / "inputs.npz"),
        "runs": [(name, name) for name in parts],
        "outputs": str(folder / "outputs.npz"),
    }
    (folder / "jobs.json").write_text(json.dumps([job]))
    return examples, folder


def tensor_names(path):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    return {
        name: {"inputs": {k: t.name for k, t in s.inputs.items()}, "outputs": {k: t.name for k, t in s.outputs.items()}}
        for name, s in model.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }


@pytest.mark.parametrize("runtime", ["cpp", "tflite"])
def test_every_signature_gives_what_the_live_distribution_gives(exported, runtime):
    examples, folder = exported
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(Path(__file__).parent / "read_exports.py"), runtime, "jobs.json"]
    subprocess.run(command, check=True, cwd=folder, env=environment)
    outputs = dict(np.load(folder / "outputs.npz"))
    assert not {key: str(value) for key, value in outputs.items() if key.startswith("error/")}
    for name, example in examples.items():
        for key, expected in example.outputs.items():
            found = outputs[f"{name}/{name}" + (f"/{key}" if len(example.outputs) > 1 else "")]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=f"{name}, {key}")


EXPECTED = {
    "documents": {"log_prob", "encode", "perplexity", "start", "step", "step_chunk", "prefill"},
    "bags": {"log_prob", "encode", "perplexity", "sample"},
    "recurrent-texts": {"log_prob", "encode", "perplexity", "start", "step", "step_chunk", "prefill"},
    "sequence-autoencoder": {"log_prob", "encode", "perplexity", "reconstruction_log_prob", "sample", "complete"},
    "sequence": {"log_prob", "complete", "sample_from_noise", "start", "step", "step_chunk", "prefill"},
    "normal-latents": {"elbo", "importance_log_prob", "encode", "decode_log_prob", "sample"},
}


def test_the_batch_is_the_first_axis_and_the_length_the_second_one(exported):
    definitions = tensor_names(exported[1] / "model" / "1")
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((exported[1] / "model" / "1" / "saved_model.pb").read_bytes())
    signature_defs = model.meta_graphs[0].signature_def
    for name in definitions:
        for info in [*signature_defs[name].inputs.values(), *signature_defs[name].outputs.values()]:
            assert info.tensor_shape.dim[0].size == -1
    kind = exported[1].name.rstrip("0")
    assert EXPECTED.get(kind, set()) <= set(definitions)
    if kind == "sequence":
        assert [d.size for d in signature_defs["log_prob"].inputs["value"].tensor_shape.dim] == [-1, -1, 2]
        assert [d.size for d in signature_defs["step"].inputs["state_condition"].tensor_shape.dim] == [-1, -1, 3]
