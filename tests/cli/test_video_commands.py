"""The commands with videos: folders of frames, what is no video, and what is observed of one."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import tfar
from tfar.cli import masks, models, outputs, rows, run_data, score
from tfar.cli.settings import Settings
from tfar.cli.trained_on import TrainedOn
from tfar.data import open_rows


@pytest.fixture
def folders(tmp_path):
    """Thirty videos of three frames of 2 x 3 pixels; all pixels of frame t of video n are 8 n + t."""
    for n in range(30):
        folder = tmp_path / "videos" / f"video_{n:02d}"
        folder.mkdir(parents=True)
        for t in range(3):
            picture = np.full((2, 3, 1), 8 * n + t, np.uint8)
            (folder / f"{t}.png").write_bytes(tf.io.encode_png(picture).numpy())
    return str(tmp_path / "videos")


EXPECTED = np.broadcast_to((8 * np.arange(30)[:, None] + np.arange(2))[:, :, None, None, None], (30, 2, 2, 3, 1))


def test_folders_of_frames_are_videos_in_training_and_in_the_commands_after_it(folders):
    """Training is told the number of frames; other commands know it from the shape of the events of the model."""
    settings = Settings(model="video_pixel_network", data=folders, frames=2)
    assert Settings.from_json(settings.as_json()) == settings
    splits, trained = run_data.load(settings)
    assert splits.event_shape == (2, 2, 3, 1)
    found = rows.read_rows(folders, splits.event_shape, "all", None, 2, trained)
    np.testing.assert_array_equal(np.sort(np.concatenate([b.value for b in found.batches]), axis=0), EXPECTED)
    opened, _ = score._opened(folders, {"event_shape": [2, 2, 3, 1]}, TrainedOn(), rows.Reading(), 2)
    np.testing.assert_array_equal(np.concatenate(list(opened.batches())), EXPECTED)
    assert opened.identity != open_rows(folders, batch_size=2, frames=3).identity


def test_a_number_of_frames_is_for_folders_of_frames():
    with pytest.raises(ValueError, match="expected --frames of at least 1; received 0"):
        Settings(model="video_pixel_network", frames=0)
    with pytest.raises(ValueError, match="--frames: expected files as --data; received the data set digits"):
        run_data.load(Settings(model="video_pixel_network", data="digits", frames=2))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (32, 32, 3)])
def test_images_are_no_videos(shape):
    """Their height is not time, although the model could be made."""
    with pytest.raises(
        ValueError, match=r"takes videos .* received images of shape \(.*\)\. Folders .* with --frames T"
    ):
        models.make("video_pixel_network", shape, tfar.heads.Bernoulli(), 0, models.OPTIONS, {})


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 3)])
def test_a_video_has_no_upper_half(shape):
    """The first axis of a video is time."""
    with pytest.raises(ValueError, match=r"--observed top is half of an image, .* videos .*: pass a \.npy file"):
        masks.observed_mask("top", shape)
    assert masks.observed_mask("top", (4, 4, 3)).sum() == 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file of a model of videos of four frames of 3 x 5 bits."""
    path = tmp_path_factory.mktemp("model") / "videos.keras"
    sizes = {"filters": 2, "num_encoder_blocks": 0, "num_decoder_blocks": 1, "lstm_filters": 2, "first_kernel_size": 3}
    tfar.training.DensityModel(tfar.VideoPixelNetwork([4, 3, 5], **sizes)).save(path)
    return path


def frames(path):
    """The frames of an animated GIF, `[T, height, width, 3]`."""
    with PIL.Image.open(path) as file:
        shown = [file.seek(t) or np.asarray(file.convert("RGB")) for t in range(file.n_frames)]
    return np.stack(shown).astype(int)


def test_samples_of_videos_are_an_animation(model, invoke, tmp_path):
    for suffix in (".npy", ".gif"):
        invoke("sample", model, "--num-samples", 2, "--seed", 1, "--out", tmp_path / f"samples{suffix}")
    samples, shown = np.load(tmp_path / "samples.npy"), tmp_path / "samples.gif"
    tfar.plots.animation(samples, tmp_path / "expected.gif", limits=(0, 1))
    np.testing.assert_array_equal(frames(shown), frames(tmp_path / "expected.gif"))
    assert len(frames(shown)) == 4


def test_completions_of_a_video_are_side_by_side_and_red_after_the_given_frames(model, invoke, tmp_path):
    videos = np.random.default_rng(0).integers(0, 2, (3, 4, 3, 5))
    np.save(tmp_path / "videos.npy", videos)
    np.save(tmp_path / "given.npy", np.broadcast_to(np.arange(4)[:, None, None] < 2, (4, 3, 5)))
    how = ("--data", tmp_path / "videos.npy", "--observed", tmp_path / "given.npy", "--num-samples", 2)
    for suffix in (".npy", ".gif"):
        invoke("complete", model, *how, "--out", tmp_path / f"completed{suffix}")
    shown = frames(tmp_path / "completed.gif")
    drawn = np.load(tmp_path / "completed.npy").swapaxes(0, 1).reshape(6, 4, 3, 5)  # two draws of each video
    tfar.plots.animation(drawn, tmp_path / "expected.gif", num_given=2, columns=2, limits=(0, 1))
    np.testing.assert_array_equal(shown, frames(tmp_path / "expected.gif"))
    is_coloured = (np.ptp(shown, axis=-1) > 100).any(axis=(1, 2))
    assert is_coloured.tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("a.gif", (8, 8), r"needs events of shape \(T, H, W\) or \(T, H, W, C\); the events .* have \(8, 8\)"),
        ("a.gif", (8, 8, 3), r"needs events of shape \(T, H, W\)"),
        ("a.gif", (8, 8, 4), r"needs events of shape \(T, H, W\)"),
        ("a.gif", (8, 8), r"a \.png file shows them$"),
        ("a.png", (5, 8, 8), r"a \.gif file shows them$"),
        ("a.png", (5,), r"the events of the model have \(5,\)$"),
    ],
)
def test_a_picture_that_cannot_show_the_events_is_refused(name, shape, message):
    with pytest.raises(ValueError, match=message):
        outputs.check_out(Path(name), (".png", ".gif"), shape)
