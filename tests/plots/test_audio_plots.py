"""Plots of signals: sizes, content and errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plots.pictures import assert_inside, assert_picture
from tfar import plots
from tfar.plots.audio import spectrogram

RATE = 8000
TIME = np.arange(RATE) / RATE


def tone(frequency: float) -> np.ndarray:
    return np.sin(2.0 * np.pi * frequency * TIME)


@pytest.mark.parametrize("signals", [[tone(440.0)], np.stack([tone(440.0), 0.1 * tone(880.0)]), {"low": tone(100.0)}])
def test_waveforms(tmp_path: Path, signals: Any) -> None:
    figure = plots.waveforms(signals, RATE, tmp_path / "new" / "waveforms.png", title="Tones")
    assert_picture(tmp_path / "new" / "waveforms.png")
    assert_inside(figure)
    assert len(figure.axes) == 2 * len(signals)


def test_the_waveform_is_the_signal_over_seconds() -> None:
    waves, spectrum = plots.waveforms({"tone": 0.5 * tone(440.0)}, RATE).axes
    seconds, values = waves.lines[0].get_data()
    np.testing.assert_allclose(values, 0.5 * tone(440.0))
    np.testing.assert_allclose(seconds, TIME)
    assert waves.get_ylim() == (-1.0, 1.0) and waves.get_xlim() == spectrum.get_xlim() == (0.0, 1.0)


def test_a_tone_is_a_line_of_the_spectrogram_at_its_frequency() -> None:
    figure = plots.waveforms({"rising": np.where(TIME < 0.5, tone(1000.0), tone(3000.0))}, RATE)
    image = figure.axes[1].images[0]
    left, right, bottom, top = image.get_extent()
    power = image.get_array()
    assert (left, right, bottom, top) == (0.0, 1.0, 0.0, 4.0) and image.origin == "lower"
    for second, kilohertz in ((0.25, 1.0), (0.75, 3.0)):
        column = power[:, int(second * power.shape[1])]
        assert np.argmax(column) / (len(column) - 1) * 4.0 == pytest.approx(kilohertz, abs=0.05)


def test_a_full_tone_has_a_quarter_of_the_power_of_a_constant() -> None:
    """A window of sum S gives a constant the power S^2, and a sine between two frequencies the half amplitude each."""
    assert spectrogram(np.ones(RATE), RATE)[0, 50] == pytest.approx(0.0, abs=1e-6)
    assert spectrogram(tone(1000.0), RATE)[:, 50].max() == pytest.approx(10.0 * np.log10(0.25), abs=1e-3)
    assert spectrogram(0.1 * tone(1000.0), RATE)[:, 50].max() == pytest.approx(10.0 * np.log10(0.0025), abs=1e-3)


def test_signals_share_one_range() -> None:
    loud, quiet = (plots.waveforms([tone(440.0), 0.01 * tone(440.0)], RATE).axes[i].images[0] for i in (1, 3))
    assert loud.get_clim() == quiet.get_clim()
    assert loud.get_array().max() - quiet.get_array().max() == pytest.approx(40.0, abs=1e-3)


@pytest.mark.parametrize("length", [1, 5, 300])
def test_short_signals(length: int) -> None:
    assert len(plots.waveforms(np.zeros([1, length]), RATE).axes) == 2


@pytest.mark.parametrize("signals", [np.zeros(5), np.zeros([2, 3, 1]), np.zeros([0, 5]), {}, {"a": np.zeros([2, 2])}])
def test_arrays_that_are_not_signals(signals: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected `signals` of shape \[N, T\].* received"):
        plots.waveforms(signals, RATE)


def test_numbers_that_cannot_be_plotted() -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        plots.waveforms([[np.nan, 0.0]], RATE)
    with pytest.raises(ValueError, match="`sample_rate` to be an integer"):
        plots.waveforms([[0.0]], 0)
