"""Input rows, masks of observed values, and output files of the commands."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfar import files
from tfar.optional import require

SPLITS = ("train", "valid", "test", "all")
OBSERVED = ("top", "bottom", "left", "right")


def read_rows(
    data: str, event_shape: tuple[int, ...], split: str | None, data_dir: Path | None, batch_size: int
) -> tuple[Iterable[np.ndarray], int | None, str]:
    """Opens the rows of a data set or a file.

    Args:
        data: str. Name of a data set or path of a file.
        event_shape: tuple of int. Event shape of the model. Rows with the same number of values are reshaped to it.
        split: str or None. "train", "valid", "test" or, for a file, "all". Default: "test", and "all" for a file.
        data_dir: folder of data sets, or None.
        batch_size: int.

    Returns:
        The batches (float32 `[B, *event_shape]`), the number of rows (None if unknown), and the name of the split.
    """
    import tfar.data
    from tfar.data.opening import SUFFIXES

    is_file = Path(data).suffix.lower() in SUFFIXES
    split = split or ("all" if is_file else "test")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if split == "all" and not is_file:
        raise ValueError(f"expected --split train, valid or test for {data}; only a file has 'all'")
    options: dict[str, Any] = {"valid_fraction": 0.0, "test_fraction": 0.0} if split == "all" else {}
    splits = tfar.data.load(data, data_dir=data_dir, batch_size=batch_size, **options)
    names = [split] if split != "all" else [name for name in SPLITS[:3] if getattr(splits, name) is not None]
    if getattr(splits, names[0]) is None:
        raise ValueError(f"{data} has no {split} rows")
    if np.prod(splits.event_shape) != np.prod(event_shape):
        raise ValueError(
            f"expected rows of shape {event_shape}, the event shape of the model; {data} has {splits.event_shape}"
        )
    sizes = [getattr(splits, f"num_{name}") for name in names]
    return _batches(splits, names, event_shape), None if None in sizes else sum(sizes), split


def _batches(splits: Any, names: list[str], event_shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for name in names:
        for batch in getattr(splits, name).as_numpy_iterator():
            yield batch.reshape([-1, *event_shape])


def observed_mask(text: str, event_shape: tuple[int, ...]) -> np.ndarray:
    """Returns the mask of observed values, bool `[*event_shape]`, or `[N, *event_shape]` if a file has a mask for each row.

    `text` is "top", "bottom", "left" or "right" for that half of an image, or the path of a .npy file of booleans.

    Example:
        >>> observed_mask("left", (1, 5)).astype(int).tolist()
        [[1, 1, 0, 0, 0]]
    """
    if text in OBSERVED:
        if len(event_shape) < 2:
            raise ValueError(
                f"--observed {text} needs images, but the events of the model have shape {event_shape}: pass a .npy file"
            )
        axis = 0 if text in ("top", "bottom") else 1
        index = np.arange(event_shape[axis])
        half = index < len(index) // 2 if text in ("top", "left") else index >= len(index) - len(index) // 2
        shape = [-1 if a == axis else 1 for a in range(len(event_shape))]
        return np.broadcast_to(half.reshape(shape), event_shape)
    if Path(text).suffix != ".npy":
        raise ValueError(f"--observed: expected {', '.join(OBSERVED)} or a .npy file of booleans; received {text!r}")
    try:
        mask = np.load(text, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{text}: expected an array of booleans: {error}") from error
    if mask.shape[-len(event_shape) :] != tuple(event_shape) or mask.ndim > len(event_shape) + 1:
        raise ValueError(f"{text}: expected shape {event_shape} or (N, {str(event_shape)[1:]}; received {mask.shape}")
    if not np.isin(mask, (0, 1)).all():
        raise ValueError(f"{text}: expected booleans, True where a value is observed; received {mask.dtype} numbers")
    return mask.astype(bool)


def mask_of_rows(mask: np.ndarray, start: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the mask of the rows from row `start` on, broadcast to their `shape`; the mask may be one for all rows."""
    if mask.ndim == len(shape):
        if len(mask) < start + shape[0]:
            raise ValueError(f"--observed: expected a mask for each row of the data; received {len(mask)} masks")
        mask = mask[start : start + shape[0]]
    return np.broadcast_to(mask, shape)


def check_out(path: Path, suffixes: tuple[str, ...], event_shape: tuple[int, ...] | None = None) -> None:
    """Checks the path of an output file before the result is computed: its suffix, and for .png that the events are images."""
    if path.suffix not in suffixes:
        raise ValueError(f"expected --out to end with {', '.join(suffixes)}; received {path}")
    if path.suffix == ".png":
        require("matplotlib", "plots")
    if path.suffix == ".png" and event_shape is not None:
        from tfar.training.logs import is_image

        if not is_image(event_shape):
            raise ValueError(
                f"{path}: a .png file needs events of shape (H, W) or (H, W, C); the events of the model have {event_shape}"
            )


def write_array(path: Path, values: np.ndarray, discrete: bool) -> None:
    """Writes rows `[N, ...]` to a .npy file in their shape, or to a .csv file with a header and one flattened row per line."""
    if path.suffix == ".npy":
        with files.replacing(path, ".npy") as temporary:
            np.save(temporary, values)
        return
    flat = values.reshape([len(values), -1])
    rows = flat.astype(np.int64).tolist() if discrete else flat.tolist()
    write_table(path, [f"x{i}" for i in range(flat.shape[1])], rows)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a CSV file from an iterator of rows. The file appears under its name when it is complete."""
    with files.replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
