"""Errors of the user are one line on stderr and exit code 1 or 2, never a traceback."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def refused(invoke: Any, *arguments: Any, code: int = 1) -> str:
    """Returns the error message of a command, which must be one line."""
    result = invoke(*arguments, code=code)
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nade_x", "--data", "digits"), "unknown model 'nade_x': expected one of made, nade"),
        (("nade", "--data", "digits", "--hidden-units", "5,5"), "nade has one hidden layer: expected one number"),
        (("nade", "--data", "digits", "--num-masks", "2"), "nade has no option --num-masks; received 2"),
        (("nade", "--data", "digits", "--num-masks", "fresh"), "nade has no option --num-masks; received fresh"),
        (("pixel_cnn", "--data", "digits", "--order", "random"), "pixel_cnn has no option --order; received random"),
        (("pixel_cnn", "--data", "digits", "--set", "filter=8"), "received filter"),
        (("pixel_cnn", "--data", "digits", "--set", "seed=8"), "--set: expected an argument of tfar.PixelCNN"),
        (("pixel_cnn", "--data", "digits", "--set", "filters=-1"), "`filters`"),
        (("pixel_cnn", "--data", "digits", "--set", "filters"), "expected --set NAME=VALUE"),
        (
            ("pixel_cnn", "--data", "digits", "--set", "filters=4", "--set", "filters=8"),
            "--set: expected each name once; received filters twice",
        ),
        (("made", "--data", "nothing_like_it"), "unknown data set 'nothing_like_it'"),
        (("made", "--data", "missing.csv"), "missing.csv does not exist"),
        (
            ("made", "--data", "digits", "--hidden-units", "5,x"),
            "expected --hidden-units such as 500,500; received '5,x'",
        ),
        (
            ("made", "--data", "digits", "--num-masks", "0"),
            "expected --num-masks to be a number or 'fresh'; received '0'",
        ),
        (("made", "--data", "digits", "--order", "up"), "unknown order 'up': expected one of natural, reverse, random"),
        (
            ("made", "--data", "digits", "--head", "Gauss"),
            "unknown head 'Gauss': expected one of Bernoulli, Categorical, NormalMixture",
        ),
        (("made", "--data", "digits", "--head", "Categorical:x"), "--head Categorical:x: expected such as"),
        (("made", "--data", "digits", "--epochs", "0"), "expected --epochs of at least 1; received 0"),
        (
            ("made", "--data", "digits", "--epochs", "1", "--batch-size", "0"),
            "expected --batch-size of at least 1; received 0",
        ),
        (("made", "--data", "digits", "--ema", "2"), "expected --ema between 0 and 1"),
        (("made", "--data", "digits", "--learning-rate", "-1"), "expected a positive --learning-rate"),
        (("made", "--data", "digits", "--resume"), "is not a run of `tfar train`"),
    ],
)
def test_train_refuses(arguments: tuple[str, ...], message: str, invoke: Any, tmp_path: Path) -> None:
    assert message in refused(invoke, "train", *arguments, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_invalid_options_exit_with_2(invoke: Any, tmp_path: Path) -> None:
    assert "a new run needs data" in " ".join(invoke("train", "made", "--out", tmp_path / "r", code=2).stderr.split())
    assert "No such option" in invoke("train", "made", "--uot", "r", code=2).stderr
    assert "not one of" in invoke("export", "r", "--out", "o", "--format", "onnx", code=2).stderr
    assert invoke("evaluate", "r", code=2).stderr


def test_text_in_a_table_is_named_with_its_place(invoke: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n" + "1.0,2.0\n" * 3 + "1.0,red\n")
    message = refused(invoke, "train", "made", "--data", path, "--out", tmp_path / "run")
    assert "expected a finite number in row 5, column 'b'; received 'red'" in message


def test_an_existing_folder_is_refused(digits_run: Path, invoke: Any, tmp_path: Path) -> None:
    before = (digits_run / "config.json").read_bytes()
    message = refused(invoke, "train", "made", "--data", "digits", "--out", digits_run)
    assert "exists: go on with it by --resume, or give another --out" in message
    assert (digits_run / "config.json").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    assert "exists: give another --out" in refused(invoke, "train", "made", "--data", "digits", "--out", tmp_path)
    assert "does not hold an earlier demo" in refused(invoke, "demo", "--out", tmp_path)
    assert (tmp_path / "notes.txt").exists()


def test_a_resumed_run_keeps_its_settings(digits_run: Path, invoke: Any) -> None:
    message = refused(invoke, "train", "made", "--out", digits_run, "--resume", "--hidden-units", "9")
    assert "was started with hidden_units 8; received 9" in message
    message = refused(invoke, "train", "made", "--out", digits_run, "--resume", "--order", "reverse")
    assert "was started with order 'natural'; received 'reverse'" in message


def test_paths_without_a_model(invoke: Any, tmp_path: Path, digits_run: Path) -> None:
    out = ("--out", tmp_path / "s.npy")
    assert "does not exist: expected the folder of a run" in refused(invoke, "sample", tmp_path / "none", *out)
    assert "is not a run of `tfar train`" in refused(invoke, "sample", tmp_path, *out)
    assert "a .keras file; received" in refused(invoke, "sample", digits_run / "metrics.csv", *out)
    (tmp_path / "bad.keras").write_text("no model")
    assert "bad.keras: expected a .keras file" in refused(invoke, "sample", tmp_path / "bad.keras", *out)
    (tmp_path / "config.json").write_text("{}")
    assert "expected the config.json of a run of `tfar train` of this version" in refused(
        invoke, "sample", tmp_path, *out
    )


def test_data_of_another_shape_or_support(invoke: Any, digits_run: Path, table: Path, tmp_path: Path) -> None:
    message = refused(invoke, "evaluate", digits_run, "--data", table)
    assert "expected rows of shape (8, 8), the event shape of the model" in message
    np.save(tmp_path / "threes.npy", np.full([4, 8, 8], 3))
    message = refused(invoke, "evaluate", digits_run, "--data", tmp_path / "threes.npy", "--out", tmp_path / "s.csv")
    assert "Expected values in the support of Bernoulli" in message
    assert not (tmp_path / "s.csv").exists()
    assert "unknown split 'half'" in refused(invoke, "evaluate", digits_run, "--data", "digits", "--split", "half")
    assert "only a file has 'all'" in refused(invoke, "evaluate", digits_run, "--data", "digits", "--split", "all")


def test_unsupported_outputs(invoke: Any, digits_run: Path, table_run: Path, tmp_path: Path) -> None:
    assert "--out to end with .npy, .csv, .png" in refused(invoke, "sample", digits_run, "--out", "s.jpg")
    assert "a .png file needs events of shape (H, W)" in refused(
        invoke, "sample", table_run, "--out", tmp_path / "s.png"
    )
    (tmp_path / "file").write_text("")
    message = refused(invoke, "sample", digits_run, "--out", tmp_path / "file" / "s.npy")
    assert "file" in message


def test_unsupported_masks(invoke: Any, digits_run: Path, table_run: Path, table: Path, tmp_path: Path) -> None:
    common = ("--out", tmp_path / "c.npy")
    digits = ("complete", digits_run, "--data", "digits", *common, "--observed")
    assert "observed sites to come first in the order" in refused(invoke, *digits, "bottom")
    assert "or a .npy file of booleans; received 'middle'" in refused(invoke, *digits, "middle")
    assert "none.npy: No such file" in refused(invoke, *digits, tmp_path / "none.npy")
    np.save(tmp_path / "mask.npy", np.ones([4, 4]))
    assert "expected shape (8, 8) or (N, 8, 8); received (4, 4)" in refused(invoke, *digits, tmp_path / "mask.npy")
    np.save(tmp_path / "mask.npy", np.full([8, 8], 2))
    assert "expected booleans" in refused(invoke, *digits, tmp_path / "mask.npy")
    wine = ("complete", table_run, "--data", table, *common, "--observed", "top")
    assert "--observed top needs images" in refused(invoke, *wine)


def test_debug_shows_the_traceback(invoke: Any, tmp_path: Path) -> None:
    result = invoke("sample", tmp_path / "none", "--out", "s.npy", "--debug", code=1)
    assert isinstance(result.exception, FileNotFoundError)
