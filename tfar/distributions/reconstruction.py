"""Methods of autoencoders of texts: conditional distributions that are trained with a text as its own source."""

from typing import Any

import tensorflow as tf

from tfar.distributions.base import without_autograph
from tfar.distributions.text import Text
from tfar.laws.reconstruction import ReconstructionLaw


class Reconstruction(Text):
    """Distribution of a text given a source text, the conditional input, which is of the same shape.

    Training, evaluation and the checks of data use a text as its own source if no other is given. All else needs a source:
    over all texts x, the probabilities of x given the source x do not sum to 1.
    """

    law_type = ReconstructionLaw

    @without_autograph
    def reconstruction_log_prob(self, value: Any) -> tf.Tensor:
        """Returns `log p(x | source = x)` of texts: how well the code of a text determines it.

        It is no log-probability of x, because the sum over all x is not 1.

        Args:
            value: words `[*lead, *event_shape]`.

        Returns:
            float32 `[*lead]`, in nats.

        Raises:
            ValueError: If a shape does not fit; in eager mode also if a value is outside the support.
        """
        given = self._flat_rows(value, value)._replace(condition=None)
        return self._call("reconstruction_log_prob", [given.x], given)

    @without_autograph
    def encode(self, value: Any, *, observed: Any = None, conditional_input: Any = None) -> tf.Tensor:
        """Returns the code of each text: the state of the encoder after its last word.

        Args:
            value: words `[*lead, *event_shape]`.
            observed: None, or bools that broadcast to the shape of `value`: the first words of each text.
            conditional_input: None, as a code needs no source.

        Returns:
            float32 `[*lead, code_size]`, the hidden states and then the cell states of all layers.

        Raises:
            ValueError: If a shape does not fit or a conditional input is given; in eager mode also if a value is outside the
                support.
        """
        if conditional_input is not None:
            raise ValueError("Expected no `conditional_input`, as `encode` gives the code of `value`; received one.")
        given = self._flat_rows(value, value, observed)._replace(condition=None)
        return self._call("encode", [given.x, given.observed], given)

    def _source(self, value: Any, conditional_input: Any) -> Any:
        """Returns the source of texts, which is a text itself unless another is given or bound."""
        is_given = conditional_input is not None or self.bound_condition is not None
        return conditional_input if is_given else value

    @without_autograph
    def training_loss(self, value: Any, conditional_input: Any = None, **kwargs: Any) -> tf.Tensor:
        """Returns the training loss as `Autoregressive.training_loss` does.

        Args:
            value: words `[*lead, *event_shape]`.
            conditional_input: the source, or None for the text itself.
            **kwargs: further arguments of that method.
        """
        return super().training_loss(value, self._source(value, conditional_input), **kwargs)

    @without_autograph
    def evaluate(self, value: Any, conditional_input: Any = None, **kwargs: Any) -> dict[str, tf.Tensor]:
        """Returns metrics as `Autoregressive.evaluate` does.

        Args:
            value: words `[*lead, *event_shape]`.
            conditional_input: the source, or None for the text itself.
            **kwargs: further arguments of that method.
        """
        return super().evaluate(value, self._source(value, conditional_input), **kwargs)

    @without_autograph
    def valid_rows(self, value: Any, conditional_input: Any = None, **kwargs: Any) -> tf.Tensor:
        """Returns which rows are valid as `Autoregressive.valid_rows` does.

        Args:
            value: words `[*lead, *event_shape]`.
            conditional_input: the source, or None for the text itself.
            **kwargs: further arguments of that method.
        """
        return super().valid_rows(value, self._source(value, conditional_input), **kwargs)

    @without_autograph
    def check_rows(self, value: Any, conditional_input: Any = None, **kwargs: Any) -> None:
        """Checks rows as `Autoregressive.check_rows` does.

        Args:
            value: words `[*lead, *event_shape]`.
            conditional_input: the source, or None for the text itself.
            **kwargs: further arguments of that method.
        """
        super().check_rows(value, self._source(value, conditional_input), **kwargs)
