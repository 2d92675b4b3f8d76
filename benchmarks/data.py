"""The data sets of the likelihood cases, from the folder that the environment variable TFAR_DATA_DIR names."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

BINARIZATION_SEED = 0
NUM_VALID = 10_000
NUM_VALID_PATCHES = 700
NOTES = {
    "adult": "rows drawn with a fixed seed, the papers' split sizes",
    "connect4": "rows drawn with a fixed seed, the papers' split sizes",
    "dna": "the official split",
    "mushrooms": "the official split",
    "mnist": f"binarised once, each pixel one with probability x/255 (seed {BINARIZATION_SEED}): not the papers' file; "
    f"the last {NUM_VALID} training rows are for validation",
    "photo_patches_32": "colour patches of 32x32 pixels from photographs of nature, split by photograph (not CIFAR); "
    f"the last {NUM_VALID_PATCHES} training patches are for validation",
}


@dataclasses.dataclass(frozen=True)
class Splits:
    """Bits as float32, `[rows, D]` or `[rows, *event_shape]`, and a note on where they come from."""

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    note: str

    def describe(self) -> dict[str, Any]:
        """Name, sizes and hashes, as a result file keeps them."""
        arrays = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            "name": self.name,
            "event_size": int(np.prod(self.train.shape[1:])),
            "sizes": {split: len(array) for split, array in arrays.items()},
            "sha256": {split: digest(array) for split, array in arrays.items()},
            "note": self.note,
        }

    def head(self, rows: int) -> Splits:
        """The first rows of every split."""
        note = f"{self.note}; only the first {rows} rows of each split"
        return Splits(self.name, self.train[:rows], self.valid[:rows], self.test[:rows], note)

    def shaped(self, event_shape: tuple[int, ...]) -> Splits:
        """The same bits as events of a shape."""
        parts = {name: getattr(self, name) for name in ("train", "valid", "test")}
        return dataclasses.replace(self, **{name: part.reshape(-1, *event_shape) for name, part in parts.items()})


def load(name: str) -> Splits:
    """Reads a data set.

    Raises:
        ValueError: if the name is unknown, or the folder or the file is missing.
    """
    if name not in NOTES:
        raise ValueError(f"Expected a data set out of {sorted(NOTES)}. Received: {name!r}")
    if name == "photo_patches_32":
        arrays = _photo_patches()
    else:
        arrays = _mnist() if name == "mnist" else _read(name, ("train", "valid", "test"))
    train, valid, test = (np.ascontiguousarray(array, np.float32) for array in arrays)
    return Splits(name, train, valid, test, NOTES[name])


def digest(array: np.ndarray) -> str:
    """sha256 of the bits as uint8 in C order, so that it does not depend on how they are held."""
    return hashlib.sha256(np.ascontiguousarray(array, np.uint8).tobytes()).hexdigest()


def _mnist() -> list[np.ndarray]:
    """Binarised MNIST: 50000, 10000 and 10000 rows of 784 bits."""
    rng = np.random.default_rng(BINARIZATION_SEED)
    train, test = (_binarize(pixels, rng) for pixels in _read("mnist", ("x_train", "x_test")))
    return [train[:-NUM_VALID], train[-NUM_VALID:], test]


def _photo_patches() -> list[np.ndarray]:
    """Whole numbers 0 .. 255, rows of 3072."""
    train, test = (pixels.reshape(len(pixels), -1) for pixels in _read("photo_patches_32", ("x_train", "x_test")))
    return [train[:-NUM_VALID_PATCHES], train[-NUM_VALID_PATCHES:], test]


def _binarize(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws each pixel once, in the order of the file; by the thousand rows, since the uniforms are float64."""
    rows = pixels.reshape(len(pixels), -1)
    parts = np.split(rows, range(1000, len(rows), 1000))
    return np.concatenate([rng.random(part.shape) < part / 255 for part in parts])


def _read(name: str, keys: tuple[str, ...]) -> list[np.ndarray]:
    folder = os.environ.get("TFAR_DATA_DIR")
    path = pathlib.Path(folder or ".") / f"{name}.npz"
    if not folder or not path.exists():
        raise ValueError(f"Expected TFAR_DATA_DIR to name a folder with {name}.npz (arrays {', '.join(keys)}).")
    with np.load(path) as file:
        return [file[key] for key in keys]
