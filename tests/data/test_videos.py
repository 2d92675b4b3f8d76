"""Videos as data: the wandering digits, folders of frames, and arrays that are streamed."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tfar.data import from_files, load, wandering
from tfar.data.pictures import FrameReader
from tfar.data.readers import CHUNK_BYTES
from tfar.data.wandering import ROOM, Videos, drawn, moved, paths, shrunk

DIGITS = (np.arange(3 * 14 * 14).reshape(3, 14, 14) % 5 < 2).astype(np.uint8)


# ---- Wandering digits -----------------------------------------------------------------------------------------------


@pytest.fixture
def mnist(tmp_path):
    """A file in the form of MNIST, whose digits are random pixels."""
    words = {"x_train": np.random.PCG64(0).random_raw(10003 * 784), "x_test": np.random.PCG64(1).random_raw(4 * 784)}
    images = {name: (part % np.uint64(256)).astype(np.uint8).reshape(-1, 28, 28) for name, part in words.items()}
    np.savez(tmp_path / "mnist.npz", **images)
    return tmp_path


def test_the_videos_are_pinned(mnist):
    """Published results refer to these videos. Another rule needs another name."""
    sizes = {"num_train": 150, "num_valid": 2, "num_test": 3}
    splits = load("wandering_mnist", data_dir=mnist, **sizes)
    assert (splits.event_shape, splits.head, splits.head_config) == ((10, 32, 32), "Bernoulli", {})
    rows = {split: np.asarray(splits.arrays(split)) for split in ("train", "valid", "test")}
    assert [len(x) for x in rows.values()] == [150, 2, 3]
    assert all(set(np.unique(x)) == {0.0, 1.0} for x in rows.values())
    assert [digest(x) for x in rows.values()] == PINNED
    np.testing.assert_array_equal(np.concatenate(list(splits.train.as_numpy_iterator())), rows["train"])
    more = load("wandering_mnist", data_dir=mnist, **{**sizes, "num_train": 151})
    np.testing.assert_array_equal(np.asarray(more.arrays("train"))[:150], rows["train"])


def digest(x):
    return hashlib.sha256(np.packbits(x.astype(np.uint8)).tobytes()).hexdigest()[:16]


PINNED = ["f50555a097a72bc2", "430d3a3c879a6d19", "19306bd484508c0c"]


def test_a_digit_is_one_where_the_mean_of_four_pixels_is_half_of_the_maximum():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 2:4, 4:6] = [[255, 254], [0, 1]]
    image[0, 6:8, 4:6] = [[255, 254], [0, 0]]
    np.testing.assert_array_equal(np.argwhere(shrunk(image)), [[0, 1, 2]])


def test_each_frame_is_the_union_of_the_digits_at_their_positions():
    generator = np.random.PCG64(1)
    positions = paths(generator, 3, 2, 4).positions
    digits = DIGITS[np.array([[0, 1], [1, 2], [2, 2]])]
    found = drawn(digits, positions)
    for n, t in np.ndindex(3, 4):
        frame = np.zeros((32, 32), np.uint8)
        for k in range(2):
            row, column = positions[n, t, k]
            frame[row : row + 14, column : column + 14] |= digits[n, k]
        np.testing.assert_array_equal(found[n, t], frame)


def test_walls_reflect_the_digit_and_its_velocity():
    position, velocity = moved(np.array([1, ROOM - 1, 0, 5]), np.array([-2, 2, 0, 2]))
    np.testing.assert_array_equal(position, [1, ROOM - 1, 0, 7])
    np.testing.assert_array_equal(velocity, [2, -2, 0, 2])


def test_paths_follow_the_process():
    """Positions and velocities are uniform at first; a velocity, up to reflections, is kept in 3/4 + 1/4 of 1/25 of the steps."""
    positions, velocities = paths(np.random.PCG64(2), 20_000, 1, 3)
    assert positions.min() == 0 and positions.max() == ROOM
    counts = np.bincount(positions[:, 0].ravel(), minlength=ROOM + 1) / positions[:, 0].size
    np.testing.assert_allclose(counts, 1 / (ROOM + 1), atol=0.005)
    counts = np.bincount(velocities[:, 0].ravel() + 2, minlength=5) / velocities[:, 0].size
    np.testing.assert_allclose(counts, 1 / 5, atol=0.01)
    inside = ((positions[:, 0] >= 2) & (positions[:, 0] <= ROOM - 2)).all(axis=-1)
    is_kept = (velocities[:, 1] == velocities[:, 0]).all(axis=-1)[inside]
    assert is_kept.mean() == pytest.approx(0.75 + 0.25 / 25, abs=0.01)
    np.testing.assert_array_equal((positions[:, 1] - positions[:, 0])[inside], velocities[:, 1][inside])


def test_train_and_test_videos_have_different_digits(mnist, monkeypatch):
    seen = []
    monkeypatch.setattr(wandering, "Videos", lambda digits, *args: seen.append(digits) or Videos(digits, *args))
    load("wandering_mnist", data_dir=mnist, num_digits=1)
    images = np.load(mnist / "mnist.npz")
    expected = [images["x_train"][:3], images["x_train"][3:], images["x_test"]]
    for found, part in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(found, shrunk(part))


@pytest.mark.parametrize("name", ["num_digits", "num_frames", "num_train", "num_test"])
def test_a_bad_number_is_an_error(mnist, name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1; received 0"):
        load("wandering_mnist", data_dir=mnist, **{name: 0})


# ---- Files ----------------------------------------------------------------------------------------------------------


def write_frames(folder, count, first):
    folder.mkdir(parents=True)
    for t in range(count):
        picture = np.full((2, 3, 1), first + t, np.uint8)
        (folder / f"{t:03d}.png").write_bytes(tf.io.encode_png(picture).numpy())


@pytest.fixture
def folders(tmp_path):
    """Five videos of 3 to 5 frames; all pixels of frame t of video n are 10 n + t."""
    for n in range(5):
        write_frames(tmp_path / "videos" / f"video_{n}", 3 + n % 3, 10 * n)
    return tmp_path / "videos"


def test_each_folder_of_frames_is_a_video(folders):
    splits = from_files(folders, frames=3, valid_fraction=0.0, test_fraction=0.0, batch_size=2)
    assert (splits.event_shape, splits.head, splits.num_train) == ((3, 2, 3, 1), "Categorical", 5)
    found = np.concatenate(list(splits.train.as_numpy_iterator()))
    expected = 10 * np.arange(5)[:, None] + np.arange(3)
    np.testing.assert_array_equal(found, np.broadcast_to(expected[:, :, None, None, None], found.shape))
    np.testing.assert_array_equal(
        load(str(folders), frames=3, valid_fraction=0.0, test_fraction=0.0).arrays("train"), found
    )


def test_a_reader_of_frames_starts_at_any_video(folders):
    reader = FrameReader(sorted(folders.rglob("*.png")), 2)
    assert [int(video[0, 0, 0, 0, 0]) for video in reader.chunks(3)] == [30, 40]


def test_a_folder_of_too_few_frames_is_an_error(folders):
    with pytest.raises(ValueError, match="video_0: expected at least frames=4 pictures; received 3"):
        from_files(folders, frames=4)


def test_frames_are_for_pictures_without_labels(folders, tmp_path):
    with pytest.raises(ValueError, match="labels single pictures: expected frames=None; received 3"):
        from_files(folders, frames=3, condition="folder")
    np.save(tmp_path / "x.npy", np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"frames=3 is for videos in folders of \.png files; received .*x\.npy"):
        from_files(tmp_path / "x.npy", frames=3)


def test_videos_of_an_npz_file_are_streamed(tmp_path, monkeypatch):
    """A chunk of about a megabyte is in memory, and never the array."""
    videos = np.random.default_rng(0).integers(0, 2, (9, 8, 200, 200)).astype(np.uint8)
    np.savez_compressed(tmp_path / "videos.npz", train=videos[:6], test=videos[6:])
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", None)
    splits = from_files(tmp_path / "videos.npz", valid_fraction=0.0, batch_size=1)
    assert (splits.event_shape, splits.num_train, splits.num_test) == ((8, 200, 200), 6, 3)
    assert 4 * videos[0].size > CHUNK_BYTES
    for split, expected in (("train", videos[:6]), ("test", videos[6:])):
        for row, batch in zip(expected, getattr(splits, split).as_numpy_iterator(), strict=True):
            np.testing.assert_array_equal(batch[0], row)
