"""The code that README and CONTRIBUTING show runs as it stands there."""

import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[1]


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_contributing_shows_a_network_of_ones_own(tmp_path, monkeypatch, capsys):
    (code,) = blocks("CONTRIBUTING.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "CONTRIBUTING.md", "exec"), {})
    assert "(3,)" in capsys.readouterr().out


@pytest.mark.slow(ci=True)
def test_from_tfp_pixel_cnn(tmp_path, monkeypatch):
    names: dict = {}
    monkeypatch.chdir(tmp_path)
    for code in blocks("docs/from_tfp_pixel_cnn.md"):
        exec(compile(code, "docs/from_tfp_pixel_cnn.md", "exec"), names)
    assert names["samples"].shape == (4, 8, 8, 1)
    assert names["of_classes"].shape == (2, 3, 8, 8, 1)
    assert not names["dist"].network.awaits_data
    assert (tmp_path / "digits.keras").exists()


@pytest.mark.slow(ci=True)
def test_pixel_models(tmp_path, monkeypatch):
    names: dict = {}
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()
    try:
        for code in blocks("docs/pixel_models.md"):
            exec(compile(code, "docs/pixel_models.md", "exec"), names)
    finally:
        keras.config.set_dtype_policy(policy)
    assert names["seen"].shape == (28, 28)
    assert (tmp_path / "field.png").exists()
    assert names["dist"].network.compute_dtype == "bfloat16"
    assert int(names["model"].optimizer.iterations) == 1


@pytest.mark.slow(ci=True)
def test_readme_trains_scores_samples_completes_and_exports(tmp_path, monkeypatch):
    ten_lines, _ = codes = blocks("README.md")
    assert len([line for line in ten_lines.splitlines() if line.strip()]) == 10
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in codes:
        exec(compile(code, "README.md", "exec"), names)
    assert names["samples"].shape == (16, 8, 8)
    assert (names["lower_halves"].numpy()[:, :4] == names["x"][:, :4]).all()
    assert (tmp_path / "exported" / "made" / "1" / "saved_model.pb").exists()
    assert (tmp_path / "made.tflite").stat().st_size > 0
