"""Audio files: found, opened by their headers, read in parts, and written."""

import collections
import dataclasses
import glob
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar import files
from tfar.data.checks import check_count, check_path
from tfar.data.mu_law import inverse_mu_law, mu_law
from tfar.optional import require

# The common ones among the formats of libsndfile.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64")
# Samples of 16 bits are whole numbers from -PEAK to PEAK - 1.
PEAK = 32768
MEAN = "mean"
# The encodings of libsndfile that store numbers beyond -1 .. 1 as they are.
_FLOATS = ("FLOAT", "DOUBLE")
Channel = int | str | None


@dataclasses.dataclass(frozen=True)
class Recording:
    """An audio file that is read in parts.

    Args:
        path: the file.
        sample_rate: int. Samples per second.
        num_samples: int of at least 1.
        channel: int, "mean" or None. The channel that is read; None for the only one.
        is_clipped: bool. Whether samples beyond -1 .. 1 are clipped, as those of lossy codecs, which overshoot a little.
    """

    path: pathlib.Path
    sample_rate: int
    num_samples: int
    channel: Channel = None
    is_clipped: bool = False

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Returns the samples from `start` to before `stop`, float64 `[stop - start]` in -1 .. 1.

        Raises:
            ValueError: If the file ends before, cannot be decoded, or has numbers outside -1 .. 1; the message names it.
        """
        samples = _decoded(self.path, "read", start=start, stop=stop, always_2d=True)[0]
        if len(samples) != stop - start:
            raise ValueError(
                f"{self.path}: expected {self.num_samples} samples, as its header says; received {start + len(samples)}. "
                "The file is truncated"
            )
        samples = samples.mean(axis=1) if self.channel == MEAN else samples[:, self.channel or 0]
        highest = np.abs(samples).max(initial=0.0)
        if not highest <= 1.0 and not self.is_clipped:
            raise ValueError(f"{self.path}: expected samples within -1 .. 1; received {highest:g}. Scale the file")
        return np.clip(samples, -1.0, 1.0)


def find_audio(path_or_pattern: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Returns the audio files of a folder and its subfolders, or of a path or pattern, sorted by path.

    Raises:
        FileNotFoundError: If there are none.
    """
    text = os.path.expanduser(check_path("path_or_pattern", path_or_pattern))
    if os.path.isdir(text):
        found = sorted(path for path in pathlib.Path(text).rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    else:
        found = [pathlib.Path(text)] if os.path.isfile(text) else sorted(map(pathlib.Path, glob.glob(text)))
    found = [path for path in found if path.is_file()]
    if not found:
        raise FileNotFoundError(
            f"{text}: expected audio files, or a folder of files that end with {', '.join(AUDIO_SUFFIXES)}; found none"
        )
    return found


def is_audio(name: str) -> bool:
    """Whether a name is that of an audio file, of a pattern of them, or of a folder with some, by their suffixes."""
    path = pathlib.Path(name).expanduser()
    if path.is_dir():
        return any(found.suffix.lower() in AUDIO_SUFFIXES for found in path.rglob("*"))
    return path.suffix.lower() in AUDIO_SUFFIXES


def open_recordings(paths: Sequence[pathlib.Path], channel: Channel = None) -> list[Recording]:
    """Reads the headers of audio files of one sample rate.

    Args:
        paths: the files.
        channel: None for files of one channel; else the number of the channel to read, from 0, or "mean" of all channels.

    Raises:
        ValueError: If a file is broken or empty, sample rates differ, or a file does not have the channel.
        ImportError: If soundfile is not installed.
    """
    if channel is not None and channel != MEAN:
        channel = check_count("channel", channel, minimum=0)
    recordings = [_opened(path, channel) for path in paths]
    rates = collections.Counter(recording.sample_rate for recording in recordings)
    if len(rates) > 1:
        shown = ", ".join(f"{rate} Hz ({count} files)" for rate, count in sorted(rates.items()))
        raise ValueError(
            f"expected files of one sample rate; received {shown}. Resample the files to one rate first, with a library such as "
            "soxr or librosa"
        )
    return recordings


def _opened(path: pathlib.Path, channel: Channel) -> Recording:
    info = _decoded(path, "info")
    if not info.frames:
        raise ValueError(f"{path}: expected samples; received an empty file")
    if channel is None and info.channels != 1:
        raise ValueError(
            f"{path}: expected one channel; received {info.channels}. Choose one of them by channel=0 (--channel 0), or their "
            "mean by channel='mean' (--channel mean)"
        )
    if isinstance(channel, int) and channel >= info.channels:
        raise ValueError(f"{path}: expected channel {channel}, counted from 0; received a file of {info.channels}")
    return Recording(path, info.samplerate, info.frames, channel, is_clipped=info.subtype not in _FLOATS)


def _decoded(path: pathlib.Path, function: str, **options: Any) -> Any:
    """Calls a function of soundfile; ValueError that names the file if it cannot be decoded."""
    soundfile = require("soundfile", "audio")
    try:
        return getattr(soundfile, function)(path, **options)
    except soundfile.SoundFileError as error:
        raise ValueError(f"{path}: expected an audio file that soundfile can read; {error}") from error


def values_of(signal: NDArray[np.float64], levels: int | None) -> NDArray[np.float32]:
    """Returns a signal in -1 .. 1 as the values of a model: mu-law levels `[T]`, or for None samples of 16 bits `[T, 1]`.

    Example:
        >>> values_of(np.array([-1.0, 0.0, 1.0]), None)[:, 0].tolist()
        [-32768.0, 0.0, 32767.0]
    """
    if levels is not None:
        return mu_law(signal, levels)
    return np.minimum(np.rint(signal * PEAK), PEAK - 1).astype(np.float32)[:, None]


def signal_of(values: ArrayLike, levels: int | None) -> NDArray[np.float32]:
    """Returns the signal in -1 .. 1 of values of a model, `[..., T]`: mu-law levels, or for None samples of 16 bits.

    Args:
        values: `[..., T]` of mu-law levels, or `[..., T, 1]` of samples of 16 bits.
        levels: int or None, as in `from_audio`.

    Example:
        >>> signal_of([[-32768.0], [16384.0]], None).tolist()
        [-1.0, 0.5]
    """
    if levels is not None:
        return inverse_mu_law(values, levels)
    return (np.asarray(values, np.float32) / np.float32(PEAK))[..., 0]


def write_audio(path: str | os.PathLike[str], signal: ArrayLike, sample_rate: int) -> None:
    """Writes a signal as an audio file, which appears under its name when it is complete.

    Args:
        path: path of the file. Its suffix is the format, such as .wav or .flac, with samples of 16 bits.
        signal: numbers `[T]` in -1 .. 1.
        sample_rate: int. Samples per second.

    Raises:
        ValueError: If the signal is not of this form, or soundfile does not write the format.
        ImportError: If soundfile is not installed.

    Example:
        >>> write_audio("tone.wav", 0.5 * np.sin(np.arange(8000) / 8000 * 440 * 2 * np.pi), sample_rate=8000)
        >>> tfar.data.from_audio("tone.wav", valid_fraction=0.0, test_fraction=0.0).sample_rate
        8000
    """
    soundfile = require("soundfile", "audio")
    signal, path = np.asarray(signal, np.float64), pathlib.Path(check_path("path", path))
    if signal.ndim != 1 or not (np.abs(signal) <= 1.0).all():
        raise ValueError(f"Expected a signal [T] within -1 .. 1; received an array of shape {signal.shape}: {signal}.")
    samples = np.minimum(np.rint(signal * PEAK), PEAK - 1).astype(np.int16)
    with files.replacing(path, path.suffix) as temporary:
        try:
            soundfile.write(temporary, samples, check_count("sample_rate", sample_rate))
        except (soundfile.SoundFileError, TypeError) as error:
            raise ValueError(f"{path}: expected a format that soundfile writes, such as .wav; {error}") from error
