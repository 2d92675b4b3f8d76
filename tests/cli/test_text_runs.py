"""`tfar train doc_nade` on files of texts, and the commands on such a run."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar
from tests.shards import is_of_today
from tfar.cli import runs
from tfar.data import from_texts

WORDS = ["cat", "dog", "sat", "ran", "the", "red", "sky", "sea"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 texts of 1 to 9 words in the column `body`."""
    rng, path = np.random.default_rng(0), tmp_path / "texts.csv"
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 10))) for _ in range(120)]
    path.write_text("id,body\n" + "".join(f"{i},{text.capitalize()}.\n" for i, text in enumerate(texts)))
    return path


SMALL = ["--columns", "body", "--epochs", "1", "--batch-size", "40", "--hidden-units", "4"]


@pytest.mark.slow(ci=is_of_today(0))
def test_a_run_on_texts_is_evaluated_sampled_and_resumed(table: Path, invoke: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = invoke(
        "train", "doc_nade", "--data", table, "--out", out, *SMALL, "--set", "tree=balanced", "--max-words", 6
    )
    assert "120 texts" in result.output and "6 words" in result.output and "perplexity" in result.output
    dist = runs.load_dist(out)
    assert isinstance(dist, tfar.DocNADE) and dist.network.vocabulary_size == 8
    result = invoke("evaluate", out, "--data", table, "--out", tmp_path / "scores.csv")
    vocabulary = runs.trained_on(out).text["vocabulary"]
    assert len(vocabulary["words"]) == 6
    splits = from_texts(table, column="body", vocabulary=tfar.data.Vocabulary.from_json(vocabulary))
    documents = splits.documents["test"]
    expected = [float(dist.log_prob(np.float32(words))) for words in documents]
    with open(tmp_path / "scores.csv") as file:
        scores = [float(row["log_prob"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    perplexity = math.exp(-sum(expected) / sum(map(len, documents)))
    assert f"{perplexity:.1f}" in result.output
    invoke("sample", out, "--num-samples", "3", "--length", "5", "--out", tmp_path / "samples.txt")
    lines = (tmp_path / "samples.txt").read_text().splitlines()
    assert len(lines) == 3 and all(set(line.split()) <= {*vocabulary["words"], "[UNK]"} for line in lines)
    assert "expected --length" in invoke("sample", out, "--out", tmp_path / "samples.txt", code=1).stderr
    invoke("train", "doc_nade", "--out", out, "--resume", "--epochs", "2")


RECURRENT = ["--columns", "body", "--epochs", "1", "--batch-size", "40", "--set", "units=4", "--set", "embedding_dim=3"]


@pytest.mark.slow(ci=is_of_today(1))
def test_a_language_model_is_trained_and_draws_texts_that_end(table: Path, invoke: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = invoke("train", "recurrent_lm", "--data", table, "--out", out, *RECURRENT, "--set", "max_length=12")
    assert "perplexity" in result.output
    assert tuple(runs.load_dist(out).event_shape) == (12,)
    assert "perplexity" in invoke("evaluate", out, "--data", table).output
    invoke("sample", out, "--num-samples", "3", "--out", tmp_path / "samples.txt")
    words = {*runs.trained_on(out).text["vocabulary"]["words"], "[UNK]"}
    lines = (tmp_path / "samples.txt").read_text().splitlines()
    assert len(lines) == 3 and all(set(line.split()) <= words for line in lines)


@pytest.mark.slow(ci=is_of_today(2))
def test_an_autoencoder_of_texts_is_evaluated_by_its_reconstructions(table: Path, invoke: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    invoke("train", "sequence_autoencoder", "--data", table, "--out", out, *RECURRENT)
    invoke("evaluate", out, "--data", table, "--out", tmp_path / "scores.csv")
    dist, vocabulary = runs.load_dist(out), runs.trained_on(out).text["vocabulary"]
    splits = from_texts(table, column="body", vocabulary=tfar.data.Vocabulary.from_json(vocabulary))
    expected = [float(dist.reconstruction_log_prob([*words, 0.0])) for words in splits.documents["test"]]
    with open(tmp_path / "scores.csv") as file:
        scores = [float(row["log_prob"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    error = invoke("sample", out, "--length", "5", "--out", tmp_path / "samples.txt", code=1).stderr
    assert "conditional_input" in error


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # after one epoch of a few texts
@pytest.mark.slow(ci=is_of_today(3))
def test_a_model_with_a_latent_is_evaluated_by_its_bounds(table: Path, invoke: Any, tmp_path: Path) -> None:
    out, sizes = tmp_path / "run", ["--set", "max_length=12", "--set", "latent_dim=2", "--set", "word_keep_rate=0.5"]
    output = invoke("train", "sentence_vae", "--data", table, "--out", out, *RECURRENT, *sizes).output
    assert "perplexity" in output and "entries of the latent are active" in output
    output = invoke("evaluate", out, "--data", table, "--out", tmp_path / "scores.csv", "--latents", "5").output
    with open(tmp_path / "scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "importance_log_prob", "elbo"]
    dist, vocabulary = runs.load_dist(out), runs.trained_on(out).text["vocabulary"]
    splits = from_texts(table, column="body", vocabulary=tfar.data.Vocabulary.from_json(vocabulary))
    value = splits.batches("test", batch_size=len(rows), max_length=12, ends=True, shuffle=False)[0]["value"]
    expected = dist.evaluate(value, seed=0, num_samples=5)
    for name in ("importance_log_prob", "elbo"):
        np.testing.assert_allclose([float(row[name]) for row in rows], expected[name], rtol=1e-4)
    each = np.exp(-np.sum(expected["importance_log_prob"]) / np.sum(dist.decoder.law.num_symbols(value)))
    assert f"{each:.1f}" in output and "negative ELBO" in output
    invoke("sample", out, "--num-samples", "3", "--out", tmp_path / "samples.txt")
    assert len((tmp_path / "samples.txt").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["doc_nade", "--condition", "y"], "--condition: doc_nade takes texts"),
        (["doc_nade"], "expected a column 'text' of texts"),
        (["doc_nade", "--columns", "id,body"], "the one column of the texts; received 2"),
        (
            ["made", "--max-words", "5"],
            "expected one of the models doc_nade, doc_nade_lm, recurrent_lm, sequence_autoencoder, sentence_vae; received made",
        ),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str, table: Path, invoke: Any, tmp_path: Path) -> None:
    error = invoke("train", *options, "--data", table, "--out", tmp_path / "run", code=1).stderr
    assert message in " ".join(error.split())
