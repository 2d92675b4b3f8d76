"""Class labels of rows, which are the condition of a model."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MAX_LABELS = 1 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The class of each row, a condition of a model.

    Args:
        name: str. The column of a table, the array of an .npz file, or "folder".
        num_classes: int.
        classes: names of the classes, in the order of their numbers; None if they are numbers.
        splits: the class of each row of a split, int64 `[N]`, by split.
    """

    name: str
    num_classes: int
    classes: tuple[str, ...] | None
    splits: Mapping[str, NDArray[np.int64]] = dataclasses.field(repr=False)


def one_hot(labels: NDArray, num_classes: int) -> NDArray[np.float32]:
    """Returns labels `[N]` as rows `[N, num_classes]` of which one entry is 1. The row of a label that is no class is NaN.

    Example:
        >>> one_hot(np.array([2, 0]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    labels = np.asarray(labels)
    rows = (labels[:, None] == np.arange(num_classes)).astype(np.float32)
    rows[rows.sum(axis=1) == 0] = np.nan
    return rows


def checked_labels(name: str, values: Mapping[str, NDArray], classes: Sequence[str] | None = None) -> Labels:
    """Makes `Labels` from numbers `[N, 1]` by split, or raises ValueError if they are not whole numbers from 0 on."""
    everything = np.concatenate([np.ravel(v) for v in values.values()])
    whole = (
        np.isfinite(everything) & (everything >= 0) & (everything == np.rint(everything)) & (everything < MAX_LABELS)
    )
    if not whole.all():
        raise ValueError(
            f"expected the labels {name!r} to be whole numbers 0, 1, 2, ... below {MAX_LABELS}; received "
            f"{everything[~whole][0]:g}. Encode the classes as whole numbers"
        )
    count = len(classes) if classes is not None else int(everything.max(initial=0)) + 1
    splits = {split: np.ravel(v).astype(np.int64) for split, v in values.items()}
    return Labels(name, count, None if classes is None else tuple(classes), splits)
