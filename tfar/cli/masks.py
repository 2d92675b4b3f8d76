"""Masks of observed values of the commands."""

from pathlib import Path

import numpy as np

OBSERVED = ("top", "bottom", "left", "right")


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
        if len(event_shape) > 3 or (len(event_shape) == 3 and event_shape[-1] > 4):
            raise ValueError(
                f"--observed {text} is half of an image, but the model is one of videos {event_shape}: pass a .npy file of "
                "booleans of this shape, True in the frames that are observed"
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
