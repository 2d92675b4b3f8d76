"""Compression of rows and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.coding import models
from tfar.coding.archive import Archive, Chunk, crc_of
from tfar.coding.steps import step_order
from tfar.heads.base import check_positive_int
from tfar.optional import require

# Largest number of probabilities of a chunk, and of its rows.
MAX_PROBS, MAX_ROWS = 2**23, 1024


def compress(dist: Any, x: Any, *, conditional_input: Any = None, chunk_rows: int | None = None) -> bytes:
    """Compresses events without loss, by arithmetic coding with the conditionals of a model.

    The size is close to `-log2 p(x)` bits: up to the rounding of the coder, and for each chunk 8 bytes in the index and up to
    two words of 32 bits. With a model that `tfar.coding.freeze` made, the events are coded with one pass of the network, and
    every machine decodes them. Any other model with finitely many values codes step by step, and the result can be decoded
    only where the same program computes the same bits: on the same machine with the same versions. `decompress` checks it.

    Args:
        dist: a distribution of one member and of whole numbers of a finite range, as those of Bernoulli or Categorical sites.
        x: numbers `[N, *event_shape]`.
        conditional_input: `[N, *conditional_shape]`, or a dict of them, if the model has a condition. With a frozen model,
            zeros and ones, such as one-hot labels. It is not stored.
        chunk_rows: int, or None for up to 1024. Rows that are coded together. A damaged byte affects one chunk, and reading a
            row decodes its chunk.

    Returns:
        bytes.

    Raises:
        ValueError: If the model does not serve, a value is outside the support, or a shape does not fit.
        ImportError: If constriction is not installed; `pip install "tfar[coding]"`.

    Example:
        >>> dist = tfar.coding.freeze(tfar.MADE([4], [8], seed=0))
        >>> x = dist.sample(100, seed=1)
        >>> blob = tfar.coding.compress(dist, x)
        >>> bool((tfar.coding.decompress(dist, blob) == x.numpy()).all())
        True
    """
    require("constriction", "coding")
    order, num_values = step_order(dist), models.num_values(dist)
    x, sizes = np.asarray(x, np.float32), tuple(dist.event_shape)
    if x.shape[1:] != sizes:
        raise ValueError(f"Expected `x` of shape [N, {', '.join(map(str, sizes))}]; received {list(x.shape)}.")
    if chunk_rows is None:
        chunk_rows = max(1, min(MAX_ROWS, MAX_PROBS // (order.size * num_values)))
    chunk_rows = max(1, min(check_positive_int("chunk_rows", chunk_rows), len(x)))
    model = models.CodingModel(dist, chunk_rows)
    condition = models.checked_condition(dist, conditional_input, len(x), model.exact)
    chunks = []
    for first in range(0, len(x), chunk_rows):
        own = slice(first, first + chunk_rows)
        part = models.rows_of(condition, own)
        dist.check_rows(x[own], part, first_row=first)
        chunks.append(_encoded(model, x[own], part))
    return Archive(*model.rounding, model.fingerprint(), model.probe(), len(x), chunk_rows, chunks).to_bytes()


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
    model = models.CodingModel(dist, archive.chunk_rows)
    _check_model(archive, model)
    condition = models.checked_condition(dist, conditional_input, archive.num_rows, model.exact)
    chosen = np.arange(archive.num_rows)[slice(None) if rows is None else rows]
    symbols = np.zeros([len(chosen), dist.num_sites], np.int32)
    for number in np.unique(chosen // archive.chunk_rows):
        own = archive.rows_of(int(number))
        inside = chosen // archive.chunk_rows == number
        decoded = _decoded(archive, int(number), model, models.rows_of(condition, slice(own.start, own.stop)))
        symbols[inside] = decoded[chosen[inside] - own.start]
    values = symbols.astype(np.float32) + np.float32(dist.head.support().low)
    return values.reshape(len(chosen), *dist.event_shape)


def _encoded(model: models.CodingModel, rows: NDArray[np.float32], conditional_input: Any) -> Chunk:
    """Codes the rows of a chunk, step by step and in each step row by row."""
    stream = require("constriction", "coding").stream
    symbols, probs = model.symbols(rows), model.probs(rows, conditional_input)
    by_step = symbols[:, model.order].transpose(1, 0, 2)
    encoder = stream.queue.RangeEncoder()
    encoder.encode(by_step.reshape(-1), _family(stream), probs.reshape(-1, model.num_values))
    return Chunk(encoder.get_compressed(), crc_of(symbols))


def _decoded(archive: Archive, number: int, model: models.CodingModel, conditional_input: Any) -> NDArray[np.int32]:
    """Returns the values of the rows of a chunk by site, as whole numbers from 0."""
    stream = require("constriction", "coding").stream
    own, chunk = archive.rows_of(number), archive.chunks[number]
    decoder, family = stream.queue.RangeDecoder(chunk.words), _family(stream)
    symbols = np.zeros([len(own), model.order.size], np.int32)

    def decode(probs: NDArray[np.float32], sites: NDArray[np.int32]) -> NDArray[np.int32]:
        found = decoder.decode(family, probs.reshape(-1, model.num_values)).reshape(len(own), len(sites))
        symbols[:, sites] = found
        return found

    try:
        model.run(decode, len(own), conditional_input)
    except AssertionError:  # constriction raises it for words that no values have.
        symbols[:] = -1
    if crc_of(symbols) != chunk.crc:
        raise ValueError(
            f"Expected the rows that were compressed; chunk {number}, rows {own.start} to {own.stop - 1}, is damaged"
            + (", or the conditional input is another" if conditional_input is not None else "")
            + ". The rows of other chunks can be read with `rows`."
        )
    return symbols


def _family(stream: Any) -> Any:
    """Returns the coder's family of distributions over classes, of probabilities that are given with every call."""
    return stream.model.Categorical(perfect=False)


def _check_model(archive: Archive, model: models.CodingModel) -> None:
    """Raises ValueError unless the model computes the same bits as when the rows were compressed."""
    if archive.bits != model.rounding[0]:
        kinds = [
            f"a model frozen with bits={bits}" if bits else "a model that is not frozen"
            for bits in (archive.bits, model.rounding[0])
        ]
        raise ValueError(f"Expected {kinds[0]}, with which the rows were compressed; received {kinds[1]}.")
    if archive.model != model.fingerprint():
        raise ValueError("Expected the model with which the rows were compressed; received one with other weights.")
    if archive.probe != model.probe():
        raise ValueError(
            "Expected the numbers that the model computed when the rows were compressed; it computes others here. "
            + (
                "Its masks differ, or this device does not compute in float32."
                if archive.bits
                else "It is not frozen, so only the same machine with the same versions decodes them. For other machines, "
                "compress with a model that tfar.coding.freeze made."
            )
        )
