"""What training needs of Keras beyond its documented interface; a test of each function fails when Keras changes it."""

import io
from collections.abc import Callable

import keras


class _NamedBuffer(io.BytesIO):
    """A buffer whose string is a file name: Keras checks the ending of the name and writes to any buffer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __str__(self) -> str:
        return self.name


def saved_bytes(save: Callable[..., None], ending: str) -> bytes:
    """Returns what `keras.Model.save` or `keras.Model.save_weights` writes to a file.

    h5py ends the process with a segmentation fault when the disk is full, so it must not write to the disk itself.

    Args:
        save: the bound method of the model.
        ending: ".keras" or ".weights.h5".
    """
    buffer = _NamedBuffer(f"model{ending}")
    save(buffer)
    return buffer.getvalue()


def initial_epoch(model: keras.Model) -> int:
    """Returns the epoch at which `fit` starts because a callback said so; 0 if none did."""
    return model._initial_epoch or 0


def set_initial_epoch(model: keras.Model, epoch: int) -> None:
    """Makes the `fit` that is about to start begin at an epoch; 0 leaves it to the argument of `fit`."""
    model._initial_epoch = epoch or None
