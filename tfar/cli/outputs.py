"""Output files of the commands."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfar import files
from tfar.optional import require

# The audio files that the commands write.
SOUNDS = (".wav", ".flac")
# The pictures, and the shapes of the events that they show.
SHOWN = {".png": "(H, W) or (H, W, C)", ".gif": "(T, H, W) or (T, H, W, C)"}


def check_out(path: Path, suffixes: tuple[str, ...], event_shape: tuple[int, ...] | None = None) -> None:
    """Checks the path of an output file before the result is computed: its suffix, and that a picture can show the events."""
    if path.suffix not in suffixes:
        raise ValueError(f"expected --out to end with {', '.join(suffixes)}; received {path}")
    if path.suffix in SHOWN:
        require("matplotlib", "plots")
    if path.suffix in SOUNDS:
        require("soundfile", "audio")
    if path.suffix in SHOWN and event_shape is not None:
        from tfar.training import logs

        fits = {".png": logs.is_image, ".gif": logs.is_video}
        if not fits[path.suffix](event_shape):
            hints = [f"; a {suffix} file shows them" for suffix, test in fits.items() if test(event_shape)]
            raise ValueError(
                f"{path}: a {path.suffix} file needs events of shape {SHOWN[path.suffix]}; the events of the model have "
                f"{event_shape}{''.join(hints)}"
            )


def write_array(path: Path, values: np.ndarray, discrete: bool, columns: Sequence[str] | None = None) -> None:
    """Writes rows `[N, ...]` to a .npy file in their shape, or to a .csv file with one flattened row per line.

    The header of a .csv file has the names of the `columns`, or x0, x1, ... if they have none.
    """
    if path.suffix == ".npy":
        with files.replacing(path, ".npy") as temporary:
            np.save(temporary, values)
        return
    flat = values.reshape([len(values), -1])
    # A float32 as text has the fewest digits that restore it.
    rows = flat.astype(np.int64).tolist() if discrete else flat.astype(np.float32).astype(str).tolist()
    write_table(path, columns or [f"x{i}" for i in range(flat.shape[1])], rows)


def write_sounds(path: Path, values: np.ndarray, audio: Mapping[str, Any]) -> list[Path]:
    """Writes samples `[N, T, ...]` of a model of audio as a picture, or each to an audio file: NAME.wav, or NAME-1.wav, ...

    Returns the paths of the files. `audio` is the form of the values, see `trained_on.TrainedOn`.
    """
    from tfar import plots
    from tfar.data import signal_of, write_audio

    signals = signal_of(values, audio["levels"])
    if path.suffix == ".png":
        plots.waveforms(signals, audio["sample_rate"], path)
        return [path]
    names = [f"{path.stem}-{number + 1}{path.suffix}" for number in range(len(signals))]
    paths = [path.with_name(name) for name in names] if len(signals) > 1 else [path]
    for signal, own in zip(signals, paths, strict=True):
        write_audio(own, signal, audio["sample_rate"])
    return paths


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a CSV file from an iterator of rows. The file appears under its name when it is complete."""
    with files.replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
