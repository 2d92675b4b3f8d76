"""The commands with videos: folders of frames, what is no video, and what is observed of one."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.cli import masks, models, rows, run_data, score
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
