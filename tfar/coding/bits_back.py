"""Bits-back coding: rows of a model with a discrete latent variable, on a stack of bits.

Townsend, Bird and Barber. Practical lossless compression with latent variables using bits back coding. ICLR 2019, section 2.
https://arxiv.org/abs/1901.04866
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.coding.archive import DamagedWords
from tfar.coding.models import MAX_ROWS, CodingModel, largest_batch
from tfar.coding.stack import OutOfBits, Stack

# Largest number of rows of a batch, and the probabilities of the numbers of rows 1, 2, 4, ..., 128.
MAX_BATCH = 128
SIZE_PROBS = np.full([1, MAX_BATCH.bit_length()], 1.0 / MAX_BATCH.bit_length(), np.float32)


class BitsBack:
    """Codes chunks of rows x by a model p(x, z) = p(z) p(x | z) and its encoder q(z | x).

    For a batch of rows, the coder

        pops z with q(z | x),    pushes x with p(x | z),    pushes z with p(z)

    so that the stack grows by `log2 q(z | x) - log2 p(z) - log2 p(x | z)` bits, which are on average the description length
    of the rows. The decoder does the opposite in the opposite order, and so gets back the bits that chose z.

    A batch needs as many bits on the stack as z takes. The number of rows of a batch is therefore a power of two that grows from
    1 with the stack, and is itself pushed after the rows. A stack that has too few bits for a single row gets more of them, see
    `Stack`. A chunk costs its description length, these bits, and the numbers of rows, 3 bits for each batch.

    Args:
        dist: a `tfar.LatentVariable` whose parts code their sites, see `CodingModel`.
        chunk_rows: int. Largest number of rows of a chunk.

    Attributes:
        exact: bool. Whether every machine computes the same bits: False.
        rounding: those of `CodingModel` for a model that is not frozen.
        batch_size: int. Largest number of rows of a batch.

    Raises:
        ValueError: If the latents are real numbers, or a part of the model does not serve.
    """

    exact = False
    rounding = (0, 0.0)

    def __init__(self, dist: Any, chunk_rows: int) -> None:
        self.dist = dist
        parts = _parts(dist)
        most = min([MAX_BATCH, chunk_rows, *(largest_batch(part, MAX_BATCH) for part in parts)])
        self.batch_size = _power_of_two(most)
        self._model = _Hierarchy(dist, self.batch_size)

    @staticmethod
    def default_rows(dist: Any) -> int:
        """Returns the default number of rows of a chunk."""
        return MAX_ROWS

    def symbols(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        """See `CodingModel.symbols`."""
        return self._model.decoder.symbols(rows)

    def fingerprint(self) -> bytes:
        """Returns the SHA-256 of the kinds of the parts and of their weights."""
        return hashlib.sha256(b"".join(part.fingerprint() for part in self._model.parts)).digest()

    def probe(self) -> bytes:
        """Returns the SHA-256 of what the parts compute for some fixed events."""
        return hashlib.sha256(b"".join(part.probe() for part in self._model.parts)).digest()

    def encode(self, rows: NDArray[np.float32], conditional_input: Any) -> NDArray[np.uint32]:
        """Returns the words of the rows of a chunk."""
        return self.stack_of(rows).words

    def stack_of(self, rows: NDArray[np.float32]) -> Stack:
        """Returns the stack that holds the rows of a chunk."""
        stack, first, size = Stack(), 0, 1
        while first < len(rows):
            size = min(size, _power_of_two(len(rows) - first))
            stack, size = self._with_batch(stack, rows[first : first + size])
            first, size = first + size, min(2 * size, self.batch_size)
        return stack

    def decode(self, words: NDArray[np.uint32], count: int, conditional_input: Any) -> NDArray[np.float32]:
        """Returns the rows of a chunk, `[count, *event_shape]`, or raises DamagedWords."""
        stack, found = Stack.of(words), []
        try:
            while count > 0:
                size = 1 << int(stack.pop(SIZE_PROBS)[0])
                if size > min(count, self.batch_size):
                    raise DamagedWords
                found.append(self._model.pop(stack, size))
                count -= size
        except OutOfBits as error:
            raise DamagedWords from error
        if not stack.is_initial():
            raise DamagedWords
        return np.concatenate(found[::-1])

    def _with_batch(self, stack: Stack, rows: NDArray[np.float32]) -> tuple[Stack, int]:
        """Returns the stack with the first rows pushed, as many as it has the bits for but at least one, and their number."""
        size = len(rows)
        while True:
            longer = stack.copy(may_grow=size == 1)
            try:
                self._model.push(longer, rows[:size])
            except OutOfBits:
                size //= 2
                continue
            longer.push(np.array([size.bit_length() - 1], np.int32), SIZE_PROBS)
            return longer, size


class _Sites(CodingModel):
    """A part of the model, whose sites are coded one after the other."""

    def __init__(self, dist: Any, batch_size: int) -> None:
        super().__init__(dist, batch_size, exact=False)
        self.parts = [self]

    def push(self, stack: Stack, rows: NDArray[np.float32], condition: Any = None) -> None:
        stack.push(self.coded(rows), self.probs(rows, condition))

    def pop(self, stack: Stack, count: int, condition: Any = None) -> NDArray[np.float32]:
        return self.decoded(stack.pop, count, condition)


class _Hierarchy:
    """A model with a latent variable, whose prior may have a latent variable itself."""

    def __init__(self, dist: Any, batch_size: int) -> None:
        self.encoder, self.decoder = _Sites(dist.encoder, batch_size), _Sites(dist.decoder, batch_size)
        self.prior = (_Hierarchy if dist.prior.num_latents else _Sites)(dist.prior, batch_size)
        self.parts: list[_Sites] = [self.encoder, self.decoder, *self.prior.parts]

    def push(self, stack: Stack, rows: NDArray[np.float32]) -> None:
        latents = self.encoder.pop(stack, len(rows), rows)
        self.decoder.push(stack, rows, latents)
        self.prior.push(stack, latents)

    def pop(self, stack: Stack, count: int) -> NDArray[np.float32]:
        latents = self.prior.pop(stack, count)
        rows = self.decoder.pop(stack, count, latents)
        self.encoder.push(stack, latents, rows)
        return rows


def _parts(dist: Any) -> list[Any]:
    """Returns the encoder, the decoder and the prior, or the parts of the prior.

    Raises:
        ValueError: If the latents are real numbers, or encoder and prior have latents of other values.
    """
    encoder, prior = dist.encoder.head, dist.prior.head
    if not encoder.discrete:
        raise ValueError(
            f"Expected a model whose latents have finitely many values, such as the bits of tfar.DARN; those of this "
            f"{type(dist).__name__} are real numbers ({type(encoder).__name__}), which no finite number of bits chooses."
        )
    values = encoder.support(), prior.support()
    if values[0] != values[1]:
        raise ValueError(f"Expected an encoder and a prior of the same values; received {values[0]} and {values[1]}.")
    return [dist.encoder, dist.decoder, *(_parts(dist.prior) if dist.prior.num_latents else [dist.prior])]


def _power_of_two(most: int) -> int:
    """Returns the largest power of two up to `most`."""
    return 1 << (most.bit_length() - 1)
