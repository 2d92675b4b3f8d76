"""`tfar train wavenet` on folders of audio files, and the commands on such a run."""

import dataclasses
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from rich.console import Console

import tfar
from tests.cli.tables import printed
from tests.plots.pictures import assert_picture
from tests.shards import is_of_today
from tests.training.kill_points import contents, recorded
from tfar.cli import audio, run_data, runs, train
from tfar.cli.printing import make_console
from tfar.cli.settings import Settings
from tfar.data import inverse_mu_law, mu_law

RATE = 100
ARGUMENTS = {"filters": 2, "skip_filters": 4, "num_layers": 3, "num_stacks": 1, "jit_compile": False}
SMALL = ["--epochs", "2", "--learning-rate", "0.01", "--chunk-length", "200"]
for _name, _value in ARGUMENTS.items():
    SMALL += ["--set", f"{_name}={json.dumps(_value)}"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers with five recordings of 300 to 700 samples."""
    folder, rng = tmp_path_factory.mktemp("data") / "speech", np.random.default_rng(0)
    for number in range(10):
        time = np.arange(300 + 50 * (number % 9)) / RATE
        tone = 0.4 * np.sin(2.0 * np.pi * (5 + 15 * (number % 2)) * time) + 0.01 * rng.normal(size=len(time))
        path = folder / ["ann", "bob"][number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, RATE)
    return folder


@pytest.fixture(scope="module")
def speech_run(speech: Path, invoke: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "speech"
    result = invoke("train", "wavenet", "--data", speech, "--condition", "folder", "--out", out, *SMALL)
    said = " ".join(result.output.split())
    assert "10 recordings of 100 Hz, 0.8 minutes. Head: Categorical of 256 mu-law levels" in said
    assert "Condition: 2 classes of folder." in said and "bits per sample, with the best weights." in said
    return out


def scores(path: Path) -> dict[str, float]:
    lines = path.read_text().splitlines()
    assert lines[0] == "file,log_prob"
    return {Path(line.rpartition(",")[0]).stem: float(line.rpartition(",")[2]) for line in lines[1:]}


def samples_of(speech: Path, number: str) -> np.ndarray:
    return soundfile.read(next(speech.rglob(f"{number}.wav")), dtype="int16")[0]


# Runs ----------------------------------------------------------------------------------------------------------------


def test_every_epoch_writes_sounds_and_a_picture(speech_run: Path) -> None:
    names = [f"epoch-000{epoch}-{name}.wav" for epoch in (1, 2) for name in ("ann", "bob")]
    assert sorted(path.name for path in (speech_run / "samples").iterdir()) == names
    dist = tfar.load(speech_run)
    expected = dist.sample(1, seed=0, length=RATE, conditional_input=np.eye(2))[0]
    for name, values in zip(("ann", "bob"), expected, strict=True):
        signal, rate = soundfile.read(speech_run / "samples" / f"epoch-0002-{name}.wav")
        assert rate == RATE and len(signal) == RATE
        np.testing.assert_allclose(signal, inverse_mu_law(values), atol=1.0 / 2**15)
    for epoch in (1, 2):
        assert_picture(speech_run / "pictures" / f"epoch-000{epoch}.png")


def test_a_run_remembers_how_its_recordings_were_read(speech_run: Path) -> None:
    config = json.loads((speech_run / "config.json").read_text())
    assert config["data"]["audio"] == {"sample_rate": RATE, "levels": 256, "channel": None}
    assert config["data"]["condition"] == {"name": "folder", "num_classes": 2, "classes": ["ann", "bob"]}
    assert config["data"]["num_rows"] == {"train": 8, "valid": 1, "test": 1}
    assert config["data"]["event_shape"] == [None]
    assert config["settings"]["batch_size"] == 8


def test_training_scores_every_sample_after_its_receptive_field(speech_run: Path, speech: Path) -> None:
    """The validation loss of the last epoch is that of the whole recording, by chunk."""
    config = runs.read_config(speech_run)
    splits = tfar.data.from_audio(speech, condition="folder")
    (valid,) = splits.recordings["valid"]
    condition = np.eye(2)[splits.labels.splits["valid"]]
    expected = -tfar.load(speech_run).log_prob(
        mu_law(valid.read(0, valid.num_samples))[None], conditional_input=condition
    )
    rows = (speech_run / "metrics.csv").read_text().splitlines()
    measured = dict(zip(rows[0].split(","), map(float, rows[-1].split(",")), strict=True))
    chunks = audio.chunks(splits, "valid", tfar.load(speech_run), Settings.from_json(config["settings"]))
    assert chunks.num_rows > 1
    assert measured["val_nll"] * chunks.num_rows == pytest.approx(float(expected[0]), rel=1e-4)


@pytest.mark.slow(ci=True)
def test_recordings_are_scored_as_a_whole(
    speech_run: Path, speech: Path, invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "SCORED_LENGTH", 150)
    result = invoke("evaluate", speech_run, "--data", speech, "--split", "all", "--out", tmp_path / "scores.csv")
    found, dist = scores(tmp_path / "scores.csv"), tfar.load(speech_run)
    assert sorted(found) == sorted(str(number) for number in range(10))
    count = 0
    for name, score in found.items():
        values = mu_law(samples_of(speech, name) / 32768.0)
        expected = float(dist.log_prob(values, conditional_input=np.eye(2)[int(name) % 2]))
        assert score == pytest.approx(expected, rel=1e-5)
        count += len(values)
    assert printed(result.output, "bits per dimension") == pytest.approx(
        -sum(found.values()) / count / np.log(2), abs=1e-3
    )


def test_the_held_out_recordings_are_scored_by_default(
    speech_run: Path, speech: Path, invoke: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(speech, copy)
    result = invoke("evaluate", speech_run, "--data", copy, "--out", tmp_path / "scores.csv")
    held_out = tfar.data.from_audio(speech).recordings["test"]
    assert list(scores(tmp_path / "scores.csv")) == [recording.path.stem for recording in held_out]
    said = " ".join(result.output.split())
    assert "Only the test recordings are scored, which training did not use. All recordings: --split all" in said
    assert "Wrote the score of each recording" in said
    assert printed(result.output, "recordings") == len(held_out) and "rows" not in said
    (copy / "ann" / "0.wav").unlink()
    invoke("evaluate", speech_run, "--data", copy, "--out", tmp_path / "scores.csv")
    assert len(scores(tmp_path / "scores.csv")) == 9, "other files are scored whole"


@pytest.mark.slow(ci=True)
def test_samples_are_arrays_sounds_and_pictures(speech_run: Path, invoke: Any, tmp_path: Path) -> None:
    draw = ("sample", speech_run, "--condition", "bob", "--seed", 3)
    said = invoke(*draw, "--num-samples", 2, "--out", tmp_path / "b.wav").output
    assert "b-1.wav" in said.replace("\n", "") and "b-2.wav" in said.replace("\n", "")
    invoke(*draw, "--num-samples", 2, "--out", tmp_path / "b.npy")
    values = np.load(tmp_path / "b.npy")
    assert values.shape == (2, RATE)
    for number, row in enumerate(values, 1):
        signal, rate = soundfile.read(tmp_path / f"b-{number}.wav")
        assert rate == RATE
        np.testing.assert_allclose(signal, inverse_mu_law(row), atol=1.0 / 2**15)
    invoke(*draw, "--num-samples", 1, "--length", 50, "--out", tmp_path / "short.flac")
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "short.flac")[0], inverse_mu_law(values[0, :50]), atol=1 / 2**15
    )
    invoke(*draw, "--out", tmp_path / "b.png")
    assert_picture(tmp_path / "b.png")
    assert "expected --condition, one of ann, bob" in invoke(*draw[:2], "--out", tmp_path / "c.wav", code=1).stderr


@pytest.mark.slow(ci=True)
def test_sixteen_bits_of_one_channel(speech: Path, invoke: Any, tmp_path: Path) -> None:
    data, out = tmp_path / "stereo", tmp_path / "run"
    data.mkdir()
    for number in range(3):
        samples = samples_of(speech, str(number))
        soundfile.write(data / f"{number}.wav", np.stack([0 * samples, samples], axis=1), RATE)
    options = ["--head", "DiscretizedLogisticMixture:2", "--channel", "1", "--batch-size", "3"]
    invoke("train", "wavenet", "--data", data, "--out", out, *SMALL, *options)
    dist = tfar.load(out)
    assert tuple(dist.event_shape) == (None, 1) and dist.head.num_components == 2
    assert dist.head.support() == tfar.heads.Support(-32768.0, 32767.0, discrete=True)
    invoke("evaluate", out, "--data", data, "--split", "all", "--out", tmp_path / "scores.csv")
    for name, score in scores(tmp_path / "scores.csv").items():
        assert score == pytest.approx(float(dist.log_prob(samples_of(speech, name)[:, None])), rel=1e-5)
    assert sorted(path.name for path in (out / "samples").glob("epoch-0001-*")) == [
        f"epoch-0001-{number}.wav" for number in (1, 2, 3, 4)
    ]
    invoke("sample", out, "--num-samples", 1, "--out", tmp_path / "s.wav")
    invoke("sample", out, "--num-samples", 1, "--out", tmp_path / "s.npy")
    written = soundfile.read(tmp_path / "s.wav", dtype="int16")[0]
    np.testing.assert_array_equal(written, np.load(tmp_path / "s.npy")[0, :, 0])


@pytest.mark.slow(ci=True)
def test_an_export_has_the_form_of_the_values(speech_run: Path, speech: Path, invoke: Any, tmp_path: Path) -> None:
    options = ("--format", "both", "--quantize", "float16")
    said = " ".join(invoke("export", speech_run, "--out", tmp_path / "exported", *options).output.split())
    assert "On the beginnings of test recordings" in said and "(1 rows of" in said
    description = json.loads((tmp_path / "exported" / "1" / "assets.extra" / "tfar.json").read_text())
    assert description["data"]["audio"] == {"sample_rate": RATE, "levels": 256, "channel": None}
    values = mu_law(samples_of(speech, "0") / 32768.0)[None]
    signature = tf.saved_model.load(str(tmp_path / "exported" / "1")).signatures["serving_default"]
    condition = tf.constant([[1.0, 0.0]])
    served = signature(value=tf.constant(values), conditional_input=condition)["log_prob"]
    expected = tfar.load(speech_run).log_prob(values, conditional_input=condition)
    np.testing.assert_allclose(served, expected, rtol=1e-5)


# Resumed runs --------------------------------------------------------------------------------------------------------


def trained(data: Path, out: Path) -> tuple[list[np.ndarray], dict[str, bytes]]:
    """Starts or resumes a run; returns its weights, and its files without those that hold a date."""
    keras.utils.clear_session()  # Files contain names that Keras numbers within a process.
    settings = Settings(
        "wavenet", str(data), arguments=ARGUMENTS, condition="folder", epochs=3, batch_size=4, chunk_length=200
    )
    train.run(settings, out, resume=(out / "config.json").exists(), console=Console(quiet=True), hints=False)
    weights = [np.asarray(v) for v in tfar.load(out / "model.keras").variables]
    return weights, contents(out, besides=("tensorboard", "model.keras", "config.json"))


@pytest.mark.slow(ci=is_of_today(4))
def test_a_run_killed_anywhere_ends_like_an_unbroken_one(speech: Path, tmp_path: Path) -> None:
    with recorded(tmp_path / "unbroken", tmp_path / "points") as recorder:
        weights, files = trained(speech, tmp_path / "unbroken")
    assert {"samples/epoch-0003-ann.wav", "pictures/epoch-0003.png", "metrics.csv"} <= set(files)
    assert len(recorder.points) > 20
    for point in recorder.points[len(recorder.points) - 1 :: -9]:
        found, own = trained(speech, point)
        assert own == files, point.name
        for a, b in zip(found, weights, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=point.name)


def test_a_run_goes_on_with_the_same_files_alone(speech_run: Path, speech: Path, invoke: Any, tmp_path: Path) -> None:
    resume = ("train", "wavenet", "--out", speech_run, "--resume")
    assert "was started with chunk_length 200" in invoke(*resume, "--chunk-length", 100, code=1).stderr
    settings = Settings.from_json(runs.read_config(speech_run)["settings"])
    runs.check_same_data(speech_run, runs.describe(settings, *run_data.load(settings)))
    shutil.copytree(speech, tmp_path / "data")
    soundfile.write(tmp_path / "data" / "ann" / "0.wav", np.zeros(300), RATE)
    changed = dataclasses.replace(settings, data=str(tmp_path / "data"))
    with pytest.raises(ValueError, match=r"the data have changed .* expected the files with the checksum"):
        runs.check_same_data(speech_run, runs.describe(changed, *run_data.load(changed)))


def test_pictures_that_are_left_out_are_mentioned(
    speech: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("wavenet", str(speech))
    splits, _ = run_data.load(settings)
    run_data.say(settings, splits, runs.make_head(settings, splits), make_console())
    assert "Pictures" not in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    run_data.say(settings, splits, runs.make_head(settings, splits), make_console())
    assert 'left out: they need pip install "tfar[plots]"' in " ".join(capsys.readouterr().out.split())


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["made"], "holds audio files: expected one of the models wavenet; received made"),
        (["wavenet", "--columns", "a"], "--columns: expected a table as --data; received audio files"),
        (["wavenet", "--head", "Bernoulli"], "--head Bernoulli: expected a head of audio, Categorical:256"),
        (["wavenet", "--head", "Categorical:x"], "--head Categorical:x: expected a head of audio"),
        (["wavenet", "--condition", "y"], "expected 'folder' as the condition of audio files"),
        (["wavenet", "--channel", "1"], "expected channel 1, counted from 0; received a file of 1"),
        (["wavenet", "--channel", "left"], "channel must be an integer"),
        (["wavenet", "--chunk-length", "0"], "expected --chunk-length of at least 1"),
    ],
)
def test_options_that_do_not_fit_audio(
    options: list[str], message: str, speech: Path, invoke: Any, tmp_path: Path
) -> None:
    stderr = invoke("train", *options, "--data", speech, "--out", tmp_path / "run", code=1).stderr
    assert message in " ".join(stderr.split())
    assert not (tmp_path / "run").exists()


def test_options_of_audio_need_audio(invoke: Any, tmp_path: Path) -> None:
    stderr = invoke(
        "train", "made", "--data", "digits", "--channel", 0, "--out", tmp_path / "run", "--chunk-length", 5, code=1
    ).stderr
    assert "--channel, --chunk-length: expected audio files as --data; received digits" in stderr


def test_commands_say_what_they_need(speech_run: Path, speech: Path, invoke: Any, tmp_path: Path) -> None:
    evaluate = ("evaluate", speech_run, "--data")
    for arguments, message in (
        ((*evaluate, "digits"), "digits: expected audio files"),
        ((*evaluate, speech, "--observed", "top"), "received audio files"),
        ((*evaluate, speech, "--split", "dev"), "unknown split 'dev'"),
        (("complete", speech_run, "--data", speech, "--out", tmp_path / "c.npy"), "whose events have one shape"),
    ):
        assert message in " ".join(invoke(*arguments, code=1).stderr.split())
    (tmp_path / "ann").mkdir()
    soundfile.write(tmp_path / "ann" / "fast.wav", np.zeros(300), 2 * RATE)
    stderr = " ".join(invoke(*evaluate, tmp_path / "ann", code=1).stderr.split())
    assert "expected files of 100 Hz, as the model was trained on; received 200 Hz" in stderr
