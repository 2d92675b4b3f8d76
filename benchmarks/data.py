"""The data sets of the likelihood cases, from the folder that the environment variable TFAR_DATA_DIR names."""

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
# Real values in folds. The RNADE paper leaves out discrete columns and one of each pair whose Pearson correlation is above 0.98:
# of red wine's eleven none, as each has 60 values or more and no two correlate by more than 0.69.
FOLDS = {
    "red_wine": "log-likelihood, larger is better: the mean over the ten folds, each standardised by the mean and the deviation "
    "of its own training rows, a ninth of which is for validation",
}
VALID_SHARE = 9


@dataclasses.dataclass(frozen=True)
class Splits:
    """Bits or real values as float32, `[rows, D]` or `[rows, *event_shape]`, and a note on where they come from.

    `classes` holds the class of every row as one-hot, for models that are told it: float32 `[rows, K]` by the name of the split.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    note: str
    classes: Mapping[str, np.ndarray] | None = None

    def examples(self, split: str) -> Any:
        """What `fit` takes: the rows of a split, with their classes if there are any."""
        rows = getattr(self, split)
        return rows if self.classes is None else {"value": rows, "conditional_input": self.classes[split]}

    def condition(self, split: str) -> np.ndarray | None:
        """The classes of the rows of a split, or None."""
        return None if self.classes is None else self.classes[split]

    @property
    def event_size(self) -> int:
        """Bits of an event, D."""
        return int(np.prod(self.train.shape[1:]))

    def shaped(self, event_shape: tuple[int, ...] | None) -> Splits:
        """The same bits as events of a shape; None keeps theirs."""
        if event_shape is None:
            return self
        parts = {name: getattr(self, name) for name in ("train", "valid", "test")}
        return dataclasses.replace(self, **{name: part.reshape(-1, *event_shape) for name, part in parts.items()})

    def describe(self) -> dict[str, Any]:
        """Name, sizes and hashes, as a result file keeps them."""
        arrays = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            "name": self.name,
            "event_size": self.event_size,
            "sizes": {split: len(array) for split, array in arrays.items()},
            "sha256": {split: digest(array) for split, array in arrays.items()},
            "note": self.note,
        }

    def head(self, rows: int) -> Splits:
        """The first rows of every split."""
        note = f"{self.note}; only the first {rows} rows of each split"
        classes = None if self.classes is None else {split: array[:rows] for split, array in self.classes.items()}
        return Splits(self.name, self.train[:rows], self.valid[:rows], self.test[:rows], note, classes)


def load(name: str, *, with_classes: bool = False) -> Splits:
    """Reads a data set, with the classes of its rows if asked for.

    Raises:
        ValueError: if the name is unknown, the folder or the file is missing, or there are no classes.
    """
    if name not in NOTES:
        raise ValueError(f"Expected a data set out of {sorted(NOTES)}. Received: {name!r}")
    if name == "photo_patches_32":
        arrays = _photo_patches()
    else:
        arrays = _mnist() if name == "mnist" else _read(name, ("train", "valid", "test"))
    train, valid, test = (np.ascontiguousarray(array, np.float32) for array in arrays)
    return Splits(name, train, valid, test, NOTES[name], _classes(name) if with_classes else None)


def load_folds(name: str) -> list[Splits]:
    """Reads a data set of real values in its folds; all are in the units of the file.

    The training rows of a fold are the test rows of the others; which of them are for validation follows from the fold.

    Raises:
        ValueError: if the name is unknown, or the folder or the file is missing.
    """
    if name not in FOLDS:
        raise ValueError(f"Expected a data set out of {sorted(FOLDS)}. Received: {name!r}")
    tests = [np.ascontiguousarray(test, np.float32) for test in _read(name, tuple(f"test_{i}" for i in range(1, 11)))]
    folds = []
    for index, test in enumerate(tests):
        rows = np.concatenate(tests[:index] + tests[index + 1 :])
        rows = rows[np.random.default_rng(index).permutation(len(rows))]
        count = len(rows) // VALID_SHARE
        folds.append(Splits(name, rows[count:], rows[:count], test, FOLDS[name]))
    return folds


def digest(array: np.ndarray) -> str:
    """sha256 in C order: of bits as uint8, so that it does not depend on how they are held; of other numbers as float32."""
    bits = np.ascontiguousarray(array, np.uint8)
    held = bits if np.array_equal(bits, array) else np.ascontiguousarray(array, np.float32)
    return hashlib.sha256(held.tobytes()).hexdigest()


def _mnist() -> list[np.ndarray]:
    """Binarised MNIST: 50000, 10000 and 10000 rows of 784 bits."""
    rng = np.random.default_rng(BINARIZATION_SEED)
    train, test = (_binarize(pixels, rng) for pixels in _read("mnist", ("x_train", "x_test")))
    return [train[:-NUM_VALID], train[-NUM_VALID:], test]


def _classes(name: str) -> dict[str, np.ndarray]:
    """The digits that the rows of MNIST show, as one-hot."""
    if name != "mnist":
        raise ValueError(f"Expected 'mnist', which has classes. Received: {name!r}")
    train, test = (np.eye(NUM_CLASSES, dtype=np.float32)[digits] for digits in _read("mnist", ("y_train", "y_test")))
    return {"train": train[:-NUM_VALID], "valid": train[-NUM_VALID:], "test": test}


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
