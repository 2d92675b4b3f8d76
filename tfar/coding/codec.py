"""Compression of rows and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.coding import models
from tfar.coding.archive import Archive, Chunk, DamagedWords, crc_of
from tfar.coding.bits_back import BitsBack
from tfar.coding.range_coder import RangeCoder
from tfar.heads.base import check_positive_int
from tfar.optional import require

Coder = RangeCoder | BitsBack


def compress(dist: Any, x: Any, *, conditional_input: Any = None, chunk_rows: int | None = None) -> bytes:
    """Compresses events without loss, by entropy coding with the conditionals of a model.

    The size is close to `-log2 p(x)` bits: up to the rounding of the coder, and for each chunk 8 bytes in the index and up to
    two words of 32 bits. With a model that `tfar.coding.freeze` made, the events are coded with one pass of the network, and
    every machine decodes them. Any other model with finitely many values codes step by step, and the result can be decoded
    only where the same program computes the same bits: on the same machine with the same versions. `decompress` checks it.

    A model with a latent variable of finitely many values, such as `tfar.DARN`, codes by bits back: the size is close to the
    description length, the negative `elbo` in bits, and the bits that choose the first latent of a chunk. It cannot be frozen.

    Args:
        dist: a distribution of one member and of whole numbers of a finite range, as those of Bernoulli or Categorical sites; or
            a `tfar.LatentVariable` whose prior, encoder and decoder are such distributions.
        x: numbers `[N, *event_shape]`.
        conditional_input: `[N, *conditional_shape]`, or a dict of them, if the model has a condition. With a frozen model,
            zeros and ones, such as one-hot labels. It is not stored.
        chunk_rows: int, or None for up to 1024. Rows that are coded together. A damaged byte affects one chunk, and reading a
            row decodes its chunk.

    Returns:
        bytes.

    Raises:
        ValueError: If the model does not serve, as one whose latents are real numbers, a value is outside the support, or a shape
            does not fit.
        ImportError: If constriction is not installed; `pip install "tfar[coding]"`.

    Example:
        >>> dist = tfar.coding.freeze(tfar.MADE([4], [8], seed=0))
        >>> x = dist.sample(100, seed=1)
        >>> blob = tfar.coding.compress(dist, x)
        >>> bool((tfar.coding.decompress(dist, blob) == x.numpy()).all())
        True

    References:
        Townsend, Bird and Barber. Practical lossless compression with latent variables using bits back coding. ICLR 2019,
        section 2. https://arxiv.org/abs/1901.04866
        Gregor, Danihelka, Mnih, Blundell and Wierstra. Deep autoregressive networks. ICML 2014, section 3 (description length).
        https://arxiv.org/abs/1310.8499
    """
    require("constriction", "coding")
    kind = _kind_of_coder(dist)
    default_rows = kind.default_rows(dist)
    x, sizes = np.asarray(x, np.float32), tuple(dist.event_shape)
    if x.shape[1:] != sizes:
        raise ValueError(f"Expected `x` of shape [N, {', '.join(map(str, sizes))}]; received {list(x.shape)}.")
    chunk_rows = default_rows if chunk_rows is None else check_positive_int("chunk_rows", chunk_rows)
    chunk_rows = max(1, min(chunk_rows, len(x)))
    coder = kind(dist, chunk_rows)
    condition = models.checked_condition(dist, conditional_input, len(x), coder.exact)
    chunks = []
    for first in range(0, len(x), chunk_rows):
        own = slice(first, first + chunk_rows)
        part = models.rows_of(condition, own)
        dist.check_rows(x[own], part, first_row=first)
        chunks.append(Chunk(coder.encode(x[own], part), crc_of(coder.symbols(x[own]))))
    return Archive(*coder.rounding, coder.fingerprint(), coder.probe(), len(x), chunk_rows, chunks).to_bytes()


def decompress(
    dist: Any, blob: bytes, rows: slice | None = None, *, conditional_input: Any = None
) -> NDArray[np.float32]:
    """Returns the events that `compress` stored.

    Args:
        dist: the distribution with which they were compressed, for example loaded from its file.
        blob: bytes. The result of `compress`.
        rows: slice, or None for all rows. Only the chunks of these rows are decoded.
        conditional_input: as in `compress`, for all rows of the archive.

    Returns:
        float32 `[number of rows, *event_shape]`.

    Raises:
        ValueError: If the model is another one or computes other bits than when the rows were compressed, or the archive is
            damaged. If only a chunk is damaged, the message names its rows; the others can be read with `rows`.
        ImportError: If constriction is not installed; `pip install "tfar[coding]"`.
    """
    require("constriction", "coding")
    archive = Archive.from_bytes(blob)
    if rows is not None and not isinstance(rows, slice):
        raise ValueError(f"Expected `rows` to be a slice, such as slice(10, 20), or None; received {rows!r}.")
    coder = _kind_of_coder(dist)(dist, archive.chunk_rows)
    _check_model(archive, coder)
    condition = models.checked_condition(dist, conditional_input, archive.num_rows, coder.exact)
    chosen = np.arange(archive.num_rows)[slice(None) if rows is None else rows]
    values = np.zeros([len(chosen), *dist.event_shape], np.float32)
    for number in np.unique(chosen // archive.chunk_rows):
        own = archive.rows_of(int(number))
        inside = chosen // archive.chunk_rows == number
        decoded = _decoded(archive, int(number), coder, models.rows_of(condition, slice(own.start, own.stop)))
        values[inside] = decoded[chosen[inside] - own.start]
    return values


def _kind_of_coder(dist: Any) -> type[Coder]:
    """Returns the class of the coder of a distribution."""
    return BitsBack if dist.num_latents else RangeCoder


def _decoded(archive: Archive, number: int, coder: Coder, conditional_input: Any) -> NDArray[np.float32]:
    """Returns the rows of a chunk, `[n, *event_shape]`."""
    own, chunk = archive.rows_of(number), archive.chunks[number]
    try:
        rows = coder.decode(chunk.words, len(own), conditional_input)
    except DamagedWords:
        rows = None
    if rows is None or crc_of(coder.symbols(rows)) != chunk.crc:
        raise ValueError(
            f"Expected the rows that were compressed; chunk {number}, rows {own.start} to {own.stop - 1}, is damaged"
            + (", or the conditional input is another" if conditional_input is not None else "")
            + ". The rows of other chunks can be read with `rows`."
        )
    return rows


def _check_model(archive: Archive, coder: Coder) -> None:
    """Raises ValueError unless the model computes the same bits as when the rows were compressed."""
    if archive.bits != coder.rounding[0]:
        kinds = [
            f"a model frozen with bits={bits}" if bits else "a model that is not frozen"
            for bits in (archive.bits, coder.rounding[0])
        ]
        raise ValueError(f"Expected {kinds[0]}, with which the rows were compressed; received {kinds[1]}.")
    if archive.model != coder.fingerprint():
        raise ValueError("Expected the model with which the rows were compressed; received one with other weights.")
    if archive.probe != coder.probe():
        raise ValueError(
            "Expected the numbers that the model computed when the rows were compressed; it computes others here. "
            + (
                "Its masks differ, or this device does not compute in float32."
                if archive.bits
                else "It is not frozen, so only the same machine with the same versions decodes them. "
                + (
                    "A model with a latent variable cannot be frozen."
                    if isinstance(coder, BitsBack)
                    else "For other machines, compress with a model that tfar.coding.freeze made."
                )
            )
        )
