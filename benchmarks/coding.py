"""Bytes of compressed rows beside general codecs: `python -m benchmarks.coding [--quick] [--only NAME] [--json FOLDER]`.

Trains a MADE on each data set, freezes it with the most bits that its sums allow (8 at most), and compresses the test rows. For
speech it is a WaveNet, whose rows are half seconds of recordings with 256 levels (mu-law). A DARN, which has latent bits,
compresses by bits back, and the size is compared with its description length, the mean of several draws of the latents.

The size is that of the whole archive, header and index included; the size of the model is not part of it, nor is a codec's.
Every archive is decompressed and compared. Codecs get the test rows as bits, eight a byte, and as bytes, and the smaller result
counts; PNG and JPEG XL get them as one picture, the images below each other. They get the levels of speech as bytes, and FLAC
gets each row as a file.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import lzma
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import data, machine, results, speech
from benchmarks.cases import check
from benchmarks.peers import flac
from benchmarks.render import NOT_RUN, markdown_table

SEED, MOST_BITS, QUICK_EPOCHS, QUICK_SPEECH = 0, 8, 1, 8
# Draws of the latents of all rows for the description length, and the limit of the archive divided by it.
LENGTH_DRAWS, LENGTH_RATIO = 10, 1.01
# Further settings, figures, and targets.
Measured = tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]
SPEECH = "speech_8_bit"
HEADER = ("test rows", "coder", "bytes", "bits a row", "of raw bits")


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set and the settings of its model.

    Args:
        name: str. Name of the result.
        title: str. Its name in the table.
        event_shape: tuple of int. (H, W) of images, or the number of columns or samples.
        hidden_units: units of the hidden layers of a MADE, or features of the layers of one stack of a WaveNet.
        latent_units: latent bits of each layer of a DARN, which replaces the MADE; empty for the MADE. The pixels of the DARN are
            independent given the latents, so that these have much to say.
        epochs: int.
        batch_size: int.
        max_activation: float or None. See `tfar.coding.freeze`.
        num_rows: int, or None for all. Number of test rows that are compressed, the first ones.
    """

    name: str
    title: str
    event_shape: tuple[int, ...]
    hidden_units: tuple[int, ...] = (500,)
    latent_units: tuple[int, ...] = ()
    epochs: int = 10
    batch_size: int = 100
    max_activation: float | None = None
    num_rows: int | None = None

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.name.removesuffix("-bits-back")

    @property
    def kind(self) -> str:
        """Name of the class of the model."""
        return "DARN" if self.latent_units else "WaveNet" if self.data == SPEECH else "MADE"

    @property
    def model(self) -> dict[str, Any]:
        """Arguments of the model."""
        if self.kind == "WaveNet":
            filters, num_layers = self.hidden_units[0], len(self.hidden_units)
            return {"filters": filters, "skip_filters": 4 * filters, "num_layers": num_layers, "num_stacks": 2}
        if self.latent_units:
            return {"latent_units": list(self.latent_units), "visible_autoregression": False}
        return {"hidden_units": list(self.hidden_units)}


CASES = (
    Case("digits", "digits", (8, 8), epochs=30, batch_size=50),
    Case("mnist", "binarised MNIST", (28, 28), epochs=8),
    Case("adult", "Adult", (123,), epochs=15),
    Case(SPEECH, "speech", (4000,), (24,) * 8, epochs=6, batch_size=4, max_activation=8.0, num_rows=100),
    Case("mnist-bits-back", "binarised MNIST", (28, 28), latent_units=(200,), epochs=40, num_rows=1000),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and writes its result files."""
    parser = argparse.ArgumentParser("python -m benchmarks.coding", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch and 200 rows; writes nothing")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one data set")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    options = parser.parse_args(arguments)
    machine.set_tensorflow_threads()
    folder = options.json or (None if options.quick else results.FOLDER)
    for case in CASES:
        if options.only in (None, case.name):
            result = run(case, quick=options.quick)
            print(table([case], [result]), flush=True)
            if folder is not None:
                results.write(result, folder)
    return 0


def run(case: Case, *, quick: bool = False) -> results.Result:
    """Trains, compresses and restores; `quick` takes one epoch and few rows."""
    import tfar

    splits = _splits(case)
    splits = (splits.head(QUICK_SPEECH if case.data == SPEECH else 200) if quick else splits).shaped(case.event_shape)
    dist = getattr(tfar, case.kind)(case.event_shape, **case.model, seed=SEED)
    model = tfar.training.DensityModel(dist, seed=SEED)
    model.compile(optimizer="adam")
    epochs = QUICK_EPOCHS if quick else case.epochs
    model.fit(splits.train, batch_size=case.batch_size, epochs=epochs, verbose=0)
    test = splits.test[: case.num_rows]
    further, figures, targets = _by_bits_back(dist, test) if case.latent_units else _by_freezing(case, dist, test)
    return results.make(
        kind="coding",
        case=case.name,
        command=f"python -m benchmarks.coding --only {case.name}" + (" --quick" if quick else ""),
        seed=SEED,
        data=splits.describe(),
        settings={**case.model, "epochs": epochs, "batch_size": case.batch_size, **further},
        figures={**figures, "codecs": _codecs(case, test), "raw_bits": test.size * (8 if case.data == SPEECH else 1)},
        paper={},
        targets=targets,
    )


def _by_freezing(case: Case, dist: Any, test: np.ndarray) -> Measured:
    """Measures the archive of the frozen model."""
    frozen, bits = _frozen(dist, case.max_activation)
    nll = {"model": _mean_nll(dist, test), "frozen": _mean_nll(frozen, test)}
    further = {"bits": bits, "max_activation": case.max_activation}
    further |= {} if case.num_rows is None else {"num_rows": len(test)}
    return further, {"tfar": _ours(frozen, test), "test_nll": nll}, []


def _by_bits_back(dist: Any, test: np.ndarray) -> Measured:
    """Measures the archive of a model with a latent variable, beside its description length in bytes."""
    ours = _ours(dist, test)
    lengths = [dist.description_length(test, seed=seed) for seed in range(LENGTH_DRAWS)]
    parts = np.array([[np.sum(part, dtype=np.float64) / 8 for part in length] for length in lengths])
    length = {
        "bytes": round(float(parts.sum(axis=1).mean()), 1),
        "standard_deviation": round(float(parts.sum(axis=1).std()), 1),
        "latent_bytes": round(float(parts[:, 0].mean()), 1),
    }
    target = check("archive / description length", "<=", LENGTH_RATIO, round(ours["bytes"] / length["bytes"], 5))
    return {"num_rows": len(test)}, {"tfar": ours, "description_length": length}, [target]


def _splits(case: Case) -> data.Splits:
    """Returns the rows of a data set as bits, and those of recordings as levels."""
    name = case.data
    if name == SPEECH:
        recordings = speech.load(name)
        parts = (_cut(getattr(recordings, split), case.event_shape[0]) for split in ("train", "valid", "test"))
        return data.Splits(name, *parts, f"{recordings.note}; rows of {case.event_shape[0]} samples, without the ends")
    if name != "digits":
        return data.load(name)
    import tfar

    loaded = tfar.data.load("digits")
    arrays = [loaded.arrays(split).reshape(-1, 64) for split in ("train", "valid", "test")]
    return data.Splits(name, *arrays, loaded.description)


def _cut(recordings: Sequence[speech.Recording], length: int) -> np.ndarray:
    """Returns consecutive parts of recordings, float32 `[rows, length]`."""
    return np.concatenate(
        [file.levels[: len(file.levels) // length * length].reshape(-1, length) for file in recordings]
    )


def _frozen(dist: Any, max_activation: float | None) -> tuple[Any, int]:
    """Returns the frozen model, with the most bits that its sums allow, and their number."""
    import tfar

    for bits in range(MOST_BITS, 1, -1):
        try:
            return tfar.coding.freeze(dist, bits, max_activation), bits
        except ValueError:
            continue
    return tfar.coding.freeze(dist, 1, max_activation), 1


def _mean_nll(dist: Any, rows: np.ndarray) -> float:
    """Returns the mean negative log-probability of the rows, in nats."""
    size = 1000 if rows[0].size < 1000 else 20
    parts = [dist.log_prob(rows[first : first + size]).numpy() for first in range(0, len(rows), size)]
    return float(-np.concatenate(parts).astype(np.float64).mean())


def _ours(frozen: Any, rows: np.ndarray) -> dict[str, float]:
    """Returns the bytes of the archive, and the seconds of both directions with compilation."""
    import tfar

    began = time.perf_counter()
    blob = tfar.coding.compress(frozen, rows)
    middle = time.perf_counter()
    back = tfar.coding.decompress(frozen, blob)
    ended = time.perf_counter()
    if not np.array_equal(back, rows):
        raise RuntimeError("Expected the rows that were compressed. Received others.")
    return {"bytes": len(blob), "compress_s": round(middle - began, 2), "decompress_s": round(ended - middle, 2)}


def _codecs(case: Case, rows: np.ndarray) -> dict[str, int]:
    """Returns the bytes of the rows by other codecs."""
    values = rows.reshape(len(rows), -1).astype(np.uint8)
    forms = [values.tobytes()] if case.data == SPEECH else [np.packbits(values).tobytes(), values.tobytes()]
    coders: dict[str, Callable[[bytes], bytes]] = {
        "xz -9e": lambda form: lzma.compress(form, preset=9 | lzma.PRESET_EXTREME)
    }
    import zstandard

    coders["zstd -19"] = zstandard.ZstdCompressor(level=19).compress
    found = {name: min(len(code(form)) for form in forms) for name, code in coders.items()}
    if rows.ndim == 3:
        found |= _pictures(values.reshape(-1, rows.shape[2]))
    if case.data == SPEECH:
        centred = [row.astype(np.int16) - 128 for row in values]
        found |= {name: round(bits * values.size / 8) for name, bits in flac.bits_per_sample(centred).items()}
    return found


def _pictures(bits: np.ndarray) -> dict[str, int]:
    """Returns the bytes of one picture by lossless image codecs."""
    import pillow_jxl  # noqa: F401
    from PIL import Image

    found = {}
    for name, image, options in [
        ("PNG", Image.fromarray(bits * 255).convert("1"), {"format": "PNG", "optimize": True}),
        ("JPEG XL", Image.fromarray(bits * 255), {"format": "JXL", "lossless": True, "effort": 9}),
    ]:
        file = io.BytesIO()
        image.save(file, **options)
        found[name] = len(file.getvalue())
    return found


def table(cases: Sequence[Case], found: Sequence[results.Result | None]) -> str:
    """Returns a row for each data set and coder, the smallest result first."""
    rows, notes = [], []
    for case, result in zip(cases, found, strict=True):
        if result is None:
            rows.append([case.title, NOT_RUN, "", "", ""])
            continue
        figures, count = result.figures, result.settings.get("num_rows", result.data["sizes"]["test"])
        ours, raw = figures["tfar"], figures["raw_bits"]
        by_size = sorted({_name(result): ours["bytes"], **figures["codecs"]}.items(), key=lambda item: item[1])
        for name, size in by_size:
            rows.append(
                [f"{case.title}, {count:,}", name, f"{size:,}", f"{8 * size / count:.1f}", f"{8 * size / raw:.1%}"]
            )
        notes.append(
            f"{case.title}, {count:,}: {_note(result)}; compressed in {ours['compress_s']:.0f} s, decompressed in "
            f"{ours['decompress_s']:.0f} s, compilation included."
        )
    return "\n\n".join([markdown_table(HEADER, rows, left=2), *notes])


def _name(result: results.Result) -> str:
    return "tfar, bits back" if "description_length" in result.figures else "tfar"


def _note(result: results.Result) -> str:
    """Returns what the model is, and what the archive should have."""
    settings, figures = result.settings, result.figures
    if "description_length" in figures:
        (target,), length = result.targets, figures["description_length"]
        units = "-".join(map(str, settings["latent_units"]))
        return (
            f"DARN of {units} latent bits, {settings['epochs']} epochs; the description length is {length['bytes']:,.0f} bytes, "
            f"{length['latent_bytes']:,.0f} of them for the latents (standard deviation {length['standard_deviation']:.0f} over "
            f"draws), and the archive has {target['value'] - 1:.2%} more"
        )
    nll = figures["test_nll"]
    if "filters" in settings:
        sizes = (settings[name] for name in ("num_stacks", "num_layers", "filters"))
        kind = f"WaveNet of {' x '.join(map(str, sizes))} features"
    else:
        kind = f"MADE of {'-'.join(map(str, settings['hidden_units']))} units"
    return (
        f"{kind}, {settings['epochs']} epochs, frozen with {settings['bits']} bits "
        f"(test NLL {nll['frozen']:.3f} nats, before {nll['model']:.3f})"
    )


if __name__ == "__main__":
    raise SystemExit(main())
