"""Private interfaces of TensorFlow that tfar needs, one function each.

`tests/test_private.py` fails if a new version of TensorFlow takes one away or changes what it does.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record


def call_concrete(function: Any, inputs: Sequence[tf.Tensor]) -> Any:
    """Calls a concrete function with the tensors of its signature, without binding and checking the arguments again.

    The checks of a public call take as long as a small model does.
    """
    return function._call_flat(list(inputs), function.captured_inputs)


def is_recorded() -> bool:
    """Returns whether a `tf.GradientTape` or a `tf.autodiff.ForwardAccumulator` records the operations of this thread."""
    return bool(record.could_possibly_record())


def without_recording() -> contextlib.AbstractContextManager:
    """Returns a context in which no gradient tape records."""
    return record.stop_recording()
