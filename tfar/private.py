"""Private interfaces of TensorFlow and Keras that tfar needs, one function each.

`tests/test_private.py` fails if a new version takes one away or changes what it does.
"""

import contextlib
import functools
import io
import re
from collections.abc import Callable, Sequence
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


_WRAPPED = re.compile(
    r"Exception encountered when calling (.+?)\.\n\n\x1b\[1m(.*)\x1b\[0m\n\nArguments received by .+?:\n(.*)", re.DOTALL
)


def message_first(call: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates `__call__` of a layer, so that the message of an error inside comes before what Keras says about the call.

    Keras writes "Exception encountered when calling ..." before the message, and the arguments behind it.
    """

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            found = _WRAPPED.fullmatch(error.message if isinstance(error, tf.errors.OpError) else str(error))
            if found is None:
                raise
            text = f"{found[2]}\n\nRaised in {found[1]} with the arguments:\n{found[3]}"
            if isinstance(error, tf.errors.OpError):
                clear: Exception = type(error)(error.node_def, error.op, text, error.error_code)
            else:
                clear = type(error)(text)
            clear._keras_call_info_injected = True  # type: ignore[attr-defined]  # Layers around this one add nothing.
            raise clear.with_traceback(error.__traceback__) from None

    return wrapped


class _NamedBuffer(io.BytesIO):
    """A buffer whose string is a file name: Keras checks the ending of the name and writes to any buffer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __str__(self) -> str:
        return self.name


def saved_bytes(save: Callable[..., None], ending: str) -> bytes:
    """Returns what `keras.Model.save` or `keras.Model.save_weights` writes to a file.

    h5py ends the process with a segmentation fault when the disk is full, so it must not write to the disk itself.

    Args:
        save: the bound method of the model.
        ending: ".keras" or ".weights.h5".
    """
    buffer = _NamedBuffer(f"model{ending}")
    save(buffer)
    return buffer.getvalue()


class Built(keras.Model):
    """Model whose variables exist before `fit`, so that under a strategy Keras has to make those of the optimizer alone.

    Keras would compute a mean of the first batch over the replicas, and there is none of bools.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if self._distribute_strategy is not None and self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)


def num_batches(optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
    """Returns the number of batches that an optimizer has seen, an int32 scalar.

    It is more than `iterations`, the number of updates, if gradients of several batches are accumulated.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # A LossScaleOptimizer has one inside.
    return tf.cast(tf.convert_to_tensor(inner._iterations), tf.int32)


def initial_epoch(model: keras.Model) -> int:
    """Returns the epoch at which `fit` starts because a callback said so; 0 if none did."""
    return model._initial_epoch or 0


def set_initial_epoch(model: keras.Model, epoch: int) -> None:
    """Makes the `fit` that is about to start begin at an epoch; 0 leaves it to the argument of `fit`."""
    model._initial_epoch = epoch or None
