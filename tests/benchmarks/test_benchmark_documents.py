"""The measures of topic models by hand, and a whole small run on documents."""

import itertools
import math
import os

import numpy as np
import pytest

from benchmarks import documents, likelihood, newsgroups, results, topics
from benchmarks.cases import load_cases


def test_macro_perplexity_is_of_documents_and_micro_of_words():
    found = topics.perplexities(np.log([2.0**3, 8.0]), np.array([3, 1]))
    assert found["macro"] == pytest.approx(math.sqrt(2.0 * 8.0)) and found["micro"] == pytest.approx(2.83, abs=0.01)


def test_word_frequencies_have_one_added():
    nats = topics.unigram_nats(np.array([[3, 0], [1, 0]]), np.array([[1, 1]]))
    assert nats[0] == pytest.approx(-math.log(5 / 6) - math.log(1 / 6))


def test_precision_is_the_share_of_neighbours_of_the_class():
    angles = np.arange(50) * 0.01
    collection, labels = np.stack([np.cos(angles), np.sin(angles)], axis=1), (np.arange(50) >= 1).astype(int)
    found = topics.precisions(collection, np.array([[2.0, 0.0]]), labels, np.array([1]))
    assert found == {"0.02%": 0.0, "0.20%": 0.0, "2.00%": 0.0}, "the nearest has class 0"
    assert topics.precisions(
        np.repeat(collection, 2, axis=0), np.array([[0.0, 5.0]]), np.repeat(labels, 2), np.array([1])
    ) == {
        "0.02%": 1.0,
        "0.20%": 1.0,
        "2.00%": 1.0,
    }


@pytest.mark.parametrize(("words", "tolerance"), [([0, 2], 0.005), ([0, 2, 2, 1], 0.05)])
def test_left_to_right_estimates_the_likelihood_of_lda(words, tolerance):
    """Against the sum over all topics of all words, whose prior is a Polya urn.

    It is exact for two words. For more, the one sweep over the earlier topics that each word gets leaves a bias.
    """
    parts, alpha, words = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]), 0.4, np.array(words)
    total = 0.0
    for chosen in itertools.product(range(2), repeat=len(words)):
        prob = 1.0
        for place, (topic, word) in enumerate(zip(chosen, words, strict=True)):
            prob *= (chosen[:place].count(topic) + alpha) / (place + 2 * alpha) * parts[topic, word]
        total += prob
    rng = np.random.default_rng(0)
    found = topics.left_to_right_nats(words, parts, alpha, 200_000, rng)
    assert found == pytest.approx(-math.log(total), abs=tolerance)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("case", load_cases("doc_nade").likelihood, ids=lambda case: case.name)
def test_a_quick_run_gives_a_whole_result(case, tmp_path):
    if "TFAR_DATA_DIR" not in os.environ:
        pytest.skip("TFAR_DATA_DIR is not set")
    options = likelihood._parse(["doc_nade", "--quick", "--folder", str(tmp_path)])
    result = documents.run(likelihood.quick_case(case), options, "command")
    assert result.figures["perplexity"] < result.figures["beside"]["word frequencies"]["perplexities"]["macro"] * 1.5
    assert result.data["train"] == newsgroups.QUICK_DOCUMENTS and set(result.figures["perplexities"]) == {"1", "2"}
    assert results.read(results.write(result, tmp_path)).figures == result.figures
