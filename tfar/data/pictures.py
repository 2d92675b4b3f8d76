"""Readers of PNG pictures of one size: pictures, and videos whose frames are the pictures of a folder."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfar.data.readers import Cells, chunk_rows
from tfar.data.sources import rebatch


class PictureReader:
    """Reads PNG files of one size, each a row `[H, W, C]` of the levels 0 … 255: C is 1, 2, 3 or 4, as in the first file.

    Args:
        paths: the files, in the order of the rows.
        cells: accepted and not used, as every pixel has a value.
    """

    names: list[str] | None = None

    def __init__(self, paths: Sequence[pathlib.Path], cells: Cells = "finite") -> None:
        self.paths, self.path = list(paths), paths[0]
        self.num_rows: int | None = len(self.paths)
        self.event_shape: tuple[int, ...] = _decoded(self.path).shape

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        size = chunk_rows(self.event_shape)
        for first in range(start, len(self.paths), size):
            rows = [self._picture(path) for path in self.paths[first : first + size]]
            yield np.stack(rows).astype(np.float32)

    def _picture(self, path: pathlib.Path) -> np.ndarray:
        picture = _decoded(path)
        if picture.shape != self.event_shape:
            raise ValueError(
                f"{path}: expected a picture of shape {self.event_shape}, as {self.path}; received {picture.shape}"
            )
        return picture


class FrameReader:
    """Reads videos `[T, H, W, C]`: the first T pictures of each folder, in the order of their names.

    Args:
        paths: the pictures of all folders.
        num_frames: int, T.

    Raises:
        ValueError: If a folder has fewer pictures.
    """

    names: list[str] | None = None

    def __init__(self, paths: Sequence[pathlib.Path], num_frames: int) -> None:
        folders: dict[pathlib.Path, list[pathlib.Path]] = {}
        for path in sorted(paths):
            folders.setdefault(path.parent, []).append(path)
        for folder, frames in folders.items():
            if len(frames) < num_frames:
                raise ValueError(f"{folder}: expected at least frames={num_frames} pictures; received {len(frames)}")
        self.num_frames, self.path = num_frames, paths[0]
        self._pictures = PictureReader([path for frames in folders.values() for path in frames[:num_frames]])
        self.num_rows: int | None = len(folders)
        self.event_shape: tuple[int, ...] = (num_frames, *self._pictures.event_shape)

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        for frames in rebatch(self._pictures.chunks(start * self.num_frames), self.num_frames):
            yield frames[None]


def _decoded(path: pathlib.Path) -> np.ndarray:
    try:
        return tf.io.decode_png(path.read_bytes()).numpy()
    except tf.errors.OpError as error:
        raise ValueError(f"{path}: expected a PNG picture; {error.message}") from error


def folder_classes(paths: Sequence[pathlib.Path]) -> tuple[list[str], np.ndarray]:
    """Returns the sorted names of the folders of files, and the index of the folder of each file, int64 `[N]`.

    Example:
        >>> folder_classes([pathlib.Path("cats/1.png"), pathlib.Path("ants/1.png")])
        (['ants', 'cats'], array([1, 0]))
    """
    names = sorted({path.parent.name for path in paths})
    return names, np.array([names.index(path.parent.name) for path in paths])
