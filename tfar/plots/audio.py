"""Plots of signals: the waveform above the spectrogram."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar.plots import figures
from tfar.plots.figures import MARGIN

WIDTH, WAVE_HEIGHT, SPECTRUM_HEIGHT, LEFT, HEADING, GAP, AXIS = 6.0, 0.7, 1.3, 0.5, 0.26, 0.12, 0.42
# A Hann window of about this length, and the range of the spectrogram below its highest value.
WINDOW_SECONDS, RANGE_DECIBELS = 0.025, 80.0


def waveforms(
    signals: ArrayLike | Mapping[str, ArrayLike],
    sample_rate: int,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
) -> Any:
    """Plots the waveform and the spectrogram of signals, one signal below the other.

    The spectrogram is the squared magnitude of Fourier transforms of Hann windows of about 25 ms, in decibels, from the
    highest value of all signals (dark) to 80 decibels below it.

    Args:
        signals: array `[N, T]` of numbers, where -1 and 1 are the limits of the waveform, or a dict from headings to arrays
            `[T]`.
        sample_rate: int. Samples per second.
        path: path of the picture to save, or None.
        title: str or None.

    Returns:
        A matplotlib Figure, with two axes for each signal.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the signals have another shape or are not finite, or if an argument is invalid.

    Example:
        >>> tone = np.sin(np.arange(8000) / 8000 * 440 * 2 * np.pi)
        >>> len(waveforms([tone, 0.1 * tone], sample_rate=8000).axes)
        4
    """
    rate = figures.check_int("sample_rate", sample_rate, 1)
    named = _checked(signals)
    heading = HEADING if any(name for name, _ in named) else 0.0
    block = heading + WAVE_HEIGHT + GAP + SPECTRUM_HEIGHT + AXIS
    top = MARGIN + (HEADING if title else 0.0)
    figure = figures.new_figure(LEFT + WIDTH + 2 * MARGIN, top + len(named) * block + MARGIN, title)
    spectra = [spectrogram(signal, rate) for _, signal in named]
    highest = max(float(spectrum.max()) for spectrum in spectra)
    for (name, signal), spectrum in zip(named, spectra, strict=True):
        figures.write(figure, MARGIN + LEFT, top + heading - 0.08, name, va="bottom")
        _add_waveform(figure, top + heading, signal, rate)
        _add_spectrogram(figure, top + heading + WAVE_HEIGHT + GAP, spectrum, len(signal) / rate, rate, highest)
        top += block
    return figures.finished(figure, path)


def spectrogram(signal: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Returns the power of a signal in decibels, `[frequencies, times]`, from frequency 0 to half the sample rate.

    Example:
        >>> power = spectrogram(np.sin(np.arange(8000) * 2 * np.pi / 8), sample_rate=8000)
        >>> power.shape, int(power[:, 50].argmax())  # 1000 Hz is a quarter of 4000 Hz
        ((129, 126), 32)
    """
    size = 2 ** max(3, round(math.log2(sample_rate * WINDOW_SECONDS)))
    padded = np.pad(signal, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    power = np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1], axis=1)) ** 2 / (0.5 * size) ** 2
    return 10.0 * np.log10(np.maximum(power, 1e-12)).T


def _checked(signals: Any) -> list[tuple[str, NDArray[np.float64]]]:
    """Returns signals `[T]` with their headings, which are empty for an array."""
    pairs = list(signals.items()) if isinstance(signals, Mapping) else [("", signal) for signal in signals]
    named = [(str(name), np.asarray(signal, np.float64)) for name, signal in pairs]
    if not named or not all(signal.ndim == 1 and signal.size for _, signal in named):
        shapes = [signal.shape for _, signal in named]
        raise ValueError(f"Expected `signals` of shape [N, T], or a dict of signals [T]; received the shapes {shapes}.")
    if not all(np.isfinite(signal).all() for _, signal in named):
        raise ValueError("Expected `signals` of finite numbers; received others.")
    return named


def _add_axes(figure: Any, top: float, height: float) -> Any:
    """Adds axes of the width of a signal; `top` is in inches from the upper edge of the figure."""
    width, total = figure.get_size_inches()
    axes = figure.add_axes(((MARGIN + LEFT) / width, 1.0 - (top + height) / total, WIDTH / width, height / total))
    axes.tick_params(labelsize=7, length=2, colors=figures.TEXT)
    return axes


def _add_waveform(figure: Any, top: float, signal: NDArray[np.float64], rate: int) -> None:
    axes = _add_axes(figure, top, WAVE_HEIGHT)
    axes.plot(np.arange(len(signal)) / rate, signal, color=figures.INK, linewidth=0.4)
    axes.set_xlim(0.0, len(signal) / rate)
    axes.set_ylim(-1.0, 1.0)
    axes.set_xticks([])
    axes.set_yticks([-1, 0, 1])


def _add_spectrogram(
    figure: Any, top: float, power: NDArray[np.float64], seconds: float, rate: int, highest: float
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes = _add_axes(figure, top, SPECTRUM_HEIGHT)
    axes.imshow(
        power,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, rate / 2000.0),
        vmin=highest - RANGE_DECIBELS,
        vmax=highest,
        cmap=LinearSegmentedColormap.from_list("ink", [figures.PAPER, figures.INK]),
    )
    axes.set_xlabel("seconds", fontsize=7, color=figures.TEXT, labelpad=1)
    axes.set_ylabel("kHz", fontsize=7, color=figures.TEXT, labelpad=1)
