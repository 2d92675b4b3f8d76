"""Methods of distributions over documents."""

from typing import Any

import tensorflow as tf

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import without_autograph
from tfar.heads import Absorbing, DenseSoftmax, Head, TreeSoftmax
from tfar.heads.base import check_positive_int
from tfar.laws.text import TextLaw

LENGTHS = ("given", "eos")


class Text(Autoregressive):
    """Distribution over the words of documents, with their vectors and perplexities."""

    law_type = TextLaw

    @without_autograph
    def encode(self, value: Any, *, observed: Any = None, conditional_input: Any = None) -> tf.Tensor:
        """Returns the vector of each document, from all its words before the end.

        Of a topic model, it does not depend on the order of the words, and documents on the same topic have vectors with a
        small angle between them, so that a search finds them. Of a recurrent model, it is the state after the last word: the
        hidden states and then the cell states of all layers.

        Args:
            value: words `[*lead, *event_shape]`.
            observed: None, or bools that broadcast to the shape of `value`: the first words of each document, such as
                `tf.sequence_mask(lengths)`.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound.

        Returns:
            float32 `[*lead, F]`.

        Raises:
            ValueError: If a shape does not fit; in eager mode also if a value is not a word or not the first ones are observed.

        Example:
            >>> dist = tfar.DocNADE(1000, hidden_units=16)
            >>> dist.encode([[3, 1, 4, 1], [5, 9, 2, 0]], observed=[[True] * 4, [True] * 3 + [False]]).shape
            TensorShape([2, 16])
        """
        given = self._flat_rows(value, conditional_input, observed)
        return self._call("encode", [given.x, given.observed, given.condition], given)

    @without_autograph
    def perplexity(self, value: Any, *, observed: Any = None, conditional_input: Any = None) -> tf.Tensor:
        """Returns the perplexity of a word of each document, `exp(-log_prob / number of words)`.

        The end of a document, if the model has one, counts as a word unless the document fills the event. A document without
        words has the perplexity 1. Of a collection, the macro perplexity is `exp(mean(log(perplexity)))`, and the micro
        perplexity is `exp(-sum(log_prob) / sum(number of words))`.

        Args:
            value, observed, conditional_input: as in `encode`.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `encode` does.

        Example:
            >>> round(float(tfar.DocNADE(1000, hidden_units=16).perplexity([3, 1, 4, 1])), 0)
            1000.0
        """
        given = self._flat_rows(value, conditional_input, observed)
        return self._call("perplexity", [given.x, given.observed, given.condition], given)


def check_length(length: Any) -> bool:
    """Returns whether documents end by word 0, from the argument `length` of a model, or raises ValueError."""
    if length not in LENGTHS:
        raise ValueError(f"Expected `length` to be one of {LENGTHS}; received {length!r}.")
    return length == "eos"


def document_shape(max_length: Any) -> tuple[int | None]:
    """Returns the shape of a document from the argument `max_length` of a model, or raises ValueError."""
    return (None if max_length is None else check_positive_int("max_length", max_length),)


def word_head(
    vocabulary_size: int, units: int, tree: Any, counts: Any, seed: int, ends: bool, row_length: int | None = None
) -> Head:
    """Makes the head of a word from the arguments of a model; `row_length` is that of `tfar.heads.Absorbing`."""
    if tree is None:
        head: Head = DenseSoftmax(vocabulary_size, units, counts=counts, seed=seed)
    else:
        head = TreeSoftmax(vocabulary_size, units, tree=tree, counts=counts, seed=seed)
    return Absorbing(head, row_length) if ends else head
