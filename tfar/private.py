"""Private interfaces of TensorFlow and Keras that tfar needs, one function each.

`tests/test_private.py` fails if a new version takes one away or changes what it does.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
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


def layers_of(layer: keras.layers.Layer, *, recursive: bool = True) -> list[keras.layers.Layer]:
    """Returns the layers inside a layer, those in lists and dicts too; with `recursive`, also the layers inside of those."""
    return list(layer._flatten_layers(include_self=False, recursive=recursive))
