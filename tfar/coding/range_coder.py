"""Codes chunks of rows by the conditionals of a model, with a range coder."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.coding.archive import DamagedWords
from tfar.coding.models import MAX_ROWS, CodingModel, largest_batch
from tfar.optional import require


class RangeCoder(CodingModel):
    """Codes the sites of rows one after the other, each with its conditional distribution.

    Args:
        dist: the distribution.
        chunk_rows: int. Largest number of rows of a chunk.
    """

    def __init__(self, dist: Any, chunk_rows: int) -> None:
        super().__init__(dist, chunk_rows)

    @staticmethod
    def default_rows(dist: Any) -> int:
        """Returns the default number of rows of a chunk."""
        return largest_batch(dist, MAX_ROWS)

    def encode(self, rows: NDArray[np.float32], conditional_input: Any) -> NDArray[np.uint32]:
        """Returns the words of the rows of a chunk."""
        stream = require("constriction", "coding").stream
        encoder = stream.queue.RangeEncoder()
        encoder.encode(self.coded(rows), family(), self.probs(rows, conditional_input))
        return encoder.get_compressed()

    def decode(self, words: NDArray[np.uint32], count: int, conditional_input: Any) -> NDArray[np.float32]:
        """Returns the rows of a chunk, `[count, *event_shape]`, or raises DamagedWords."""
        decoder = require("constriction", "coding").stream.queue.RangeDecoder(words)
        try:
            return self.decoded(lambda probs: decoder.decode(family(), probs), count, conditional_input)
        except AssertionError as error:  # constriction raises it for words that no values have.
            raise DamagedWords from error


def family() -> Any:
    """Returns constriction's family of distributions over classes, of probabilities that are given with every call."""
    return require("constriction", "coding").stream.model.Categorical(perfect=False)
