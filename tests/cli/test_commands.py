"""Each command on small training runs."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar
from tests.cli.tables import printed
from tfar.cli import export, masks
from tfar.cli.errors import one_line

COMMANDS = ("train", "evaluate", "sample", "complete", "export", "serve", "score", "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, invoke: Any) -> None:
    output = invoke(command, "--help").output
    assert "Examples" in output
    assert f"tfar {command} " in output


def test_help_lists_the_commands(invoke: Any) -> None:
    assert all(command in invoke("--help").output for command in COMMANDS)
    assert invoke("--version").output == f"tfar {tfar.__version__}\n"


def test_a_run_folder_holds_everything(digits_run: Path) -> None:
    names = {path.name for path in digits_run.iterdir()}
    assert names >= {
        "config.json",
        "model.keras",
        "journal.json",
        "metrics.csv",
        "tensorboard",
        "pictures",
    }
    config = json.loads((digits_run / "config.json").read_text())
    assert config["settings"]["hidden_units"] == [8]
    assert config["data"]["event_shape"] == [8, 8]
    assert config["versions"]["tfar"] == tfar.__version__
    assert len((digits_run / "metrics.csv").read_text().splitlines()) == 3
    assert {path.name for path in (digits_run / "pictures").iterdir()} == {"epoch-0001.png", "epoch-0002.png"}
    assert {path.name for path in (digits_run / "tensorboard").iterdir()} == {"train", "validation", "samples"}


def test_evaluate_gives_the_mean_of_the_rows(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    import tfar.data

    test = tfar.data.load("digits").arrays("test")
    expected = np.asarray(tfar.load(digits_run / "model.keras").log_prob(test))
    output = invoke("evaluate", digits_run, "--data", "digits", "--out", tmp_path / "scores.csv").output
    with open(tmp_path / "scores.csv", newline="") as file:
        scores = [float(row["log_prob"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    for name, number in (
        ("negative log-likelihood", -expected.mean()),
        ("standard error", expected.std(ddof=1) / len(expected) ** 0.5),
        ("bits per dimension", -expected.mean() / 64 / np.log(2)),
    ):
        assert printed(output, name) == pytest.approx(number, abs=2e-4)


def test_evaluate_takes_all_rows_of_a_file_in_order(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    import tfar.data

    bits = tfar.data.load("digits").arrays("test")[:40]
    np.savetxt(tmp_path / "flat.csv", bits.reshape([40, 64]), fmt="%d", delimiter=",")
    invoke("evaluate", digits_run / "model.keras", "--data", tmp_path / "flat.csv", "--out", tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(scores[:, 0], np.arange(40))
    np.testing.assert_allclose(scores[:, 1], tfar.load(digits_run / "model.keras").log_prob(bits), rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_evaluate_of_real_numbers(table_run: Path, table: Path, invoke: Any) -> None:
    output = invoke("evaluate", table_run, "--data", table, "--split", "all").output
    assert "120" in output
    assert "nats" in output


@pytest.mark.slow(ci=True)
def test_the_weights_of_a_run_with_averages_are_the_averages(table_run: Path) -> None:
    from tfar.cli import runs

    saved, rebuilt = tfar.load(table_run / "model.keras"), runs.build(runs.read_config(table_run))
    rebuilt.load_weights(next(table_run.glob("best-*.weights.h5")))
    raw = [np.array(v) for v in rebuilt.dist.trainable_variables]
    runs.finish(rebuilt)
    assert any(np.abs(a - v).max() > 0 for a, v in zip(raw, rebuilt.dist.trainable_variables, strict=True))
    for a, v in zip(saved.trainable_variables, rebuilt.dist.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, v)


@pytest.mark.slow(ci=True)
def test_sample_writes_the_same_draws_in_each_form(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    for suffix in ("npy", "csv", "png"):
        invoke("sample", digits_run, "--num-samples", 9, "--seed", 3, "--out", tmp_path / f"samples.{suffix}")
    samples = np.load(tmp_path / "samples.npy")
    np.testing.assert_array_equal(samples, tfar.load(digits_run / "model.keras").sample(9, seed=3))
    table = np.loadtxt(tmp_path / "samples.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(table, samples.reshape([9, 64]))
    assert "." not in (tmp_path / "samples.csv").read_text()
    assert (tmp_path / "samples.png").stat().st_size > 1000
    invoke("sample", digits_run, "--num-samples", 9, "--temperature", 0.5, "--out", tmp_path / "cold.npy")
    cold = tfar.load(digits_run / "model.keras").with_temperature(0.5)
    np.testing.assert_array_equal(np.load(tmp_path / "cold.npy"), cold.sample(9, seed=0))


def test_complete_keeps_what_is_observed(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    common = ("complete", digits_run, "--data", "digits", "--observed", "top", "--rows", 5, "--seed", 1)
    invoke(*common, "--num-samples", 3, "--out", tmp_path / "c.npy")
    invoke(*common, "--out", tmp_path / "c.png")
    invoke(*common, "--out", tmp_path / "c.csv")
    import tfar.data

    rows_given, completed = tfar.data.load("digits").arrays("test")[:5], np.load(tmp_path / "c.npy")
    assert completed.shape == (3, 5, 8, 8)
    assert (completed[:, :, :4] == rows_given[:, :4]).all()
    assert set(np.unique(completed)) <= {0.0, 1.0}
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 6
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_complete_takes_a_mask_for_each_row(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    mask = np.arange(64).reshape([8, 8]) < np.array([10, 40])[:, None, None]
    np.save(tmp_path / "mask.npy", mask)
    common = (
        "complete",
        digits_run,
        "--data",
        "digits",
        "--observed",
        tmp_path / "mask.npy",
        "--out",
        tmp_path / "c.npy",
    )
    invoke(*common, "--rows", 2)
    assert np.load(tmp_path / "c.npy").shape == (2, 8, 8)
    assert "a mask for each row of the data; received 2 masks" in invoke(*common, "--rows", 3, code=1).stderr


@pytest.mark.parametrize("name", ["top", "bottom", "left", "right"])
def test_halves(name: str) -> None:
    mask = masks.observed_mask(name, (4, 6, 3))
    assert mask.shape == (4, 6, 3)
    assert mask.mean() == 0.5
    corner = {"top": (0, 3), "bottom": (3, 3), "left": (1, 0), "right": (1, 5)}[name]
    assert mask[corner].all()


def test_export_asks_the_serving_package(
    digits_run: Path, invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfar import serving

    calls = []
    monkeypatch.setattr(
        serving, "export_saved_model", lambda dist, path, version, **rest: calls.append(path) or path / "1"
    )
    monkeypatch.setattr(serving, "export_tflite", lambda dist, path, quantize: calls.append(path) or path)
    output = invoke("export", digits_run, "--out", tmp_path / "exported", "--format", "both").output
    assert calls == [tmp_path / "exported", tmp_path / "exported" / "model.tflite"]
    assert "SavedModel" in output and "TFLite" in output
    calls.clear()
    invoke("export", digits_run, "--out", tmp_path, "--format", export.Format.tflite.value)
    assert calls == [tmp_path / "model.tflite"]


@pytest.mark.slow(ci=True)
def test_export_says_what_rounding_costs(invoke: Any, digits_run: Path, tmp_path: Path) -> None:
    output = invoke("export", digits_run, "--out", tmp_path, "--format", "tflite", "--quantize", "float16").output
    assert re.search(r"On test rows of digits: log_prob differs by [\d.e-]+ nats", " ".join(output.split()))
    result = invoke("export", digits_run, "--out", tmp_path, "--quantize", "dynamic", code=1)
    assert "--format tflite" in result.output
    model = digits_run / "model.keras"
    output = invoke("export", model, "--out", tmp_path, "--format", "tflite", "--quantize", "dynamic").output
    assert "Pass --data" in output


@pytest.mark.parametrize("kind", ["latent", "text"])
def test_an_export_whose_rounding_is_not_measured_is_no_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfar import serving
    from tfar.cli.trained_on import TrainedOn

    monkeypatch.setattr(serving, "log_prob_error", lambda dist, path, value, condition: dist.log_prob(value))
    np.save(tmp_path / "rows.npy", np.eye(3))
    (tmp_path / "texts.txt").write_text("a b\n")
    data = str(tmp_path / ("rows.npy" if kind == "latent" else "texts.txt"))
    dist = tfar.DARN([3], [2]) if kind == "latent" else tfar.RecurrentLanguageModel(5, 4, 3, embedding_dim=2)
    trained = TrainedOn(text={"vocabulary": {"words": []}, "column": None} if kind == "text" else None)
    said = export._rounding(dist, tmp_path / "model.tflite", data, None, trained)
    assert said == "The effect of rounded weights is not measured for texts and for models with a latent variable."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
        (OSError(28, "could not write b: No space left on device"), "could not write b: No space left on device"),
        (ImportError(), "ImportError"),
    ],
)
def test_errors_become_one_line(error: Exception, message: str) -> None:
    assert one_line(error) == message
