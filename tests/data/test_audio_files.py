"""Audio files: chunks and their context, splits by file, formats, and errors that name the file."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tfar
from tfar.data import from_audio, mu_law, signal_of, write_audio
from tfar.data.audio import split_files

WHOLE: dict[str, Any] = {"valid_fraction": 0.0, "test_fraction": 0.0}
RATE = 8000


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Samples of 16 bits."""
    return np.random.default_rng(seed).integers(-(2**15), 2**15, count).astype(np.int16)


def save(path: Path, samples: np.ndarray, rate: int = RATE, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of recordings of 1 to 23 samples; the first sample of a recording is its number."""
    folder = tmp_path_factory.mktemp("speakers")
    for number, count in enumerate([1, 5, 6, 7, 8, 9, 10, 22, 23]):
        samples = noise(count, number)
        samples[0] = number
        save(folder / ["ann", "bob"][number % 2] / f"{number}.wav", samples)
    return folder


def samples_of(folder: Path, number: int) -> np.ndarray:
    return soundfile.read(next(folder.rglob(f"{number}.wav")), dtype="int16")[0]


# Chunks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "warm_up"), [(4, 0), (4, 2), (2, 5), (50, 3)])
def test_every_sample_is_scored_once_and_after_its_context(speakers: Path, length: int, warm_up: int) -> None:
    audio = from_audio(speakers, levels=None, **WHOLE)
    chunks = audio.chunks("train", length=length, warm_up=warm_up, batch_size=1, shuffle=False)
    scored: dict[int, list[int]] = {}
    for row, batch in enumerate(chunks[i] for i in range(len(chunks))):
        value, observed, weight = (batch[name][0, :, 0] for name in ("value", "observed", "site_weight"))
        number, chunk = chunks.recording_of(row)
        whole = soundfile.read(audio.recordings["train"][number].path, dtype="int16")[0]
        count, start = int(observed.sum()), chunk * length
        assert len(value) == warm_up + length and observed[:count].all(), "what is observed comes first"
        np.testing.assert_array_equal(value[:count], whole[start : start + count])
        places = start + np.flatnonzero(weight)
        assert len(places) and set(weight) <= {0.0, 1.0}
        assert min(places) == (0 if chunk == 0 else start + warm_up), "only a beginning has no context"
        scored.setdefault(number, []).extend(places)
    lengths = [recording.num_samples for recording in audio.recordings["train"]]
    assert scored == {number: list(range(count)) for number, count in enumerate(lengths)}
    assert chunks.num_samples == sum(lengths)


@pytest.mark.parametrize("levels", [8, None])
def test_chunks_add_up_to_the_log_prob_of_the_recording(tmp_path: Path, levels: int | None) -> None:
    samples = noise(61)
    audio = from_audio(save(tmp_path / "one.wav", samples), levels=levels, **WHOLE)
    dist = tfar.WaveNet(
        audio.event_shape, 4, skip_filters=4, num_layers=2, num_stacks=1, head=audio.make_head(), jit_compile=False
    )
    values = samples[:, None].astype(np.float32) if levels is None else mu_law(samples / 32768.0, levels)
    expected = float(dist.log_prob(values))

    def total(warm_up: int) -> float:
        chunks = audio.chunks("train", length=9, warm_up=warm_up)
        return -sum(float(np.sum(dist.evaluate(**batch)["nll"])) for batch in (chunks[i] for i in range(len(chunks))))

    assert total(dist.receptive_field) == pytest.approx(expected, rel=1e-5)
    assert abs(total(0) - expected) > 1e-3, "beginnings in the middle of the recording have other probabilities"


def test_bits_per_dim_counts_the_scored_samples(tmp_path: Path) -> None:
    audio = from_audio(save(tmp_path / "one.wav", noise(30)), levels=4, **WHOLE)
    dist = tfar.WaveNet(
        [None], 2, skip_filters=2, num_layers=1, num_stacks=1, head=audio.make_head(), jit_compile=False
    )
    model = tfar.training.DensityModel(dist)
    model.compile(jit_compile=False)
    chunks = audio.chunks("train", length=5, warm_up=5, shuffle=False, batch_size=2)
    nll = np.concatenate([dist.evaluate(**chunks[i])["nll"] for i in range(len(chunks))])
    assert chunks.num_rows == 5
    result = model.evaluate(chunks, verbose=0, return_dict=True)
    assert result["nll"] == pytest.approx(nll.mean(), rel=1e-5)
    assert result["bits_per_dim"] == pytest.approx(np.mean(nll / [10, 5, 5, 5, 5]) / np.log(2), rel=1e-5)


def test_labels_are_the_folders_of_the_chunks(speakers: Path) -> None:
    audio = from_audio(speakers, levels=None, condition="folder", **WHOLE)
    assert audio.labels.classes == ("ann", "bob")
    chunks = audio.chunks("train", length=4, warm_up=2, batch_size=3, seed=1)
    for batch in (chunks[i] for i in range(len(chunks))):
        for value, weight, label in zip(batch["value"], batch["site_weight"], batch["conditional_input"], strict=True):
            if weight[0]:  # A beginning, whose first sample is the number of the recording.
                assert label.tolist() == [float(value[0, 0] % 2 == 0), float(value[0, 0] % 2 == 1)]
    swapped = from_audio(speakers, condition="folder", classes=["bob", "ann"], **WHOLE)
    assert (swapped.labels.splits["train"] == 1 - audio.labels.splits["train"]).all()


def test_shuffling_is_a_function_of_seed_and_epoch(speakers: Path) -> None:
    audio = from_audio(speakers, levels=None, **WHOLE)

    def values(epoch: int, seed: int = 0, shuffle: bool | None = None) -> np.ndarray:
        chunks = audio.chunks("train", length=4, seed=seed, shuffle=shuffle)
        chunks.epoch = epoch
        found = np.concatenate([batch["value"] for batch in chunks.dataset().as_numpy_iterator()])
        return found.reshape([len(found), -1])

    first = values(0)
    np.testing.assert_array_equal(values(0), first)
    assert (values(1) != first).any() and (values(0, seed=1) != first).any()
    np.testing.assert_array_equal(values(1, shuffle=False), values(0, shuffle=False))
    for other in (values(1), values(0, shuffle=False)):
        assert sorted(map(tuple, other)) == sorted(map(tuple, first))


def test_files_are_opened_when_they_are_needed(speakers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = soundfile.read, []
    monkeypatch.setattr(soundfile, "read", lambda path, **options: calls.append(options) or read(path, **options))
    chunks = from_audio(speakers, **WHOLE).chunks("train", length=4, warm_up=2, batch_size=2)
    assert not calls
    _ = chunks[0]
    assert len(calls) == 2 and all(call["stop"] - call["start"] <= 6 for call in calls)


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "b.WAV"])
def test_sixteen_bits_come_back_exactly(tmp_path: Path, name: str) -> None:
    samples = np.concatenate([noise(50), np.array([-(2**15), 2**15 - 1], np.int16)])
    audio = from_audio(save(tmp_path / name, samples).parent, levels=None, **WHOLE)
    values = audio.chunks("train", length=52)[0]["value"]
    np.testing.assert_array_equal(values[0, :, 0], samples)
    write_audio(tmp_path / "again" / "c.wav", signal_of(values[0], None), RATE)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "again" / "c.wav", dtype="int16")[0], samples)


def test_levels_are_those_of_mu_law(tmp_path: Path) -> None:
    samples = noise(40)
    values = from_audio(save(tmp_path / "a.wav", samples), levels=16, **WHOLE).chunks("train", length=40)[0]["value"]
    np.testing.assert_array_equal(values[0], mu_law(samples / 32768.0, 16))


def test_lossy_codecs_may_overshoot_and_floats_may_not(tmp_path: Path) -> None:
    square = np.sign(np.sin(np.arange(4000) * 0.05 + 0.01))
    save(tmp_path / "square.ogg", square)
    assert np.abs(soundfile.read(tmp_path / "square.ogg")[0]).max() > 1.0
    values = from_audio(tmp_path / "square.ogg", **WHOLE).chunks("train", length=4000)[0]["value"]
    assert values.min() == 0.0 and values.max() == 255.0
    loud = from_audio(save(tmp_path / "loud.wav", 1.5 * square, subtype="FLOAT"), **WHOLE)
    with pytest.raises(ValueError, match=r"loud\.wav: expected samples within -1 \.\. 1; received 1\.5\. Scale"):
        loud.chunks("train", length=10)[0]


def test_channels(tmp_path: Path) -> None:
    pair = np.stack([noise(20, 0), noise(20, 1)], axis=1)
    path = save(tmp_path / "stereo.wav", pair)
    with pytest.raises(ValueError, match=r"stereo\.wav: expected one channel; received 2\. Choose .*channel=0"):
        from_audio(path, **WHOLE)
    with pytest.raises(ValueError, match=r"stereo\.wav: expected channel 2, counted from 0; received a file of 2"):
        from_audio(path, channel=2, **WHOLE)
    with pytest.raises(ValueError, match="channel must be an integer"):
        from_audio(path, channel="left", **WHOLE)
    for channel, expected in ((0, pair[:, 0]), (1, pair[:, 1]), ("mean", np.rint(pair.mean(axis=1)))):
        values = from_audio(path, channel=channel, levels=None, **WHOLE).chunks("train", length=20)[0]["value"]
        np.testing.assert_array_equal(values[0, :, 0], expected)


def test_mixed_sample_rates_are_listed(tmp_path: Path) -> None:
    for number, rate in enumerate([8000, 16000, 8000]):
        save(tmp_path / f"{number}.wav", noise(10), rate)
    message = r"received 8000 Hz \(2 files\), 16000 Hz \(1 files\)\. Resample .* soxr or librosa"
    with pytest.raises(ValueError, match=message):
        from_audio(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    save(tmp_path / "good.wav", noise(10))
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match=r"text\.wav: expected an audio file that soundfile can read"):
        from_audio(tmp_path, **WHOLE)
    save(tmp_path / "text.wav", noise(0))
    with pytest.raises(ValueError, match=r"text\.wav: expected samples; received an empty file"):
        from_audio(tmp_path, **WHOLE)
    with pytest.raises(FileNotFoundError, match=r"expected audio files, or a folder of files that end with \.wav"):
        from_audio(tmp_path / "none")


def test_a_file_that_is_cut_after_it_was_opened_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.wav", noise(1000))
    audio = from_audio(path, **WHOLE)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cut\.wav: expected 1000 samples, as its header says; received 2\d\d\."):
        audio.chunks("train", length=1000)[0]


def test_fit_raises_the_error_that_names_the_file(tmp_path: Path) -> None:
    """Of a batch that Keras reads in a pipeline: it reads the first few itself."""
    path = save(tmp_path / "cut.wav", noise(5000))
    audio = from_audio(path, levels=4, **WHOLE)
    path.write_bytes(path.read_bytes()[:3000])
    dist = tfar.WaveNet(
        [None], 2, skip_filters=2, num_layers=1, num_stacks=1, head=audio.make_head(), jit_compile=False
    )
    model = tfar.training.DensityModel(dist)
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match=r"^\S*cut\.wav: expected 5000 samples"):
        model.fit(audio.chunks("train", length=100, batch_size=1, shuffle=False), verbose=0)


def test_soundfile_is_asked_for(monkeypatch: pytest.MonkeyPatch, speakers: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for call in (lambda: from_audio(speakers), lambda: write_audio(tmp_path / "a.wav", [0.0], RATE)):
        with pytest.raises(ImportError, match=re.escape('pip install "tfar[audio]"')):
            call()


# Splits --------------------------------------------------------------------------------------------------------------


def test_splits_have_whole_files(speakers: Path) -> None:
    audio = from_audio(speakers, condition="folder", valid_fraction=0.2, test_fraction=0.3)
    names = {split: [r.path.stem for r in group] for split, group in audio.recordings.items()}
    assert {split: len(found) for split, found in names.items()} == {"train": 4, "valid": 2, "test": 3}
    assert sorted(name for found in names.values() for name in found) == [str(number) for number in range(9)]
    assert {k: [int(n) % 2 for n in v] for k, v in names.items()} == {
        k: v.tolist() for k, v in audio.labels.splits.items()
    }
    again = from_audio(str(speakers), valid_fraction=0.2, test_fraction=0.3)
    assert names == {split: [r.path.stem for r in group] for split, group in again.recordings.items()}
    other = from_audio(speakers, seed=1, valid_fraction=0.2, test_fraction=0.3)
    assert names != {split: [r.path.stem for r in group] for split, group in other.recordings.items()}


def test_small_splits_are_never_empty() -> None:
    assert {k: len(v) for k, v in split_files(3, 0, 0.1, 0.1).items()} == {"train": 1, "valid": 1, "test": 1}
    assert {k: len(v) for k, v in split_files(100, 0, 0.1, 0.25).items()} == {"train": 65, "valid": 10, "test": 25}
    assert set(split_files(1, 0, 0.0, 0.0)) == {"train"}
    with pytest.raises(ValueError, match=r"expected more files than the 2 of validation and test.* received 2"):
        split_files(2, 0, 0.1, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": "name"}, "expected 'folder' as the condition of audio files"),
        ({"levels": 1}, "levels must be an integer of at least 2"),
        ({"seed": -1}, "seed must be"),
        ({"valid_fraction": 1.0}, "valid_fraction must be"),
        ({"condition": "folder", "classes": ["ann"]}, "expected files in the folders ann; received bob"),
    ],
)
def test_options_that_do_not_fit(speakers: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_audio(speakers, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "expected a split, one of train, valid, test; received 'dev'"),
        ({"length": 0}, "length must be an integer of at least 1"),
        ({"warm_up": -1}, "warm_up must be an integer of at least 0"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": 0.5}, "seed must be"),
    ],
)
def test_chunks_that_do_not_fit(speakers: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_audio(speakers).chunks(**{"split": "train", "length": 4, **options})


@pytest.mark.parametrize("signal", [np.zeros([2, 3]), np.array([0.0, 1.5]), np.array([np.nan])])
def test_a_signal_that_is_none_is_not_written(tmp_path: Path, signal: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected a signal \[T\] within -1"):
        write_audio(tmp_path / "a.wav", signal, RATE)
    with pytest.raises(ValueError, match=r"a\.mid: expected a format that soundfile writes"):
        write_audio(tmp_path / "a.mid", [0.0], RATE)
    assert not list(tmp_path.iterdir())
