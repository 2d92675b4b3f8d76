"""Plots of receptive fields: the class of each pixel, the texts, and errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar
from tests.plots.pictures import assert_inside, assert_picture
from tfar import plots
from tfar.plots import fields, figures

DIST = tfar.PixelCNN([7, 7], filters=4, num_blocks=2, first_kernel_size=3)


def colors(figure: Any, panel: int = 0) -> np.ndarray:
    """Returns the classes that a panel shows, from its colours."""
    shown = figure.axes[panel].images[0].get_array()
    known = np.stack([figures.rgb(fields.COLORS[kind]) for kind in range(len(fields.COLORS))])
    distance = np.abs(shown[..., None, :] - known).sum(axis=-1)
    assert (distance.min(axis=-1) < 1e-6).all()
    return distance.argmin(axis=-1)


def num_seen(dist: Any) -> int:
    return int(dist.receptive_field(4, 2).sum())


def test_each_pixel_is_shown_as_what_it_is(tmp_path: Path) -> None:
    row, column = 4, 2
    figure = plots.receptive_field(DIST, row, column, path=tmp_path / "field.png")
    assert_picture(tmp_path / "field.png")
    shown, seen = colors(figure), DIST.receptive_field(row, column)
    for y, x in np.ndindex(7, 7):
        earlier = (y, x) < (row, column)
        expected = fields.SEEN if seen[y, x] else fields.UNSEEN if earlier else fields.LATER
        assert shown[y, x] == (fields.ITSELF if (y, x) == (row, column) else expected)
    # By hand, for three 3x3 layers: column 3 of the row above is inside, and the columns to its right are the blind spot.
    assert shown[3, 3:].tolist() == [fields.SEEN] + 3 * [fields.UNSEEN]


def test_a_map_and_its_distribution_give_one_picture() -> None:
    of_map = plots.receptive_field(DIST.receptive_field(4, 2), 4, 2)
    np.testing.assert_array_equal(colors(of_map), colors(plots.receptive_field(DIST, 4, 2)))


def test_the_gated_network_has_no_blind_spot() -> None:
    gated = tfar.GatedPixelCNN([7, 7], filters=4, num_blocks=5, first_kernel_size=3)
    plain = tfar.PixelCNN([7, 7], filters=4, num_blocks=5, first_kernel_size=3)
    figure = plots.receptive_field({"plain": plain, "gated": gated}, 4, 2)
    assert fields.UNSEEN in colors(figure, 0)
    assert fields.UNSEEN not in colors(figure, 1)
    texts = [text.get_text() for text in figure.texts]
    assert texts[:2] == [f"plain: {num_seen(plain)} of 30", "gated: 30 of 30"]


def test_channels_have_panels_and_an_order() -> None:
    dist = tfar.PixelCNN([3, 4, 3], filters=6, num_blocks=1, first_kernel_size=3)
    figure = plots.receptive_field(dist, 1, 2, 1)
    own = [colors(figure, panel)[1, 2] for panel in range(3)]
    assert own == [fields.SEEN, fields.ITSELF, fields.LATER]
    assert [t.get_text().split(":")[0] for t in figure.texts[:3]] == ["channel 0", "channel 1", "channel 2"]


def test_the_legend_names_what_is_there_and_no_more() -> None:
    everything = [text.get_text() for text in plots.receptive_field(DIST, 4, 2).texts[1:]]
    assert everything == list(fields.WORDS.values())
    first = [text.get_text() for text in plots.receptive_field(DIST, 0, 0).texts[1:]]
    assert first == [fields.WORDS[fields.LATER], fields.WORDS[fields.ITSELF]]


@pytest.mark.parametrize("shape", [(7, 7), (2, 30), (30, 2), (70, 70)])
@pytest.mark.parametrize("title", [None, "A title that is a good deal wider than one panel of the picture"])
def test_texts_are_not_cut_off_and_do_not_overlap(shape: tuple[int, int], title: str | None) -> None:
    seen = np.zeros(shape, bool)
    seen[0] = True
    figure = plots.receptive_field({"a network of a long name": seen, "another": seen}, 1, 1, title=title)
    assert_inside(figure)
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in figure.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("field", "place", "message"),
    [
        (np.ones([3, 3], bool), (1, 1), "row 1, column 1, channel 0 to hold only.*received 5 other values"),
        (np.zeros([3, 3], bool), (3, 0), "`row` to be an integer from 0 to 2; received 3"),
        (np.zeros([3, 3], bool), (0, -1), "`column` to be an integer from 0 to 2; received -1"),
        (np.zeros([3, 3], bool), (0, 0, 1), "`channel` to be an integer from 0 to 0; received 1"),
        (np.zeros([3, 3], bool), (1.5, 0), "`row` to be an integer from 0 to 2; received 1.5"),
        (np.zeros([3, 3], bool), ("1", 0), "`row` to be an integer from 0 to 2; received '1'"),
        (np.zeros([3, 3]), (1, 1), "a bool array of shape.*received ndarray, float64 of shape"),
        (np.zeros([9], bool), (1, 1), r"a bool array of shape.*of shape \(9,\)"),
        ({}, (0, 0), "at least one distribution or array; received an empty dict"),
        (DIST, (7, 0), "`row` below 7; received 7"),
    ],
)
def test_invalid_receptive_fields(field: Any, place: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.receptive_field(field, *place)


def test_classes_differ_in_lightness() -> None:
    """Luminances differ by at least 0.1, for readers who cannot distinguish the hues."""
    light = sorted(float(figures.rgb(color) ** 2.2 @ [0.2126, 0.7152, 0.0722]) for color in fields.COLORS.values())
    assert np.diff(light).min() > 0.1, light
