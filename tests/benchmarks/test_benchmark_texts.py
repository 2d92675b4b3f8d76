"""The peers of texts by hand: Kneser-Ney n-grams and PyTorch's LSTM; how texts are read; and a whole small run."""

import dataclasses
import gzip
import math
import os
import pathlib

import numpy as np
import pytest

from benchmarks import classifiers, likelihood, render, results, sentences, texts, texts_table
from benchmarks.cases import LikelihoodCase, check, load_cases
from benchmarks.peers import torch_lstm
from benchmarks.peers.kneser_ney import BEGINNING, KneserNey
from tests.reference import lstm

TRAIN = [[2, 3, 0], [2, 3, 4, 0], [3, 4, 0]]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_kneser_ney_sums_to_one_after_every_context(order):
    peer = KneserNey(TRAIN, order, 6)
    for context in ([BEGINNING, BEGINNING], [BEGINNING, 2], [2, 3], [4, 4], [5, 1]):
        assert sum(peer.prob(context, word) for word in range(6)) == pytest.approx(1.0)


def test_kneser_ney_of_order_two_by_hand():
    """Of 7 different bigrams, word 4 stands in one, behind word 3: its continuation count is 1. After 3 come 0, 4 and 4."""
    peer, d = KneserNey(TRAIN, 2, 6), 0.75
    bigrams = {(BEGINNING, 2), (BEGINNING, 3), (2, 3), (3, 0), (3, 4), (4, 0)}
    assert {(*v, w) for v, own in peer.after[1].items() for w in own} == bigrams
    unigram = (1 - d) / 6 + d * 4 / 6 / 6  # 6 bigrams, 4 words that end one
    expected = (2 - d) / 3 + d * 2 / 3 * unigram
    assert peer.prob([3], 4) == pytest.approx(expected)
    assert peer.prob([5], 4) == pytest.approx(unigram), "an unseen context leaves the lower order"
    probs = [peer.prob([BEGINNING], 2), peer.prob([2], 3), peer.prob([3], 0)]
    assert peer.nats([2, 3, 0]) == pytest.approx(-sum(map(math.log, probs)))


def test_perplexity_is_of_all_words_together():
    found = texts.perplexity(np.log([2.0**3, 8.0]), np.array([3, 1]))
    assert found["perplexity"] == pytest.approx(2.83, abs=0.01)


def test_words_of_texts():
    assert sentences.words_of("It's The end; OK?") == ["it's", "the", "end", ";", "ok", "?"]
    verses = [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]
    assert sentences.windows(verses) == [verses[:5]]
    assert sentences.windows([["a"] * 26, *verses])[0] == [["a"] * 25, *verses[:4]]
    assert sentences.flat([["a", "b"], ["c"], []]) == ["a", "b", "/", "c", "/"]


def test_torch_lstm_equals_the_loops():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_lstm.make_network(6, 4, 3, seed=1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    x = np.float32([[2, 3, 1, 5], [4, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]])
    found = torch_lstm.losses(network, torch.from_numpy(x)).detach().numpy()
    weights = {name: p.detach().numpy().astype(np.float64) for name, p in network.named_parameters()}

    def gates(kernel):
        """PyTorch has the gates i, f, g and o in rows."""
        i, f, g, o = np.split(kernel, 4)
        return np.concatenate([o, f, i, g]).T

    own = {
        "embeddings": weights["words.weight"],
        "lstm/kernel_0": gates(weights["lstm.weight_ih_l0"]),
        "lstm/recurrent_kernel_0": gates(weights["lstm.weight_hh_l0"]),
        "lstm/bias_0": gates(weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]),
    }
    for row, loss in zip(x.astype(int), found, strict=True):
        total = 0.0
        for h, word in zip(lstm.features(own, row, lstm.zeros(own, "lstm/")), row, strict=True):
            logits = weights["logits.weight"] @ h + weights["logits.bias"]
            total += np.log(np.exp(logits).sum()) - logits[word]
            if word == 0:
                break
        assert loss == pytest.approx(total, rel=1e-5)
    assert torch_lstm.sample_call(network, 5, 2)().shape == (2, 5)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case for model in ("recurrent_text", "sentence_vae") for case in load_cases(model).likelihood],
    ids=lambda case: case.name,
)
def test_a_quick_run_gives_a_whole_result(case, tmp_path):
    if "TFAR_DATA_DIR" not in os.environ:
        pytest.skip("TFAR_DATA_DIR is not set")
    options = likelihood._parse(["recurrent_text", "--quick", "--folder", str(tmp_path)])
    result = texts.run(likelihood.quick_case(case), options, "command")
    assert 1.0 < result.figures["perplexity"] < 1000.0
    assert result.data["train"] == sentences.QUICK_TEXTS
    assert result.settings["seconds"] == 1.0 <= result.figures["train_seconds"]
    again = texts.run(likelihood.quick_case(case), options, "command")
    assert again.figures == result.figures, "a finished run is only evaluated"
    assert results.read(results.write(result, tmp_path)).figures == result.figures


def test_valences_belong_to_their_sentences():
    if "TFAR_DATA_DIR" not in os.environ:
        pytest.skip("TFAR_DATA_DIR is not set")
    data = sentences.load("movie_sentences")
    rows = classifiers.labelled(data, "test")
    assert len(rows.words) == np.sum(data.valences["test"] != 0) < len(data.words["test"])
    path = pathlib.Path(os.environ["TFAR_DATA_DIR"]) / sentences.FILES["movie_sentences"]
    lines = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]]
    order = np.random.default_rng(0).permutation(len(lines))[: len(lines) // 10]
    counts = [(len(sentences.words_of(lines[i][1])), float(lines[i][0])) for i in order]
    kept = [(count, valence) for count, valence in counts if 0 < count <= 40 and valence != 0]
    assert [count for count, _ in kept] == np.sum(rows.words > 0, axis=1).tolist()
    assert [valence > 0 for _, valence in kept] == rows.is_positive.tolist()


def test_classifiers_learn_a_word_that_decides():
    """A text is positive if and only if it has the word 5."""
    rng = np.random.default_rng(0)
    words = rng.integers(6, 30, [400, 6])
    is_positive = rng.random(400) < 0.5
    words[is_positive, rng.integers(0, 6, 400)[is_positive]] = 5
    rows = classifiers.Labelled(words, is_positive)
    train, test = classifiers.draw(rows, 300, seed=1), classifiers.Labelled(words[:100], is_positive[:100])
    assert len(train.words) == 300 and not np.array_equal(train.words, words[:300])
    assert classifiers.accuracy_of_counts(words, train, test) == 1.0
    import tfar

    encoder = tfar.RecurrentLanguageModel(30, 6, units=16, embedding_dim=8, seed=0).pretrained_encoder()
    settings = classifiers.Settings(learning_rate=2e-2, max_epochs=20, dropout_rate=0.0)
    assert classifiers.accuracy_of_network(encoder, train, test, settings, seed=0) > 0.9


def test_table_of_classifiers():
    assert "not run" in classifiers.table(None)
    figures = {"a": {"accuracies": [50.0, 52.0], "mean": 51.0, "deviation": 1.41, "seconds": 3.2}}
    result = results.make(
        kind="classifiers",
        case=classifiers.CASE,
        command="command",
        seed=0,
        data={"name": "movie_sentences", "labelled": 500, "test_labelled": 900},
        settings={"seeds": [0, 1]},
        figures=figures,
        paper={},
        targets=[check("points above random weights", ">=", 4.0, 1.0)],
    )
    found = classifiers.table(result)
    assert "| a | 51.0 | 1.4 | 3 |" in found and "500 labelled" in found and ">= 4.0, missed" in found


def make_result(case: LikelihoodCase, figures: dict, targets: list) -> results.Result:
    settings = {"kind": "likelihood", "case": case.name, "command": "command", "seed": 0, "data": {}, "settings": {}}
    return results.make(**settings, figures=figures, paper={}, targets=targets)


def test_the_table_of_texts_has_the_best_n_grams_once():
    cases = load_cases("sentence_vae").likelihood[:3]
    own = {"perplexity": 90.0, "standard_error": 1.25, "nats_a_text": 50.5, "train_seconds": 1200.0}
    own["beside"] = {f"Kneser-Ney {order}": {**own, "perplexity": 100.0 + order} for order in (3, 1, 2)}
    latent = own | {"bound_perplexity": 95.5, "kl": 4.125, "active_units": 7}
    made = [make_result(cases[0], own, []), None, make_result(cases[2], latent, [check("test kl", ">=", 5.0, 4.125)])]
    plain, missing, vae, n_grams = texts_table.texts_table(cases, made).splitlines()[2:]
    assert "| 90.00 ± 1.25 | 50.50 |  |  |  | 20 |  |" in plain and "| not run |" in missing
    assert "| 90.00 ± 1.25 | 50.50 | 95.50 | 4.12 | 7 | 20 | test kl 4.125 >= 5 missed |" in vae
    assert "| Kneser-Ney 1 | 101.00 ± 1.25 |" in n_grams


def test_the_table_of_documents_has_other_methods_once_and_lda_on_its_documents():
    cases = load_cases("doc_nade").likelihood
    perplexities = {"macro": 800.04, "macro_error": 3.0, "micro": 850.0}
    figures = {
        "perplexities": {"1": perplexities, "16": {**perplexities, "macro": 780.0}},
        "precision": {"2.00%": 0.489},
    }
    figures["lda_documents"] = {"1": {**perplexities, "macro": 700.0}}
    figures["beside"] = {
        "LDA": {"perplexities": {**perplexities, "macro": 900.0}},
        "LSI": {"precision": {"2.00%": 0.3}},
    }
    made = [make_result(case, figures, [check("precision", ">=", 0.49, 0.489)]) for case in cases]
    first, few, *_, lda, lsi = texts_table.documents_table(cases, made).split("\n\n")[0].splitlines()[2:]
    assert first == "| tfar DocNADE 50 | 800.0 ± 3.0 | 780.0 ± 3.0 | 850.0 |  |  | 0.489 |"
    assert few == "| tfar DocNADE 50, documents of LDA | 700.0 ± 3.0 |  | 850.0 |  |  |  |"
    assert lda.startswith("| LDA | 900.0 ± 3.0 |  |") and lsi == "| LSI |  |  |  |  |  | 0.300 |"
    assert "precision 0.489 >= 0.49 missed" in texts_table.documents_table(cases, made)
    assert "| not run |" in texts_table.documents_table(cases[:1], [None])


def test_a_row_has_the_verdict_of_the_target_that_it_shows():
    (case, *_), figures = load_cases("doc_nade").likelihood, {"perplexity": 800.0, "standard_error": 3.0}
    targets = [check("perplexity", "<=", 850.0, 800.0), check("precision", ">=", 0.49, 0.48)]
    result = dataclasses.replace(make_result(case, figures, targets), data={"note": "some documents"})
    row = render.likelihood_table([case], [result]).splitlines()[2]
    assert row.endswith("| <= 850.00 perplexity | met |")
