"""The likelihood of audio: what is scored, training for a time, conditions, and the figures of a result."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import audio, audio_table, budget, data, likelihood, results, speech
from benchmarks.audio import AudioSettings
from benchmarks.cases import load_cases
from benchmarks.peers import torch_gru
from benchmarks.speech import FRAME, Recording, Speech

RNG = np.random.default_rng(0)
# Three layers see 8 earlier times, less than the context of a row.
SETTINGS = AudioSettings(hidden_units=(4,) * 3, num_stacks=1, skip_filters=4, chunk=160, warm_up=10)


def recording(length, speaker=0):
    signal = (0.3 * np.sin(np.arange(length) / 5.0) + 0.05 * RNG.normal(size=length)).astype(np.float32)
    return Recording(RNG.integers(0, 256, length).astype(np.float32), speaker, signal)


@pytest.fixture
def recordings():
    parts = [[recording(length, speaker) for speaker, length in enumerate(lengths)] for lengths in ((500, 410),) * 3]
    return Speech("speech_8_bit", *parts, "drawn here")


# Rows of training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 9, 10, 11, 169, 170, 171, 1000])
def test_every_sample_is_scored_once_and_after_its_context(length):
    from benchmarks.audio_tfar import windows

    scored = np.zeros(length, int)
    for start, first, end in windows(length, 10, 160):
        scored[first:end] += 1
        assert first - start == (10 if start else 0) and first < end <= start + 170 and start % 160 == 0
    assert (scored == 1).all()


def test_a_chunk_of_part_of_a_frame_is_refused(recordings):
    from benchmarks.audio_tfar import Conditions, rows

    settings = dataclasses.replace(SETTINGS, chunk=100)
    with pytest.raises(ValueError, match=r"whole frames of 80 samples\. Received: 100"):
        rows(recordings.train[0], settings, Conditions("none", recordings))


@pytest.mark.parametrize("condition", ["none", "speaker", "log-mel"])
def test_the_rows_of_a_file_have_the_likelihood_of_the_file(recordings, condition):
    """The context of a row is long enough, and its frames are those of its samples."""
    from benchmarks.audio_tfar import rows

    learner = build(dataclasses.replace(SETTINGS, condition=condition), recordings)
    file = recordings.train[0]
    total = 0.0
    for row in rows(file, SETTINGS, learner.conditions):
        given = {"conditional_input": batch_of_one(row["conditional_input"])} if "conditional_input" in row else {}
        loss = learner.dist.training_loss(
            row["value"][None], seed=[0, 0], site_weight=row["site_weight"][None], **given
        )
        total += float(loss[0]) * SETTINGS.chunk
    assert total == pytest.approx(float(learner.nats([file])[0]), rel=1e-5)


def batch_of_one(condition):
    if isinstance(condition, dict):
        return {name: part[None].astype(np.float32) for name, part in condition.items()}
    return condition[None]


def build(settings, recordings):
    import keras

    from benchmarks.audio_tfar import AudioModelLearner, Conditions
    from benchmarks.models import wavenet

    conditions = Conditions(settings.condition, recordings)
    dist = wavenet.distribution(settings, recordings.name, conditions.shape)
    for variable in dist.trainable_variables:  # biases of zero would hide what lies before a row
        variable.assign_add(0.3 * keras.random.normal(variable.shape, seed=len(variable.shape)))
    return AudioModelLearner(dist, settings, recordings, conditions, jit_compile=False)


def test_the_wrong_condition_is_the_other_speaker_or_late_features(recordings):
    from benchmarks.audio_tfar import Conditions

    file = recordings.train[1]
    speaker = Conditions("speaker", recordings)
    assert speaker.of(file).tolist() == [0, 1] and speaker.of(file, changed=True).tolist() == [1, 0]
    mel = Conditions("log-mel", recordings)
    own, late = mel.of(file), mel.of(file, changed=True)
    np.testing.assert_array_equal(late["log_mel"][1:], own["log_mel"][:-1])
    assert late["speaker"].tolist() == own["speaker"].tolist() == [0, 1]
    assert not np.allclose(late["log_mel"], own["log_mel"])


# Features -------------------------------------------------------------------------------------------------------------


def test_a_frame_is_where_its_samples_are():
    signal = np.zeros(1001, np.float32)
    signal[5 * FRAME + FRAME // 2] = 1.0
    features = speech.log_mel(signal)
    assert features.shape == (13, speech.NUM_BANDS)
    assert int(features.sum(axis=1).argmax()) == 5


def test_a_higher_tone_is_in_a_higher_band():
    time = np.arange(2000) / speech.SAMPLE_RATE
    bands = [int(speech.log_mel(np.sin(2 * np.pi * tone * time))[12].argmax()) for tone in (300, 1000, 3000)]
    assert bands == sorted(set(bands))


# Training for a time --------------------------------------------------------------------------------------------------


class Counter:
    """Counts its updates. The clock advances by a second at each, and the validation loss is best after seven."""

    def __init__(self, clock, fail_at=None):
        self.clock, self.fail_at, self.value, self.rates = clock, fail_at, 0, []

    def update(self, step, learning_rate):
        if step == self.fail_at:
            raise KeyboardInterrupt
        assert step == self.value
        self.value, self.clock[0] = self.value + 1, self.clock[0] + 1.0
        self.rates.append(learning_rate)
        return 10

    def save(self, path):
        path.write_text(json.dumps(self.value))

    def load(self, path):
        self.value = json.loads(path.read_text())

    def loss(self):
        self.clock[0] += 100.0  # does not count
        return abs(self.value - 7.0)


@pytest.fixture
def train(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(budget.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(budget, "NUM_CHECKS", 10)

    def run(folder, fail_at=None):
        learner = Counter(clock, fail_at)
        found = budget.train(learner, learner.loss, folder, seconds=20.0, highest_rate=1.0, suffix=".txt")
        return learner, found

    return run


def test_training_ends_with_the_budget_and_has_the_best_weights(train, tmp_path):
    learner, journal = train(tmp_path)
    assert journal["steps"] == 20 and journal["seconds"] == 20.0 and journal["samples"] == 200
    assert [point["seconds"] for point in journal["curve"]] == [2.0 * n for n in range(1, 11)]
    assert learner.value == 6  # of the values after checks, 6 and 8 are the closest to 7
    np.testing.assert_allclose(learner.rates, [1.0 - n / 20 for n in range(20)], rtol=1e-9)
    assert budget.learning_rate(1.0, 1.0) == budget.LEAST_SHARE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20.txt", "6.txt", "journal.json"]


@pytest.mark.parametrize("fail_at", [1, 6, 13])
def test_a_killed_run_goes_on_from_its_last_checkpoint(train, tmp_path, fail_at):
    whole, expected = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", fail_at)
    resumed, journal = train(tmp_path / "parts")
    assert journal == expected and resumed.value == whole.value
    again, journal = train(tmp_path / "parts")
    assert journal == expected and not again.rates


@pytest.mark.slow(ci=True)
def test_a_resumed_learner_makes_the_same_updates(recordings, tmp_path):
    learner = build(SETTINGS, recordings)
    for step in range(2):
        learner.update(step, 1e-2)
    learner.save(tmp_path / "two.weights.h5")
    resumed = build(SETTINGS, recordings)
    resumed.load(tmp_path / "two.weights.h5")
    for step in (2, 3):
        assert learner.update(step, 1e-2) == resumed.update(step, 1e-2)
    np.testing.assert_allclose(learner.nats(recordings.test), resumed.nats(recordings.test), rtol=1e-6)


@pytest.mark.slow(ci=True)
def test_a_loss_that_is_not_finite_stops_the_run(recordings):
    learner = build(SETTINGS, recordings)
    learner.dist.trainable_variables[0].assign(learner.dist.trainable_variables[0] * np.nan)
    with pytest.raises(ValueError, match=r"Expected a finite loss\. Received: nan at update 0"):
        learner.update(0, 1e-3)


# Figures --------------------------------------------------------------------------------------------------------------


class Known:
    """Gives each file a known score: two bits a sample, and with a wrong condition a bit more for some files."""

    parameters, suffix = 3, ".txt"

    def nats(self, files, changed=False):
        extra = [changed * (index % 2) for index in range(len(files))]
        return np.log(2.0) * np.array([len(f.levels) * (2.0 + e) for f, e in zip(files, extra, strict=True)])


def test_figures_are_bits_a_sample_and_paired_differences(recordings):
    figures = audio.evaluate(Known(), SETTINGS, recordings)
    assert figures["bits_per_dim"] == 2.0 and figures["standard_error"] == 0.0
    assert figures["test_files"] == 2 and figures["test_samples"] == 910
    changed = figures["changed_condition"]
    assert changed["bits_per_dim"] == round(2.0 + 410 / 910, 4)
    assert changed["mean_difference"] == 0.5 and changed["t"] == 1.0  # differences 0 and 1
    assert changed["change"] == "speakers swapped"
    none = audio.evaluate(Known(), dataclasses.replace(SETTINGS, condition="none"), recordings)
    assert "changed_condition" not in none


def test_the_error_of_a_ratio_is_that_of_a_mean_for_files_of_one_length():
    totals = RNG.normal(size=50)
    assert audio.ratio_error(totals, np.full(50, 4.0)) == pytest.approx(totals.std(ddof=1) / 4 / np.sqrt(50))
    counts = RNG.integers(5, 20, 50).astype(float)
    totals += 3.0 * counts
    draws = [RNG.integers(0, 50, 50) for _ in range(2000)]
    spread = np.std([totals[draw].sum() / counts[draw].sum() for draw in draws])
    assert audio.ratio_error(totals, counts) == pytest.approx(spread, rel=0.15)


def test_the_table_of_audio():
    (case, other) = load_cases("wavenet").likelihood[:2]
    figures = {
        "parameters": 234944,
        "bits_per_dim": 4.0125,
        "standard_error": 0.0312,
        "changed_condition": {"bits_per_dim": 4.05, "mean_difference": 0.0333, "t": 9.87, "change": "speakers swapped"},
        "curve": [{"seconds": 60.0 * n, "samples": n, "valid": 6.0 - n / 10} for n in range(1, 7)],
        "train_samples": 123456789,
    }
    result = results.make(
        kind="likelihood",
        case=case.name,
        command="command",
        seed=0,
        data={},
        settings={},
        figures=figures,
        paper={},
        targets=[],
    )
    found, missing = audio_table.audio_table([case, other], [result, None]).splitlines()[2:]
    assert "| 234,944 | 4.013 ± 0.031 | 4.050 (speakers swapped) | +0.033 (t = 9.9) |" in found
    assert found.endswith(f"| 1: 5.90, 2: 5.80, 4: 5.60, 6: 5.40 | 123 | {result.machine['cpu']} |")
    assert "| not run |" in missing


# Data and the whole command -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small file of speech."""
    lengths = RNG.integers(300, 600, (64, 2))
    signals = {
        name: np.concatenate([(1000 * RNG.normal(size=n)).astype(np.int16) for n in lengths[:, speaker]])
        for speaker, name in enumerate(speech.SPEAKERS)
    }
    np.savez(tmp_path / "speech_8khz.npz", length=lengths, **signals)
    monkeypatch.setenv("TFAR_DATA_DIR", str(tmp_path))
    return tmp_path


def test_phrases_are_split_and_no_sample_is_lost(folder):
    eight, sixteen = speech.load("speech_8_bit"), speech.load("speech_16_bit")
    assert eight.describe()["sizes"] == {"train": 8, "valid": 24, "test": 96}
    files = [*sixteen.train, *sixteen.valid, *sixteen.test]
    with np.load(folder / "speech_8khz.npz") as stored:
        for speaker, name in enumerate(speech.SPEAKERS):
            own = np.concatenate([file.levels for file in files if file.speaker == speaker])
            np.testing.assert_array_equal(np.sort(own), np.sort(stored[name]))
        first = np.random.default_rng(0).permutation(64)[0]
        start = stored["length"][:first, 1].sum()
        np.testing.assert_array_equal(
            sixteen.test[1].levels, stored["french"][start : start + stored["length"][first, 1]]
        )
    assert {file.levels.max() for file in eight.test} <= set(range(256))
    with pytest.raises(ValueError, match="Received: 'mnist'"):
        speech.load("mnist")


@pytest.mark.data
def test_the_test_files_are_those_of_the_targets():
    try:
        found = speech.load("speech_8_bit").describe()
    except ValueError as reason:
        pytest.skip(str(reason))
    assert found["samples"]["test"] == 1_143_687 and found["sizes"] == {"train": 360, "valid": 24, "test": 96}


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("case", load_cases("wavenet").likelihood, ids=lambda case: case.name)
def test_a_quick_run_gives_a_whole_result(folder, case, capsys, monkeypatch):
    if case.build is torch_gru.build:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(likelihood.machine, "set_threads", lambda threads: None)  # TensorFlow runs already
    arguments = ["wavenet", "--quick", "--case", case.name, "--folder", str(folder / "runs"), "--json", str(folder)]
    assert likelihood.main([*arguments, "--seconds", "0.1"]) == 0
    result = results.find("likelihood", f"{case.name}-quick", folder)
    assert result.settings["seconds"] == 0.1 and result.settings["threads"] == 2
    assert result.command.endswith("--quick --seconds 0.1")
    assert 5.0 < result.figures["bits_per_dim"] < 20.0 and result.figures["test_files"] == speech.QUICK_FILES
    assert (case.settings.condition != "none") == ("changed_condition" in result.figures)
    assert bool(case.target) == bool(result.targets)
    assert str(folder) not in str(result)
    assert result.data["note"].startswith(data.SPEECH[case.data])
    printed = capsys.readouterr().out
    assert f"{result.figures['bits_per_dim']:.2f}" in printed
    assert likelihood.main([*arguments, "--seconds", "0.1"]) == 0
    assert "updates" not in capsys.readouterr().out  # a finished run is only evaluated
