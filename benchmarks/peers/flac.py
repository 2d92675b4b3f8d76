"""FLAC, the lossless codec of audio, in bits a sample: `python -m benchmarks.peers.flac` prints those of the test files."""

from __future__ import annotations

import io
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

SAMPLE_RATE = 8000


def bits_per_sample(files: Sequence[np.ndarray]) -> dict[str, float]:
    """Bits a sample of 16-bit files `[T]`, their headers included, at the highest level of compression.

    The command `flac` is used if it is installed, otherwise libFLAC through the package soundfile (`pip install soundfile`).
    Without either the result is empty.
    """
    encoded = _by_command if shutil.which("flac") else _by_soundfile if _has_soundfile() else None
    if encoded is None:
        return {}
    size = sum(encoded(np.asarray(samples, np.int16)) for samples in files)
    return {"FLAC, a file a recording": round(8.0 * size / sum(map(len, files)), 4)}


def _has_soundfile() -> bool:
    try:
        import soundfile  # noqa: F401
    except ImportError:
        return False
    return True


def _by_soundfile(samples: np.ndarray) -> int:
    """Bytes of the file that libFLAC writes."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return len(buffer.getvalue())


def _by_command(samples: np.ndarray) -> int:
    """Bytes of the file that the command writes. It gets bare samples, so that no header of another format is counted."""
    with tempfile.TemporaryDirectory() as folder:
        raw, path = pathlib.Path(folder) / "samples.raw", pathlib.Path(folder) / "samples.flac"
        samples.astype("<i2").tofile(raw)
        shape = ["--force-raw-format", "--endian=little", "--sign=signed", "--channels=1", "--bps=16"]
        options = ["--silent", "-8", "--no-padding", "--no-seektable", f"--sample-rate={SAMPLE_RATE}"]
        subprocess.run(["flac", *options, *shape, "-o", str(path), str(raw)], check=True)
        return path.stat().st_size


def main() -> int:
    """Prints the bits a sample of the test files."""
    from benchmarks import speech

    files = [file.levels for file in speech.load("speech_16_bit").test]
    for name, bits in bits_per_sample(files).items():
        print(f"{name}: {bits:.4f} bits a sample")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
