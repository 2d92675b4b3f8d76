"""Plots of images: sizes, content, errors, and matplotlib's global state."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plots.pictures import assert_inside, assert_picture, pixels
from tfar import plots
from tfar.plots import figures

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, [6, 8, 8])


@pytest.mark.parametrize("shape", [(6, 8, 8), (1, 28, 28, 1), (5, 12, 9, 3)])
def test_image_grid(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "new" / "grid.png"
    plots.image_grid(RNG.random(shape), path, title="Random")
    assert_picture(path)


def test_groups_stand_side_by_side(tmp_path: Path) -> None:
    one = plots.image_grid(BITS, tmp_path / "one.png").get_size_inches()
    two = plots.image_grid({"left": BITS, "right": BITS}, tmp_path / "two.png").get_size_inches()
    assert two[0] == pytest.approx(2 * one[0])
    assert_picture(tmp_path / "two.png")


def test_ink_is_where_the_image_is_one(tmp_path: Path) -> None:
    image = np.zeros([1, 4, 4])
    image[0, 0, 0] = 1.0
    picture, _, _ = figures.mosaic(figures.paint(figures.levels(figures.check_images("images", image), None)), 1)
    np.testing.assert_allclose(picture[0, 0], figures.rgb(figures.INK))
    np.testing.assert_allclose(picture[-1, -1], figures.rgb(figures.PAPER))


@pytest.mark.parametrize("num_samples", [None, 3])
def test_completions(tmp_path: Path, num_samples: int | None) -> None:
    observed = np.zeros([8, 8], bool)
    observed[:4] = True
    completed = np.where(observed, BITS, 1)
    completed = completed if num_samples is None else np.stack([completed] * num_samples)
    plots.completions(BITS, observed, completed, tmp_path / "completions.png", title="Halves")
    assert_picture(tmp_path / "completions.png")
    colors = np.rint(pixels(tmp_path / "completions.png")[..., :3] * 255)
    for color in (figures.INK, figures.DRAWN, figures.UNKNOWN):
        assert (colors == np.rint(figures.rgb(color) * 255)).all(axis=-1).any()


@pytest.mark.parametrize(("shape", "sites"), [((4, 8, 8), 64), ((4, 5, 8, 3), 120), ((2, 5, 8, 3), 40)])
def test_surprise_map(tmp_path: Path, shape: tuple[int, ...], sites: int) -> None:
    plots.surprise_map(RNG.random(shape), -RNG.gamma(1.0, size=[shape[0], sites]), tmp_path / "map.png", title="Map")
    assert_picture(tmp_path / "map.png")


@pytest.mark.parametrize("images", [np.zeros([8, 8]), np.zeros([2, 8, 8, 2]), np.zeros([0, 8, 8])])
def test_arrays_that_are_not_images(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected `images` of shape .* received \("):
        plots.image_grid(images)


def test_scales(tmp_path: Path) -> None:
    """A row for each size; a pixel of a smaller picture covers a block, and is the upper left one of the block."""
    images = np.zeros([2, 8, 8])
    images[:, 4, 0] = 1.0
    images[:, 1, 1] = 1.0  # in no smaller picture
    figure = plots.scales(images, 2, tmp_path / "scales.png", title="Growing")
    assert_picture(tmp_path / "scales.png")
    assert [text.get_text() for text in figure.texts] == ["Growing", "2 x 2", "4 x 4", "8 x 8"]
    picture = np.rint(figure.axes[0].images[0].get_array() * 255)
    ink = (picture == np.rint(figures.rgb(figures.INK) * 255)).all(axis=-1)
    tile = (ink.shape[0] - 2 * 64 - 64) // 2 + 64
    counts = [ink[k * tile : k * tile + 64, :64].sum() for k in range(3)]
    assert counts == [64 * 16, 64 * 4, 64 * 2]


def test_scales_of_images_that_do_not_halve() -> None:
    with pytest.raises(ValueError, match=r"multiples of 2\*\*num_scales = 4; received 6 x 8"):
        plots.scales(np.zeros([2, 6, 8]), 2)


def test_samples_over_training(tmp_path: Path) -> None:
    blank, full = np.zeros([5, 8, 8]), np.ones([5, 8, 8])
    rows = {0: blank, 20: full, "real digits, of the test set": BITS[:5]}
    figure = plots.samples_over_training(rows, tmp_path / "growing.png", title="Growing")
    assert_picture(tmp_path / "growing.png")
    assert [text.get_text() for text in figure.texts] == [
        "Growing",
        "epoch 0",
        "epoch 20",
        "real digits, of the test set",
    ]
    picture = np.rint(figure.axes[0].images[0].get_array() * 255)
    step = (picture.shape[0] - 64) // 2  # from one row of tiles to the next
    for top, color in ((0, figures.PAPER), (step, figures.INK)):
        assert (picture[top : top + 64, :64] == np.rint(figures.rgb(color) * 255)).all()


def test_rows_of_samples_share_their_shades() -> None:
    dim = np.full([1, 8, 8], 1.0)
    pictures = [
        plots.samples_over_training({1: dim, 2: np.full([1, 8, 8], top)}).axes[0].images[0].get_array()[:64]
        for top in (1.0, 4.0)
    ]
    np.testing.assert_allclose(pictures[0], np.broadcast_to(figures.rgb(figures.INK), [64, 64, 3]))
    faint = 0.75 * figures.rgb(figures.PAPER) + 0.25 * figures.rgb(figures.INK)
    np.testing.assert_allclose(pictures[1], np.broadcast_to(faint, [64, 64, 3]))


@pytest.mark.parametrize("rows", [{}, {1: BITS, 2: BITS[:4]}, {1: BITS, 2: BITS[..., None].repeat(3, -1)}])
def test_rows_of_samples_of_other_shapes_are_refused(rows: dict[Any, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"Expected `samples` with at least one row and rows of the same shape; received \{"
    ):
        plots.samples_over_training(rows)


@pytest.mark.parametrize("title", [None, "A title that is a good deal wider than the one image below"])
def test_labels_and_titles_are_not_cut_off(title: str | None) -> None:
    label = "after so many epochs that the label is long"
    assert_inside(plots.samples_over_training({label: BITS[:1], 100: BITS[:1]}, title=title))
    assert_inside(plots.completions(BITS[:1], True, BITS[:1], title=title))
    assert_inside(plots.image_grid(BITS[:1], title=title))
    assert_inside(plots.surprise_map(BITS[:1], np.zeros([1, 64]), title=title))


def test_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=r"\[6, 64\] for 6 images of 8 x 8.*received \(6, 63\)"):
        plots.surprise_map(BITS, np.zeros([6, 63]))
    with pytest.raises(ValueError, match=r"Expected `completed` of shape \(6, 8, 8\).*received \(5, 8, 8\)"):
        plots.completions(BITS, True, BITS[:5])


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    plots.image_grid(BITS, tmp_path / "grid.png")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "tfar\[plots\]"'):
        plots.image_grid(BITS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_grid(BITS, columns=-1), "`columns` to be an integer of at least 1; received -1"),
        (lambda: plots.image_grid(BITS, columns=2.5), "`columns` to be an integer of at least 1; received 2.5"),
        (lambda: plots.surprise_map(BITS, np.zeros([6, 64]), columns=0), "`columns` .*received 0"),
        (lambda: plots.image_grid({}), "at least one group of images"),
        (lambda: plots.image_grid(BITS, limits=3), "`limits` to be two numbers, the lower one first; received 3"),
        (lambda: plots.image_grid(BITS, limits=(1, 0)), r"`limits` to be two numbers.*received \(1, 0\)"),
        (lambda: plots.samples_over_training(BITS), "`samples` to be a dict from epochs to images; received ndarray"),
        (
            lambda: plots.completions(BITS, np.zeros([3, 3], bool), BITS),
            r"`observed` to broadcast to shape \(6, 8, 8\)",
        ),
    ],
)
def test_invalid_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
