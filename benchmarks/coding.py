"""Bytes of compressed rows beside general codecs: `python -m benchmarks.coding [--quick] [--only NAME] [--json FOLDER]`.

Trains a MADE on each data set, freezes it with the most bits that its sums allow (8 at most), and compresses the test rows. The
size is that of the whole archive, header and index included; the size of the model is not part of it, nor is a codec's. Every
archive is decompressed and compared. Codecs get the test rows as bits, eight a byte, and as bytes, and the smaller result
counts; PNG and JPEG XL get them as one picture, the images below each other.
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

from benchmarks import data, machine, results
from benchmarks.render import NOT_RUN, markdown_table

SEED, MOST_BITS, QUICK_EPOCHS = 0, 8, 1
HEADER = ("test rows", "coder", "bytes", "bits a row", "of raw bits")


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set and the settings of its model.

    Args:
        name: str. Name of the result.
        title: str. Its name in the table.
        event_shape: tuple of int. (H, W) of images, or the number of columns.
        hidden_units: units of the hidden layers.
        epochs: int.
        batch_size: int.
    """

    name: str
    title: str
    event_shape: tuple[int, ...]
    hidden_units: tuple[int, ...] = (500,)
    epochs: int = 10
    batch_size: int = 100


CASES = (
    Case("digits", "digits", (8, 8), epochs=30, batch_size=50),
    Case("mnist", "binarised MNIST", (28, 28), epochs=8),
    Case("adult", "Adult", (123,), epochs=15),
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

    splits = _splits(case.name)
    splits = (splits.head(200) if quick else splits).shaped(case.event_shape)
    dist = tfar.MADE(case.event_shape, case.hidden_units, seed=SEED)
    model = tfar.training.DensityModel(dist, seed=SEED)
    model.compile(optimizer="adam")
    epochs = QUICK_EPOCHS if quick else case.epochs
    model.fit(splits.train, batch_size=case.batch_size, epochs=epochs, verbose=0)
    frozen, bits = _frozen(dist)
    test = splits.test
    ours = _ours(frozen, test)
    nll = {"model": _mean_nll(dist, test), "frozen": _mean_nll(frozen, test)}
    return results.make(
        kind="coding",
        case=case.name,
        command=f"python -m benchmarks.coding --only {case.name}" + (" --quick" if quick else ""),
        seed=SEED,
        data=splits.describe(),
        settings={
            "hidden_units": list(case.hidden_units),
            "epochs": epochs,
            "batch_size": case.batch_size,
            "bits": bits,
        },
        figures={"tfar": ours, "test_nll": nll, "codecs": _codecs(test), "raw_bits": int(test.size)},
        paper={},
        targets=[],
    )


def _splits(name: str) -> data.Splits:
    """Returns the rows of a data set as bits."""
    if name != "digits":
        return data.load(name)
    import tfar

    loaded = tfar.data.load("digits")
    arrays = [loaded.arrays(split).reshape(-1, 64) for split in ("train", "valid", "test")]
    return data.Splits(name, *arrays, loaded.description)


def _frozen(dist: Any) -> tuple[Any, int]:
    """Returns the frozen model, with the most bits that its sums allow, and their number."""
    import tfar

    for bits in range(MOST_BITS, 1, -1):
        try:
            return tfar.coding.freeze(dist, bits), bits
        except ValueError:
            continue
    return tfar.coding.freeze(dist, 1), 1


def _mean_nll(dist: Any, rows: np.ndarray) -> float:
    """Returns the mean negative log-probability of the rows, in nats."""
    parts = [dist.log_prob(rows[first : first + 1000]).numpy() for first in range(0, len(rows), 1000)]
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


def _codecs(rows: np.ndarray) -> dict[str, int]:
    """Returns the bytes of the rows by other codecs."""
    bits = rows.reshape(len(rows), -1).astype(np.uint8)
    forms = [np.packbits(bits).tobytes(), bits.tobytes()]
    coders: dict[str, Callable[[bytes], bytes]] = {
        "xz -9e": lambda form: lzma.compress(form, preset=9 | lzma.PRESET_EXTREME)
    }
    import zstandard

    coders["zstd -19"] = zstandard.ZstdCompressor(level=19).compress
    found = {name: min(len(code(form)) for form in forms) for name, code in coders.items()}
    if rows.ndim == 3:
        found |= _pictures(bits.reshape(-1, rows.shape[2]))
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
        figures, sizes = result.figures, result.data["sizes"]
        ours, raw = figures["tfar"], figures["raw_bits"]
        by_size = sorted({"tfar": ours["bytes"], **figures["codecs"]}.items(), key=lambda item: item[1])
        for name, size in by_size:
            per_row = 8 * size / sizes["test"]
            rows.append(
                [f"{case.title}, {sizes['test']:,}", name, f"{size:,}", f"{per_row:.1f}", f"{8 * size / raw:.1%}"]
            )
        nll = figures["test_nll"]
        units = "-".join(map(str, result.settings["hidden_units"]))
        notes.append(
            f"{case.title}: MADE of {units} units, {result.settings['epochs']} epochs, frozen with "
            f"{result.settings['bits']} bits "
            f"(test NLL {nll['frozen']:.3f} nats, before {nll['model']:.3f}); compressed in {ours['compress_s']:.0f} s, "
            f"decompressed in {ours['decompress_s']:.0f} s, compilation included."
        )
    return "\n\n".join([markdown_table(HEADER, rows, left=2), *notes])


if __name__ == "__main__":
    raise SystemExit(main())
