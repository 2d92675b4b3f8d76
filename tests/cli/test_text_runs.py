"""`tfar train doc_nade` on files of texts, and the commands on such a run."""

import csv
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar
from tests.parameters import few_by_default
from tests.shards import is_of_today
from tfar.cli import runs
from tfar.data import from_texts

WORDS = ["cat", "dog", "sat", "ran", "the", "red", "sky", "sea"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts of 1 to 9 words in the column `body`."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("texts") / "texts.csv"
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 10))) for _ in range(120)]
    path.write_text("id,body\n" + "".join(f"{i},{text.capitalize()}.\n" for i, text in enumerate(texts)))
    return path


SMALL = ["--columns", "body", "--epochs", "1", "--batch-size", "40", "--hidden-units", "4"]


@pytest.fixture(scope="module")
def run_of(table: Path, invoke: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trains a model on the table with the options of a kind, once, and returns the folder of the run."""

    @functools.cache
    def train(kind: str) -> Path:
        out = tmp_path_factory.mktemp("runs") / "run"
        model, *options = KINDS[kind]
        invoke("train", model, "--data", table, "--out", out, *SMALL, "--max-words", 6, *options)
        return out

    return train


def documents_of(table: Path, out: Path, **fractions: float) -> Any:
    """The texts in the vocabulary of a run."""
    vocabulary = tfar.data.Vocabulary.from_json(runs.trained_on(out).text["vocabulary"])
    return from_texts(table, column="body", vocabulary=vocabulary, **fractions)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


KINDS = {
    "frequency tree": ("doc_nade", "--set", "tree=frequency"),
    "texts that end": ("doc_nade", "--set", "length=eos", "--set", "max_length=12"),
    "language model": ("doc_nade_lm", "--set", "context_size=3", "--set", "embedding_size=2"),
    "language model that ends": ("doc_nade_lm", "--set", "length=eos", "--set", "context_size=2"),
    "fixed length": ("doc_nade", "--set", "max_length=9"),
}


@pytest.mark.parametrize("kind", few_by_default(KINDS, count=0, in_ci=1))
def test_every_command_takes_a_model_of_texts(kind: str, run_of: Any, table: Path, invoke: Any, tmp_path: Path) -> None:
    out = run_of(kind)
    dist = runs.load_dist(out)
    ends, limit = dist.network.ends, dist.event_shape[0]
    splits = documents_of(table, out)
    counts = np.bincount(np.concatenate(splits.documents["train"]), minlength=8)
    counts[0] = len(splits.documents["train"]) if ends else 0
    head = dist.head.head if ends else dist.head
    assert head.counts == counts.tolist()
    assert getattr(head, "tree", None) == ("frequency" if "tree" in kind else None)
    everything = documents_of(table, out, valid_fraction=0.0, test_fraction=0.0).documents["train"]
    padded = [np.float32([*words, 0] if ends and len(words) != limit else words) for words in everything]
    size = limit or max(map(len, padded))
    if limit is None and not ends:
        expected = [float(dist.log_prob(words)) for words in padded]
    else:
        value = np.stack([np.pad(words, [0, size - len(words)]) for words in padded])
        observed = None if ends else np.arange(size) < [[len(words)] for words in padded]
        expected = np.asarray(dist.log_prob(value, observed=observed))
    invoke("evaluate", out, "--data", table, "--split", "all", "--out", tmp_path / "scores.csv")
    scores = [float(row["log_prob"]) for row in csv.DictReader(lines_of(tmp_path / "scores.csv"))]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    length = [] if limit else ["--length", 11]
    sharp = ["--temperature", 0.8, "--top-k", 3, "--top-p", 0.9]
    invoke("sample", out, "--num-samples", 4, *length, *sharp, "--out", tmp_path / "samples.npy")
    changed = dist.with_temperature(0.8).with_top_k(3).with_top_p(0.9)
    np.testing.assert_array_equal(
        np.load(tmp_path / "samples.npy"), changed.sample(4, seed=0, length=None if limit else 11)
    )


@pytest.mark.parametrize("kind", few_by_default(KINDS, count=0, in_ci=1))
def test_texts_are_continued(kind: str, run_of: Any, invoke: Any, tmp_path: Path) -> None:
    out = run_of(kind)
    (tmp_path / "beginnings.txt").write_text("The cat sat\n\ndog\n")
    limit = runs.load_dist(out).event_shape[0]
    length = [] if limit else ["--length", 8]
    common = ("complete", out, "--data", tmp_path / "beginnings.txt", *length, "--seed", 3)
    invoke(*common, "--num-samples", 2, "--out", tmp_path / "completed.txt")
    invoke(*common, "--out", tmp_path / "completed.npy")
    trained = runs.trained_on(out)
    vocabulary = tfar.data.Vocabulary.from_json(trained.text["vocabulary"])
    firsts = vocabulary.decode(vocabulary.encode(["The cat sat"]))
    lines, drawn = lines_of(tmp_path / "completed.txt"), np.load(tmp_path / "completed.npy")
    assert len(lines) == 6 and drawn.shape == (3, limit or 8)
    assert all(line.startswith(firsts[0]) for line in lines[:2]) and lines[0] != lines[1]
    dog = vocabulary.encode(["dog"])[0][0]
    assert drawn[2, 0] == dog and all(line.split()[0] == vocabulary.decode([[dog]])[0] for line in lines[4:])


@pytest.mark.parametrize("kind", few_by_default(["frequency tree", "texts that end"], count=0))
def test_an_export_scores_every_text_of_a_file(
    kind: str, run_of: Any, table: Path, invoke: Any, tmp_path: Path
) -> None:
    out = run_of(kind)
    dist = runs.load_dist(out)
    invoke("export", out, "--out", tmp_path / "exported")
    lines = ["the cat sat", "", "a dog that nobody knows", "sea"]
    (tmp_path / "new.csv").write_text("body\n" + "".join(f"{line}\n" if line else '""\n' for line in lines))
    invoke("score", tmp_path / "exported", tmp_path / "new.csv", "--batch-size", 3, "--out", tmp_path / "scores.npy")
    vocabulary = tfar.data.Vocabulary.from_json(runs.trained_on(out).text["vocabulary"])
    documents = vocabulary.encode(lines)
    value = np.stack([np.pad(words, [0, 12 - len(words)]) for words in documents]).astype(np.float32)
    observed = None if dist.network.ends else np.arange(12) < [[len(words)] for words in documents]
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), dist.log_prob(value, observed=observed), rtol=1e-4)
    error = invoke("score", tmp_path / "exported", tmp_path / "new.csv", "--columns", "body", "--out", "x.npy", code=1)
    assert "expected a table or images; received texts" in " ".join(error.stderr.split())


@pytest.mark.slow(ci=True)
def test_what_a_completion_of_texts_lacks_is_refused(run_of: Any, invoke: Any, tmp_path: Path) -> None:
    out = run_of("frequency tree")
    (tmp_path / "long.txt").write_text("cat cat cat\n")
    common = ("complete", out, "--data", tmp_path / "long.txt")

    def refused(*options: Any) -> str:
        return " ".join(invoke(*common, *options, code=1).stderr.split())

    written = ("--out", tmp_path / "c.txt")
    assert "expected --length, the number of words" in refused(*written)
    assert "expected at most 2 words; received 3 in text 0" in refused("--length", 2, *written)
    assert "--split: expected a table or images" in refused("--length", 5, "--split", "test", *written)
    assert "--columns, --key, --header: expected a table" in refused("--length", 5, "--observed", "top", *written)
    assert "end with .npy, .txt" in refused("--length", 5, "--out", tmp_path / "c.csv")


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
        (["doc_nade", "--columns", "body", "--set", "counts=[1]"], "expected an argument of tfar.DocNADE"),
        (
            ["made", "--max-words", "5"],
            "expected one of the models doc_nade, doc_nade_lm, recurrent_lm, sequence_autoencoder, sentence_vae; received made",
        ),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str, table: Path, invoke: Any, tmp_path: Path) -> None:
    error = invoke("train", *options, "--data", table, "--out", tmp_path / "run", code=1).stderr
    assert message in " ".join(error.split())
