"""Reads arrays of .npy and .npz files that may be larger than memory, in chunks."""

import contextlib
import pathlib
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from tfar.data.columns import Columns
from tfar.data.readers import NPY, ArrayReader, Cells, open_npy
from tfar.model_files import reading

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class StoredArrayReader(ArrayReader):
    """Reads an array `[N, ...]` of a .npy file, or the array `member` of an .npz file, chunk by chunk in constant memory.

    It does not map the file into memory, because the pages of a mapped file count as memory of the process once they are
    read. By default, values that are not finite are accepted.
    """

    def __init__(
        self, path: pathlib.Path, columns: Columns = None, member: str | None = None, cells: Cells = "any"
    ) -> None:
        self.member = member
        self.file = path
        shown = path if member is None else path / member
        shape, dtype = self._read_header(shown)
        # The base class checks the shape and the type of an array; a broadcast scalar has both and takes no memory.
        with reading(shown, NPY):
            array = np.broadcast_to(np.zeros([], dtype), shape)
        super().__init__(shown, array, columns, cells=cells)

    def _read_header(self, shown: pathlib.Path) -> tuple[tuple[int, ...], np.dtype]:
        with reading(shown, NPY), self._open() as file:
            shape, self.fortran_order, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
            self.offset = file.tell()
            if dtype.kind not in "biuf":
                raise ValueError(f"an array of {str(dtype)[:100]}")
        return shape, dtype

    def load(self) -> np.ndarray:
        """Reads the whole array of an .npz file; ValueError if the header describes more than the file holds."""
        with reading(self.path, NPY):
            with zipfile.ZipFile(self.file) as archive:
                size = archive.getinfo(f"{self.member}.npy").file_size - self.offset
            if self.array.nbytes > size:
                raise ValueError(f"a header of {self.array.nbytes:,} bytes and {size:,} bytes of values")
            with np.load(self.file, allow_pickle=False) as file:
                return file[self.member]

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.member is None:
            with open(self.file, "rb") as file:
                yield file
        else:
            with zipfile.ZipFile(self.file) as archive, archive.open(f"{self.member}.npy") as member:
                yield member

    def _parts(self, start: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
        row_bytes = self.array[:1].nbytes
        with reading(self.path, NPY), self._open() as file:
            file.seek(self.offset + start * row_bytes)
            for first in range(start, len(self.array), size):
                count = min(size, len(self.array) - first)
                content = file.read(count * row_bytes)
                if len(content) < count * row_bytes:
                    raise ValueError(
                        f"{self.path}: expected {len(self.array)} rows according to its header; the file ends in row "
                        f"{first + len(content) // max(row_bytes, 1)} (counted from 0)"
                    )
                yield first, np.frombuffer(content, self.array.dtype).reshape([count, *self.array.shape[1:]])


def open_stored(
    path: pathlib.Path, columns: Columns = None, member: str | None = None, cells: Cells = "any"
) -> ArrayReader:
    """Opens a .npy file, or one array of an .npz file, for passes in constant memory.

    The rows of an array in Fortran order are not contiguous in the file. Such an array is memory-mapped if it is a .npy file,
    and loaded as a whole if it is a member of an .npz file.
    """
    reader = StoredArrayReader(path, columns, member, cells)
    if not reader.fortran_order or reader.array.size == 0:
        return reader
    if member is None:
        return open_npy(path, columns, cells=cells)
    return ArrayReader(path / member, reader.load(), columns, cells=cells)
