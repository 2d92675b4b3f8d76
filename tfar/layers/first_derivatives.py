"""Gradients that are written by hand, of which no derivative may be taken."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def once(gradients: Sequence[tf.Tensor], of: str) -> tuple[tf.Tensor, ...]:
    """Makes second derivatives an error, because they would treat stored activations as constants and be wrong.

    Args:
        gradients: the gradients that a custom gradient returns.
        of: str. What they are the gradients of, for the message.
    """

    @tf.custom_gradient
    def guarded(*gradients: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable]:
        def refuse(*_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            raise NotImplementedError(f"Expected first derivatives of {of}; received a request for second derivatives.")

        return gradients, refuse

    return guarded(*gradients)
