"""Plots of videos: frames in a grid, and animated GIFs."""

import numpy as np
import PIL.Image
import pytest

from tests.plots.pictures import assert_picture
from tfar import plots
from tfar.plots import figures
from tfar.plots.videos import _painted

VIDEOS = np.random.default_rng(0).integers(0, 2, [3, 4, 8, 6])


@pytest.mark.parametrize("shape", [(3, 4, 8, 6), (1, 2, 5, 5, 1), (2, 3, 5, 7, 3)])
def test_video_grid(tmp_path, shape):
    plots.video_grid(np.random.default_rng(1).random(shape), tmp_path / "videos.png", title="Random")
    assert_picture(tmp_path / "videos.png")


def test_a_row_is_a_video_and_sampled_frames_are_red(monkeypatch):
    seen = []
    monkeypatch.setattr("tfar.plots.videos.image_grid", lambda images, *args, **how: seen.append((images, how)))
    plots.video_grid(VIDEOS, num_given=1)
    images, how = seen[0]
    assert how["columns"] == 4
    for number, image in enumerate(images):
        ink = figures.INK if number % 4 < 1 else figures.DRAWN
        expected = figures.paint(VIDEOS.reshape(-1, 8, 6, 1)[number].astype(float), ink)
        np.testing.assert_allclose(image, expected)


def test_an_animation_has_a_picture_for_each_frame(tmp_path):
    path = tmp_path / "new" / "videos.gif"
    plots.animation(VIDEOS, path, num_given=2, columns=2, frames_per_second=4)
    with PIL.Image.open(path) as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (4, 250, 0)
        for t in range(4):
            gif.seek(t)
            found = np.asarray(gif.convert("RGB")) / 255.0
            expected = figures.mosaic(_painted(VIDEOS, 2, None)[:, t], 2)[0]
            np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"videos": VIDEOS[0]}, r"Expected `videos` of shape \[N, T, H, W\]"),
        ({"path": "videos.png"}, r"Expected `path` to end with \.gif; received 'videos\.png'"),
        ({"frames_per_second": 0}, r"Expected `frames_per_second` in \(0, 50\]; received 0"),
        ({"num_given": 5}, "Expected `num_given` to be an integer from 0 to 4; received 5"),
        ({"columns": 0}, "Expected `columns` to be an integer of at least 1; received 0"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.animation(**{"videos": VIDEOS, "path": "videos.gif", **arguments})
