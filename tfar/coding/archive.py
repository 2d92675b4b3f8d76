"""The format of compressed rows: a header, an index of chunks, and the words of the chunks.

All numbers are little-endian.

    magic            4 bytes   "TFAR"
    version          uint16    1
    bits             uint16    bits of the frozen model, or 0 if the model is not frozen
    max_activation   float32   largest activation of the frozen model, or 0 if there is none
    model            32 bytes  SHA-256 of the model
    probe            32 bytes  SHA-256 of what the model computes for some fixed events
    rows             uint64    number of rows
    rows per chunk   uint32
    index            for each chunk: uint32 number of words, uint32 CRC-32 of its values
    check            uint32    CRC-32 of all of the above
    words            uint32    words of the coder, chunk after chunk
"""

import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = b"TFAR", 1
_HEADER = struct.Struct("<4sHHf32s32sQI")
_ENTRY, _CHECK = struct.Struct("<II"), struct.Struct("<I")


class DamagedWords(Exception):
    """No rows have the words of a chunk."""


class Chunk(NamedTuple):
    """The code of some rows.

    Attributes:
        words: uint32 array.
        crc: int. CRC-32 of the values of the rows, see `crc_of`.
    """

    words: NDArray[np.uint32]
    crc: int


class Archive(NamedTuple):
    """Compressed rows.

    Attributes:
        bits: int. Bits of the frozen model, see `tfar.coding.freeze`; 0 if the model is not frozen.
        max_activation: float. Largest activation of the frozen model; 0 if there is none.
        model: bytes. SHA-256 of the model.
        probe: bytes. SHA-256 of what the model computes for some fixed events.
        num_rows: int.
        chunk_rows: int. Rows of every chunk but the last, which may have fewer.
        chunks: the chunks.
    """

    bits: int
    max_activation: float
    model: bytes
    probe: bytes
    num_rows: int
    chunk_rows: int
    chunks: list[Chunk]

    def rows_of(self, number: int) -> range:
        """Returns the rows of a chunk."""
        return range(number * self.chunk_rows, min((number + 1) * self.chunk_rows, self.num_rows))

    def to_bytes(self) -> bytes:
        """Returns the archive as bytes."""
        counts = (self.num_rows, self.chunk_rows)
        head = _HEADER.pack(MAGIC, VERSION, self.bits, self.max_activation, self.model, self.probe, *counts)
        head += b"".join(_ENTRY.pack(len(chunk.words), chunk.crc) for chunk in self.chunks)
        words = b"".join(chunk.words.astype("<u4").tobytes() for chunk in self.chunks)
        return head + _CHECK.pack(zlib.crc32(head)) + words

    @classmethod
    def from_bytes(cls, blob: bytes) -> "Archive":
        """Reads an archive.

        Raises:
            ValueError: If the bytes are not an archive, of a later version, or damaged in the header or index, or if they end
                too early.
        """
        blob = bytes(blob)
        if blob[:4] != MAGIC or len(blob) < _HEADER.size:
            raise ValueError("Expected bytes that tfar.coding.compress wrote; received others.")
        _, version, bits, largest, model, probe, num_rows, chunk_rows = _HEADER.unpack_from(blob)
        if version != VERSION:
            raise ValueError(f"Expected an archive of version {VERSION}; received version {version} of a later tfar.")
        count = -(-num_rows // max(chunk_rows, 1))
        end = _HEADER.size + count * _ENTRY.size
        if len(blob) < end + _CHECK.size or _CHECK.unpack_from(blob, end)[0] != zlib.crc32(blob[:end]):
            raise ValueError("Expected an intact header; the header or the index of this archive is damaged.")
        entries = list(_ENTRY.iter_unpack(blob[_HEADER.size : end]))
        start = end + _CHECK.size
        if len(blob) != start + 4 * sum(length for length, _ in entries):
            raise ValueError(
                f"Expected {start + 4 * sum(length for length, _ in entries):,} bytes, as the index says; received {len(blob):,}."
            )
        words = np.frombuffer(blob, "<u4", offset=start).astype(np.uint32)
        ends = np.cumsum([length for length, _ in entries], dtype=int)
        parts = np.split(words, ends[:-1]) if entries else []
        chunks = [Chunk(part, crc) for part, (_, crc) in zip(parts, entries, strict=True)]
        return cls(bits, largest, model, probe, num_rows, chunk_rows, chunks)


def crc_of(values: NDArray[np.int32]) -> int:
    """Returns the CRC-32 of the values of rows `[n, num_sites]`, as whole numbers from 0 in raster order."""
    return zlib.crc32(values.astype("<i4").tobytes())
