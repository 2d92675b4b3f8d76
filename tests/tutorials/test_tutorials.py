"""The tutorials run, with small settings in CI, and the stored outputs are those of a full run."""

import json
import os
import pathlib
import re

import pytest

from tests.parameters import few_by_default
from tests.test_docs import DOCS, load

FOLDER = pathlib.Path(__file__).parents[2] / "tutorials"
PATHS = sorted(FOLDER.glob("*.ipynb"))
# Settings of a short run.
SMALL = {
    "first_steps_with_made": {"HIDDEN_UNITS": [32], "EPOCHS": 1},
    "missing_values_and_outliers_of_a_table": {"HIDDEN_UNITS": [32, 32], "EPOCHS": 1, "DRAWS": 3},
    "a_census_table_from_csv_to_a_served_model": {"ROWS": 600, "HIDDEN_UNITS": [16], "EPOCHS": 1, "DRAWS": 5},
    "pixel_cnn_on_digits": {"FILTERS": 4, "EPOCHS": 1},
    "serving_end_to_end": {"HIDDEN_UNITS": [32], "EPOCHS": 1},
    "speech_with_wavenet": {"NUM_PHRASES": 8, "FILTERS": 4, "NUM_LAYERS": 4, "EPOCHS": 1, "SECONDS": 0.8},
    "an_archive_of_digits": {"HIDDEN_UNITS": [32], "EPOCHS": 1},
    "what_the_latents_hold": {"FILTERS": 4, "VAE_EPOCHS": 1, "HIDDEN_UNITS": [16], "DARN_EPOCHS": 1},
    "a_classifier_with_few_labels": {
        "NUM_POSTS": 300,
        "EPOCHS": 1,
        "SEEDS": 2,
        "UNITS": 4,
        "AUTOENCODER_EPOCHS": 1,
        "CLASSIFIER_EPOCHS": 1,
    },
    "forecasts_with_wavenet": {"FILTERS": 2, "EPOCHS": 1, "SEEDS": 1, "DRAWS": 10, "ORIGINS": 2},
    "super_resolution_with_several_draws": {"NUM_TRAIN": 100, "FILTERS": 4, "EPOCHS": 1, "NUM_TEST": 20},
    "a_video_continued": {"NUM_TRAIN": 32, "FILTERS": 2, "EPOCHS": 1, "NUM_TEST": 8},
    "a_landscape_from_a_spatial_lstm": {"PATCH": 10, "UNITS": 4, "STEPS": 4, "SIZE": 16},
}
NUMBER = r"(-?\d+\.\d+)"
# What the text of a tutorial says about its results: numbers in the outputs, and what is true of them.
CLAIMS = {
    "first_steps_with_made": [
        (rf"independent pixels: {NUMBER} nats, MADE: {NUMBER} nats", lambda alone, made: made < alone - 5),
        (r"(\d+)% of the shuffled images are rejected", lambda rejected: rejected > 95),
    ],
    "missing_values_and_outliers_of_a_table": [
        (rf"independent columns {NUMBER}, orderless NADE {NUMBER}", lambda alone, nade: nade < alone - 1),
        (rf"all +{NUMBER}% +{NUMBER}%", lambda frequent, model: model > frequent + 5),
        (rf"lower: {NUMBER}% of the time \(independent columns: {NUMBER}%", lambda model, alone: model > alone + 5),
        (rf"of its row: {NUMBER}% \(by chance: {NUMBER}%\)", lambda found, chance: found > 2 * chance),
    ],
    "a_census_table_from_csv_to_a_served_model": [
        (rf"columns {NUMBER}, orderless NADE {NUMBER}", lambda alone, nade: nade > alone + 1),
        (rf"{NUMBER}% of the complete test rows have a lower", lambda below: below < 1),
        (rf"more\nmoved-in .* {NUMBER}\nage .* {NUMBER}\n", lambda moved, age: moved > age > 2),
        (r"(\d+)% of the hidden incomes", lambda inside: 85 < inside < 99),
        (
            rf"probability: {NUMBER}, standard error {NUMBER}; share of the rows: {NUMBER}",
            lambda value, error, share: 0 < error < 0.1 * value and abs(value - share) < 0.02,
        ),
        (rf"largest difference: {NUMBER}", lambda difference: difference < 1e-3),
    ],
    "pixel_cnn_on_digits": [
        (rf"pixels {NUMBER} nats, GatedPixelCNN {NUMBER} nats", lambda alone, network: network < alone - 5),
        (rf"shuffled +-\d+\.\d+ +{NUMBER}\n", lambda auroc: auroc > 0.95),
        (rf"bars +-\d+\.\d+ +{NUMBER}\n", lambda auroc: auroc < 0.5),
        (rf"bars +(0\.\d+) +{NUMBER}\n", lambda log_prob, either_side: either_side > 0.5 > log_prob),
    ],
    "serving_end_to_end": [(rf"{NUMBER} nats, before {NUMBER}\n", lambda later, earlier: later < earlier < 25)],
    "speech_with_wavenet": [
        (rf"after epoch 3: {NUMBER}", lambda bits: bits < 5),
        (r"(\d+)% of \d+ test recordings have the right speaker", lambda right: right > 90),
    ],
    "an_archive_of_digits": [
        (rf"test: {NUMBER} nats, frozen {NUMBER} nats", lambda model, frozen: abs(frozen - model) < 0.1),
        (
            r"(\d+) bytes of bits, xz (\d+) bytes, archive (\d+) bytes",
            lambda raw, xz, ours: ours < 0.8 * xz < 0.8 * raw,
        ),
    ],
    "what_the_latents_hold": [
        (
            rf"bits 0.0: -elbo {NUMBER} nats = KL {NUMBER} .*, (\d) of 8 .*\n+.* 0.5: -elbo {NUMBER} .* KL {NUMBER} .*, 8 of 8",
            lambda collapsed, kl, active, bound, more: bound < collapsed - 0.5 and kl < more / 2 and active < 4,
        ),
        (rf"differ: {NUMBER} from one step to the next, {NUMBER} between", lambda step, ends: step < ends / 3),
        (rf"differ: {NUMBER} of two draws of one latent, {NUMBER} of", lambda same, other: same < 0.8 * other),
        (rf"length {NUMBER} bits(?s:.*)200 latents: {NUMBER} bits", lambda length, bound: bound < length < 32),
        (rf"sum {NUMBER} bits, 16 of 16 active", lambda told: 3 < told < 16),
        (
            r"archive (\d+) bytes\n.* index (\d+) bytes\n+.* without bits back: (\d+) bytes",
            lambda ours, predicted, pair: abs(ours - predicted) < 0.02 * predicted and ours < pair,
        ),
    ],
    "a_classifier_with_few_labels": [
        (rf"DocNADE {NUMBER}, frequencies of words {NUMBER}", lambda topics, words: topics < 0.75 * words),
        (r"(\d+)% of the nearest posts", lambda same: same > 90),
        (
            rf"  20 labels.* vectors {NUMBER}%, (?s:.*) 200 labels.* TF-IDF {NUMBER}%",
            lambda twenty, two_hundred: twenty > two_hundred,
        ),
        (rf"1000 labels.* vectors {NUMBER}%, TF-IDF {NUMBER}%", lambda vectors, tfidf: vectors < tfidf),
        (rf"mean, random weights: {NUMBER}%.*\n.*: {NUMBER}%", lambda random, trained: random < trained < random + 6),
        (rf"last, random weights: {NUMBER}%.*\n.*: {NUMBER}%", lambda random, trained: trained < random),
    ],
    "forecasts_with_wavenet": [
        (
            rf"WaveNet +{NUMBER}.*\nseasonal naive +{NUMBER}.*\nseasonal ARIMA +{NUMBER}",
            lambda ours, naive, arima: ours < 0.9 * naive and abs(ours - arima) < 0.05,
        ),
        (r"WaveNet .* (\d+)%", lambda inside: inside < 80),
    ],
    "a_landscape_from_a_spatial_lstm": [
        (
            rf"neighbourhood alone {NUMBER} bits a pixel, SpatialLSTM {NUMBER} bits",
            lambda near, far: near - 0.2 < far < near,
        )
    ],
    "a_video_continued": [
        (
            rf"after epoch 4: {NUMBER} nats.*\neach pixel from the .* before: {NUMBER}\n",
            lambda network, persistence: network < persistence / 2,
        ),
        (
            rf"frame 1: +{NUMBER} nats\nframe 2: +{NUMBER} nats\nframe 3: +{NUMBER} nats",
            lambda first, second, third: first > second > third,
        ),
    ],
    "super_resolution_with_several_draws": [
        (rf"CNN {NUMBER} nats\ntest: independent pixels {NUMBER}", lambda grown, alone: grown < alone / 2),
        (r"(\d+) steps\n", lambda steps: steps == 55),
        (rf"{NUMBER} nats a.*\n14.* {NUMBER} nats a.*\n28.* {NUMBER} nats a", lambda base, x2, x4: base > x2 > x4),
        (rf"14 x 14: {NUMBER} nats are left open(?s:.*)7 x 7: {NUMBER}", lambda more, fewer: more < fewer),
        (rf"repeated {NUMBER}%, one draw {NUMBER}%, mean.* {NUMBER}%", lambda same, one, mean: mean < one < same),
    ],
}


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def faults(notebook):
    """What a stored notebook should not have: cells that did not run, messages, and paths of a machine."""
    numbers = [cell["execution_count"] for cell in code_cells(notebook)]
    found = [] if numbers == list(range(1, len(numbers) + 1)) else [f"cells ran as {numbers}"]
    for output in outputs(notebook):
        text = "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", []))
        if output.get("name") == "stderr" or output["output_type"] == "error" or "Warning" in text:
            found.append(f"message: {text}")
        found += re.findall(r"(?<![\w.<])/(?:tmp|root|home|work|usr)\b\S*", text)
    return found


def printed(notebook):
    return "".join("".join(output.get("text", [])) for output in outputs(notebook))


def untrue(claims, text):
    """The claims whose numbers a text does not have, or has with values that contradict them."""
    found = {pattern: re.search(pattern, text) for pattern, _ in claims}
    return [
        pattern for pattern, holds in claims if not found[pattern] or not holds(*map(float, found[pattern].groups()))
    ]


def run(path, folder, settings=None):
    pytest.importorskip("nbclient", reason="nbclient runs notebooks; it is in tfar[dev]")
    if "TFAR_DATA_DIR" in path.read_text() and not os.environ.get("TFAR_DATA_DIR"):
        pytest.skip("the tutorial reads a table from the folder that TFAR_DATA_DIR names")
    notebook = load("notebooks").run(path, folder, settings)
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook)), "the notebook shows no picture"
    assert faults(notebook) == []
    return notebook


@pytest.mark.parametrize("path", few_by_default(PATHS, 0), ids=lambda path: path.stem)
def test_tutorial_runs_with_small_settings(path, tmp_path):
    run(path, tmp_path, SMALL[path.stem])


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_text_is_true_of_a_full_run(path, tmp_path):
    assert untrue(CLAIMS[path.stem], printed(run(path, tmp_path))) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_stored_outputs_are_those_of_a_full_run(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert faults(notebook) == []
    assert untrue(CLAIMS[path.stem], printed(notebook)) == []


def test_a_setting_that_a_tutorial_does_not_have_is_refused(tmp_path):
    pytest.importorskip("nbclient", reason="docs/notebooks.py imports it; it is in tfar[dev]")
    with pytest.raises(ValueError, match=r"'EPOCHS'.*received \['STEPS'\]"):
        load("notebooks").run(FOLDER / "first_steps_with_made.ipynb", tmp_path, {"STEPS": 1})


def test_the_tutorials_are_there():
    assert {path.stem for path in PATHS} == SMALL.keys() == CLAIMS.keys()


def test_faults_of_stored_outputs_are_found():
    def notebook(text, name="stdout", count=1):
        output = {"output_type": "stream", "name": name, "text": [text]}
        return {"cells": [{"cell_type": "code", "execution_count": count, "outputs": [output]}]}

    assert faults(notebook("12.5 nats/row")) == []
    assert faults(notebook("saved in /tmp/abc/made")) == ["/tmp/abc/made"]
    assert len(faults(notebook("UserWarning: no"))) == len(faults(notebook("x", "stderr"))) == 1
    assert faults(notebook("x", count=None)) == ["cells ran as [None]"]


def test_the_pictures_of_the_pages_are_those_of_the_tutorials():
    nbformat = pytest.importorskip("nbformat", reason="docs/notebooks.py imports it; it is in tfar[dev]")
    notebooks, stored = load("notebooks"), {}
    for path in PATHS:
        stored |= notebooks.pictures(nbformat.read(path, as_version=4))
    assert stored == {path.stem: path.read_bytes() for path in notebooks.PICTURES.glob("*.png")}
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    assert [name for name in stored if f"pictures/{name}.png" not in pages] == []


def test_untrue_claims_are_found():
    claims = CLAIMS["serving_end_to_end"]
    assert untrue(claims, "validation: 18.85 nats, before 20.07\n") == []
    assert untrue(claims, "validation: 20.07 nats, before 18.85\n") == [claims[0][0]]
    assert untrue(claims, "validation: 18.85 nats\n") == [claims[0][0]]
