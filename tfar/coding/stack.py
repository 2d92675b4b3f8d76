"""A stack of bits, from which values are drawn and onto which they are written."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.coding.archive import DamagedWords
from tfar.coding.range_coder import family
from tfar.optional import require

# With fewer words, the coder has no bits to draw values from.
LEAST_WORDS = 2


class OutOfBits(Exception):
    """The stack has too few bits to pop a value."""


class Stack:
    """Asymmetric numeral systems: pushing a value of probability p adds `-log2 p` bits, and popping takes as many away.

    Values that are popped from bits that look random follow the distribution of the call. A stack that may grow gets its
    lowest bits from a fixed sequence of such words, one when it is needed. They are no secret and no part of the rows:
    `is_initial` says whether nothing else is left.

    Args:
        words: uint32 array. The words of the stack, the top last.

    Attributes:
        num_initial: int. Number of words that the stack got from the fixed sequence.

    References:
        Duda. Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of arithmetic
        coding. 2013. https://arxiv.org/abs/1311.2540
    """

    def __init__(self, words: NDArray[np.uint32] | None = None) -> None:
        self._coder = _coder(np.zeros([0], np.uint32) if words is None else words)
        self.num_initial, self._may_grow = 0, False

    @classmethod
    def of(cls, words: NDArray[np.uint32]) -> "Stack":
        """Returns the stack of words of an archive, or raises DamagedWords."""
        try:
            return cls(words)
        except ValueError as error:  # The last word is never 0.
            raise DamagedWords from error

    @property
    def words(self) -> NDArray[np.uint32]:
        """The words of the stack, the top last."""
        return self._coder.get_compressed()

    def copy(self, may_grow: bool) -> "Stack":
        """Returns a stack with the same bits, which gets more from below if it may grow."""
        other = Stack()
        other._coder, other.num_initial, other._may_grow = self._coder.clone(), self.num_initial, may_grow
        return other

    def push(self, values: NDArray[np.int32], probs: NDArray[np.float32]) -> None:
        """Pushes values `[m]`, the last one first, with their probabilities `[m, K]`."""
        self._coder.encode_reverse(values, family(), probs)

    def pop(self, probs: NDArray[np.float32]) -> NDArray[np.int32]:
        """Returns the top values `[m]` with the probabilities `[m, K]`.

        Raises:
            OutOfBits: If the stack has too few bits. It is of no use then.
        """
        while True:
            rest = self._coder.clone() if self._may_grow else self._coder
            values = rest.decode(family(), probs)
            if rest.num_words() >= LEAST_WORDS:
                self._coder = rest
                return values
            if not self._may_grow:
                raise OutOfBits
            self.num_initial += 1
            self._coder = _coder(np.concatenate([[_initial_word(self.num_initial)], self.words]))

    def is_initial(self) -> bool:
        """Returns whether the stack has words of the fixed sequence alone."""
        words = self.words
        return words.tolist() == [_initial_word(number) for number in range(len(words), 0, -1)]


def _coder(words: Any) -> Any:
    return require("constriction", "coding").stream.stack.AnsCoder(np.asarray(words, np.uint32))


def _initial_word(number: int) -> int:
    """Returns a word of the fixed sequence, whose first one is number 1: the first four bytes of the SHA-256 of its number."""
    return int.from_bytes(hashlib.sha256(number.to_bytes(4, "little")).digest()[:4], "little")
