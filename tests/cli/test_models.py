"""`tfar train` of every model: options as constructor arguments, and runs that are loaded and resumed."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfar
from tfar.cli import models, runs

HEAD = tfar.heads.Bernoulli()
SMALL: dict[str, dict[str, Any]] = {
    "conv_nade": {"filters": [4], "kernel_sizes": [2], "hidden_units": [8]},
    "any_order_transformer": {"units": 4, "num_layers": 1, "num_heads": 2},
    "pixel_cnn": {"filters": 8, "num_blocks": 1},
    "gated_pixel_cnn": {"filters": 8, "num_blocks": 1},
    "multiscale_pixel_cnn": {"filters": 4, "num_blocks": 1},
    "row_lstm": {"filters": 4},
    "darn": {"latent_units": [3]},
    "pixel_vae": {"latent_dim": 2, "filters": 4, "num_blocks": 0, "encoder_filters": [3]},
    "diagonal_bilstm": {"filters": 4},
    "spatial_lstm": {"units": 4},
    "pixel_cnn_plus_plus": {"num_blocks": 1, "num_levels": 1, "filters": 4, "num_components": 2},
    "video_pixel_network": {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1},
    "hierarchical_autoencoder": {"units": 4, "embedding_dim": 3},
    "sentence_vae": {"max_length": 5, "latent_dim": 2, "units": 4, "embedding_dim": 3},
    "wavenet": {"filters": 4, "skip_filters": 4, "num_layers": 2, "num_stacks": 1},
}
REAL = ("rnade",)
# The models that make their head themselves, and the values of theirs.
OWN_HEAD = {"pixel_cnn_plus_plus": "{0, 1}", "cf_nade": "whole numbers 1 .. 5", "implicit_cf_nade": "{0, 1}"}
SHAPES = {
    "pixel_cnn_plus_plus": (4, 4, 1),
    "video_pixel_network": (3, 4, 4),
    "cf_nade": (16,),
    "implicit_cf_nade": (16,),
    **dict.fromkeys(models.TEXTS, (None,)),
    "sentence_vae": (5,),
}


def make(model: str, head: Any = HEAD, **options: Any) -> Any:
    shape = SHAPES.get(model, (4, 4))
    arguments = {name: value for name, value in SMALL.get(model, {}).items() if name not in models.OPTIONS}
    return models.make(model, shape, head, 3, {**models.OPTIONS, **options}, arguments)


def test_every_public_model_can_be_trained():
    public = {name for name in tfar.__all__ if isinstance(getattr(tfar, name), type)}
    assert set(models.MODELS.values()) == public - {
        "Autoregressive",
        "LatentVariable",
        "TableModel",
    }  # of a user's parts, or with a command of its own


@pytest.mark.parametrize("model", models.MODELS)
def test_a_model_is_made_of_the_event_the_head_and_the_seed(model):
    head = tfar.heads.NormalMixture(2) if model in REAL else HEAD
    head = tfar.heads.Categorical(6) if model == "cf_nade" else head
    dist = make(model, head)
    assert type(dist).__name__ == models.MODELS[model]
    assert tuple(dist.event_shape) == SHAPES.get(model, (4, 4))
    assert model == "factorized" or dist.get_config()["seed"] == 3
    if model in OWN_HEAD:
        assert str(dist.head.support()) == OWN_HEAD[model]
    elif model in (*models.TEXTS, *models.SENTENCES):
        assert getattr(dist, "decoder", dist).network.vocabulary_size == 2
    elif model not in (*REAL, "darn"):
        assert dist.head is head


def test_a_model_of_bits_refuses_other_values():
    with pytest.raises(ValueError, match=r"darn needs bits.*Categorical"):
        make("darn", tfar.heads.Categorical(3))


def test_documents_of_sentences_are_arrays_of_words():
    with pytest.raises(ValueError, match=r"takes documents \[sentences, words\]; received events of shape \(16,\)"):
        models.make("hierarchical_autoencoder", (16,), HEAD, 0, models.OPTIONS, {})
    with pytest.raises(ValueError, match="needs whole numbers from 0"):
        make("hierarchical_autoencoder", tfar.heads.NormalMixture(2))


def test_options_are_those_of_the_constructor():
    assert make("made").network.hidden_units == make("orderless_nade").network.hidden_units == (500, 500)
    assert make("made", hidden_units=(5,), order="reverse").get_config()["order"] == "reverse"
    assert make("nade").get_config()["hidden_units"] == 500
    assert make("nade", hidden_units=(7,)).get_config()["hidden_units"] == 7
    assert make("conv_nade", hidden_units=(6, 7)).get_config()["hidden_units"] == [6, 7]


def test_levels_of_a_model_with_its_own_head():
    support = make("pixel_cnn_plus_plus", tfar.heads.Categorical(256)).head.support()
    assert support == tfar.heads.Support(0.0, 255.0, discrete=True)
    with pytest.raises(ValueError, match="the values of NormalMixture are real numbers"):
        make("pixel_cnn_plus_plus", tfar.heads.NormalMixture(2))


def test_ratings_are_the_columns_of_a_table():
    with pytest.raises(ValueError, match="cf_nade takes tables with a column for each item"):
        models.make("cf_nade", (4, 4), tfar.heads.Categorical(6), 0, {**models.OPTIONS}, {})
    with pytest.raises(ValueError, match="the values of NormalMixture are real numbers"):
        models.make("cf_nade", (4,), tfar.heads.NormalMixture(2), 0, {**models.OPTIONS}, {})


def flags(model: str) -> list[str]:
    """Returns the small arguments of a model as options of the command line."""
    pairs = [(name, value) for name, value in SMALL.get(model, {}).items() if name != "hidden_units"]
    return list(itertools.chain.from_iterable(("--set", f"{name}={value}") for name, value in pairs))


@pytest.mark.slow
def test_rnade_sees_standardised_rows_and_goes_on(invoke: Any, table: Path, tmp_path: Path) -> None:
    rows = np.genfromtxt(table, delimiter=",", skip_header=1)
    scaled = tmp_path / "scaled.csv"
    np.savetxt(scaled, rows * [1e3, 1.0, 1e-3] + 5.0, delimiter=",", header="a,b,c", comments="")
    out = tmp_path / "run"
    invoke(
        "train",
        "rnade",
        "--data",
        scaled,
        "--out",
        out,
        "--head",
        "NormalMixture:2",
        "--hidden-units",
        "8",
        "--epochs",
        "1",
    )
    first = runs.load_dist(out)
    np.testing.assert_allclose(first.head.units.scale, [1e3, 1.0, 1e-3], rtol=0.4)
    invoke("train", "rnade", "--out", out, "--resume", "--epochs", "2")
    second = runs.load_dist(out)
    np.testing.assert_array_equal(second.head.units.scale, first.head.units.scale)
    assert np.any(second.trainable_variables[0].numpy() != first.trainable_variables[0].numpy())


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["nade", "orderless_nade", "any_order_transformer", "conv_nade", "pixel_cnn", "gated_pixel_cnn", "darn"]
)
def test_runs_of_other_models_are_evaluated_sampled_and_resumed(model: str, invoke: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    units = ["--hidden-units", "8"] if model.endswith("nade") else []
    small = ["--epochs", "1", "--batch-size", "400", *units, *flags(model)]
    invoke("train", model, "--data", "digits", "--out", out, *small)
    assert isinstance(keras.saving.load_model(out / "model.keras").dist, getattr(tfar, models.MODELS[model]))
    assert "nats" in invoke("evaluate", out, "--data", "digits").output
    invoke("sample", out, "--num-samples", "3", "--out", tmp_path / "samples.npy")
    assert np.load(tmp_path / "samples.npy").shape == (3, 8, 8)
    if model == "darn":
        hot = ("--temperature", "2", "--out", tmp_path / "samples.npy")
        assert "has a latent variable" in invoke("sample", out, *hot, code=1).stderr
    invoke("train", model, "--out", out, "--resume", "--epochs", "2")
    assert (
        "was started with arguments"
        in invoke("train", model, "--out", out, "--resume", "--set", "activation=tanh", code=1).stderr
    )


@pytest.mark.slow
def test_pixel_cnn_plus_plus_takes_its_levels_from_the_data_and_goes_on(invoke: Any, tmp_path: Path) -> None:
    images, out = tmp_path / "images.npy", tmp_path / "run"
    np.save(images, np.random.default_rng(0).integers(0, 4, size=(60, 4, 4, 1)).astype(np.uint8))
    small = ["--epochs", "1", "--batch-size", "20", *flags("pixel_cnn_plus_plus")]
    invoke("train", "pixel_cnn_plus_plus", "--data", images, "--out", out, *small)
    assert runs.load_dist(out).head.support().num_values == 4
    invoke("train", "pixel_cnn_plus_plus", "--out", out, "--resume", "--epochs", "2")
    finished = runs.load_dist(out).log_prob(np.load(images))
    (out / "model.keras").unlink()
    np.testing.assert_allclose(runs.load_dist(out).log_prob(np.load(images)), finished, rtol=1e-5)
    invoke("sample", out, "--num-samples", "3", "--out", tmp_path / "samples.npy")
    assert np.load(tmp_path / "samples.npy").shape == (3, 4, 4, 1)
