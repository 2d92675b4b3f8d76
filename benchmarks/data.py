"""The data sets of the likelihood cases, read from the folder in the environment variable TFAR_DATA_DIR."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

BINARIZATION_SEED = 0
NUM_VALID = 10_000
NUM_CLASSES = 10
NUM_VALID_PATCHES = 700
# Weights of red, green and blue in the luma of a pixel (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
NOTES = {
    "adult": "rows drawn with a fixed seed, the papers' split sizes",
    "connect4": "rows drawn with a fixed seed, the papers' split sizes",
    "dna": "the official split",
    "mushrooms": "the official split",
    "mnist": f"binarised once, each pixel one with probability x/255 (seed {BINARIZATION_SEED}): not the papers' file; "
    f"the last {NUM_VALID} training rows are for validation",
    "photo_patches_32": "colour patches of 32x32 pixels from photographs of nature, split by photograph (not CIFAR); "
    f"the last {NUM_VALID_PATCHES} training patches are for validation",
    "grey_patches_32": "the patches of photo_patches_32 in grey (rounded luma), dequantised by uniform noise of fixed seeds; "
    f"the last {NUM_VALID_PATCHES} training patches are for validation",
}
# Data sets of real values, in folds. The RNADE paper removes discrete columns and one column of each pair with a Pearson
# correlation above 0.98. All eleven columns of red_wine are kept: each has at least 60 distinct values, and the largest
# correlation is 0.69.
FOLDS = {
    "red_wine": "log-likelihood, larger is better: the mean over the ten folds, each standardised by the mean and the deviation "
    "of its own training rows, a ninth of which is for validation",
}
VALID_SHARE = 9
QUICK_ROWS = 500
# Audio, whose files differ in length; see `benchmarks.speech`.
_SPEECH = (
    "240 phrases of two speakers at 8 kHz, split by phrase: 48 for test, 12 of the others for validation; whole files"
)
SPEECH = {
    "speech_8_bit": f"{_SPEECH}, every sample scored as one of 256 mu-law levels",
    "speech_16_bit": f"{_SPEECH}, every sample scored as one of 65,536 numbers",
}


@dataclasses.dataclass(frozen=True)
class Splits:
    """Train, validation and test rows as float32 `[rows, D]` or `[rows, *event_shape]`, and a note on their origin.

    `classes` is a dict from the name of a split to the one-hot class of every row, float32 `[rows, K]`, for conditional models.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    note: str
    classes: Mapping[str, np.ndarray] | None = None

    def examples(self, split: str) -> Any:
        """Returns the argument of `fit`: the rows of a split, with their classes if there are any."""
        rows = getattr(self, split)
        return rows if self.classes is None else {"value": rows, "conditional_input": self.classes[split]}

    def condition(self, split: str) -> np.ndarray | None:
        """Returns the classes of the rows of a split, or None."""
        return None if self.classes is None else self.classes[split]

    @property
    def event_size(self) -> int:
        """Number of values of an event, D."""
        return int(np.prod(self.train.shape[1:]))

    def shaped(self, event_shape: tuple[int, ...] | None) -> Splits:
        """Returns the rows reshaped to events of this shape. None keeps the shape."""
        if event_shape is None:
            return self
        parts = {name: getattr(self, name) for name in ("train", "valid", "test")}
        return dataclasses.replace(self, **{name: part.reshape(-1, *event_shape) for name, part in parts.items()})

    def describe(self) -> dict[str, Any]:
        """Returns the name, the sizes and the hashes for the result file."""
        arrays = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            "name": self.name,
            "event_size": self.event_size,
            "sizes": {split: len(array) for split, array in arrays.items()},
            "sha256": {split: digest(array) for split, array in arrays.items()},
            "note": self.note,
        }

    def head(self, rows: int) -> Splits:
        """Returns the first rows of every split."""
        note = f"{self.note}; only the first {rows} rows of each split"
        classes = None if self.classes is None else {split: array[:rows] for split, array in self.classes.items()}
        return Splits(self.name, self.train[:rows], self.valid[:rows], self.test[:rows], note, classes)


def load(name: str, *, with_classes: bool = False) -> Splits:
    """Reads a data set, with the classes of its rows if `with_classes` is True.

    Raises:
        ValueError: If the name is unknown, if the folder or the file is missing, or if the data set has no classes.
    """
    if name not in NOTES:
        raise ValueError(f"Expected a data set out of {sorted(NOTES)}. Received: {name!r}")
    if name == "photo_patches_32":
        arrays = _photo_patches()
    elif name == "grey_patches_32":
        arrays = _grey_patches()
    else:
        arrays = _mnist() if name == "mnist" else read(name, ("train", "valid", "test"))
    train, valid, test = (np.ascontiguousarray(array, np.float32) for array in arrays)
    return Splits(name, train, valid, test, NOTES[name], _classes(name) if with_classes else None)


def load_folds(name: str) -> list[Splits]:
    """Reads the folds of a data set of real values, in the units of the file.

    The rows that are not test rows of a fold are its training and validation rows; the number of the fold determines which.

    Raises:
        ValueError: If the name is unknown, or if the folder or the file is missing.
    """
    if name not in FOLDS:
        raise ValueError(f"Expected a data set out of {sorted(FOLDS)}. Received: {name!r}")
    tests = [np.ascontiguousarray(test, np.float32) for test in read(name, tuple(f"test_{i}" for i in range(1, 11)))]
    folds = []
    for index, test in enumerate(tests):
        rows = np.concatenate(tests[:index] + tests[index + 1 :])
        rows = rows[np.random.default_rng(index).permutation(len(rows))]
        count = len(rows) // VALID_SHARE
        folds.append(Splits(name, rows[count:], rows[:count], test, FOLDS[name]))
    return folds


def digest(array: np.ndarray) -> str:
    """Returns the SHA-256 of an array in C order: of binary values as uint8, whatever their data type, of others as float32."""
    bits = np.ascontiguousarray(array, np.uint8)
    held = bits if np.array_equal(bits, array) else np.ascontiguousarray(array, np.float32)
    return hashlib.sha256(held.tobytes()).hexdigest()


def _mnist() -> list[np.ndarray]:
    """Returns binarised MNIST: 50000, 10000 and 10000 rows of 784 bits."""
    rng = np.random.default_rng(BINARIZATION_SEED)
    train, test = (_binarize(pixels, rng) for pixels in read("mnist", ("x_train", "x_test")))
    return [train[:-NUM_VALID], train[-NUM_VALID:], test]


def _classes(name: str) -> dict[str, np.ndarray]:
    """Returns the one-hot classes of the rows of MNIST."""
    if name != "mnist":
        raise ValueError(f"Expected 'mnist', which has classes. Received: {name!r}")
    train, test = (np.eye(NUM_CLASSES, dtype=np.float32)[digits] for digits in read("mnist", ("y_train", "y_test")))
    return {"train": train[:-NUM_VALID], "valid": train[-NUM_VALID:], "test": test}


def _photo_patches() -> list[np.ndarray]:
    """Returns colour patches as rows of 3072 whole numbers 0 … 255."""
    train, test = (pixels.reshape(len(pixels), -1) for pixels in read("photo_patches_32", ("x_train", "x_test")))
    return [train[:-NUM_VALID_PATCHES], train[-NUM_VALID_PATCHES:], test]


def _grey_patches() -> list[np.ndarray]:
    """Returns grey patches as rows of 1024 real numbers in 0 … 256, each split with noise of its own seed."""
    from tfar.data import dequantize

    grey = [np.round(rows.reshape(len(rows), -1, len(LUMA)) @ np.array(LUMA)) for rows in _photo_patches()]
    return [dequantize(rows, seed=seed) for seed, rows in enumerate(grey)]


def _binarize(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Binarises pixels at random, in the order of the file. It takes 1000 rows at a time, because the uniforms are float64."""
    rows = pixels.reshape(len(pixels), -1)
    parts = np.split(rows, range(1000, len(rows), 1000))
    return np.concatenate([rng.random(part.shape) < part / 255 for part in parts])


def read(name: str, keys: tuple[str, ...]) -> list[np.ndarray]:
    """Reads arrays of an .npz file in the folder TFAR_DATA_DIR.

    Raises:
        ValueError: If the folder or the file is missing.
    """
    folder = os.environ.get("TFAR_DATA_DIR")
    path = pathlib.Path(folder or ".") / f"{name}.npz"
    if not folder or not path.exists():
        raise ValueError(f"Expected TFAR_DATA_DIR to name a folder with {name}.npz (arrays {', '.join(keys)}).")
    with np.load(path) as file:
        return [file[key] for key in keys]
