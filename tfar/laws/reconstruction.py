"""The law of texts given a source text, which an autoencoder trains with the text itself as the source."""

from typing import Any

import tensorflow as tf

from tfar.laws.reconstruction_signatures import reconstruction_signatures
from tfar.laws.signature import Signature
from tfar.laws.text import TextLaw


class ReconstructionLaw(TextLaw):
    """Law of the words of a text given a source text, whose network encodes the source.

    The codes of texts, `encode`, need no conditional input. Its arguments are those of `Members`.
    """

    def reconstruction_log_prob(self, x: tf.Tensor) -> tf.Tensor:
        """Returns `log p(x | source = x)` of each row, `[B]`."""
        return self.log_prob(x, x)

    def signatures(self, dist: Any) -> dict[str, Signature]:
        return {**super().signatures(dist), **reconstruction_signatures(dist)}
