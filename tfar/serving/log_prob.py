"""The `log_prob` of an exported SavedModel, called without the network that it was made from."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SIGNATURE = "log_prob"


class SavedLogProb:
    """The signature `log_prob` of a SavedModel, as a function of NumPy arrays.

    Args:
        path: folder of one version.

    Raises:
        ValueError: If TensorFlow cannot load it, or it has no such signature.

    Example:
        >>> path = tfar.serving.export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> log_prob = SavedLogProb(path)
        >>> log_prob.event_shape, log_prob(np.zeros([2, 4])).shape
        ((4,), (2,))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            # Kept, because a signature does not keep the variables that it reads.
            self._loaded = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ValueError(f"{path}: TensorFlow cannot load this SavedModel: {error}") from error
        signatures = self._loaded.signatures
        if SIGNATURE not in signatures:
            raise ValueError(f"{path}: expected the signature {SIGNATURE!r}; it has {', '.join(sorted(signatures))}")
        self._signature = signatures[SIGNATURE]
        specs = self._signature.structured_input_signature[1]
        self.shapes: dict[str, tuple[int, ...]] = {name: tuple(specs[name].shape[1:]) for name in sorted(specs)}

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.shapes["value"]

    def __call__(self, batch: Any) -> NDArray[np.float32]:
        """Scores rows.

        Args:
            batch: array `[B, *event_shape]`, or `[B, ...]` with as many values in a row; for a conditional model a dict
                of `value` and `conditional_input`, which is a dict itself if the model has several conditions.

        Returns:
            log_prob, float32 `[B]`, in nats; NaN for a row that is outside the support or not finite.

        Raises:
            ValueError: If the arrays are others than those that the model takes, or of other shapes.
        """
        given = _named(batch)
        if set(given) != set(self.shapes):
            condition = sorted(set(self.shapes) - {"value"})
            kind = f"a conditional model takes rows with {', '.join(condition)}" if condition else "rows alone"
            raise ValueError(
                f"expected {', '.join(self.shapes)} ({kind}); received {', '.join(sorted(given)) or 'nothing'}"
            )
        inputs = {name: tf.constant(_shaped(name, given[name], shape)) for name, shape in self.shapes.items()}
        return self._signature(**inputs)[SIGNATURE].numpy()


def _named(batch: Any) -> dict[str, Any]:
    """The inputs of the signature by name: those of several conditions are `conditional_<name>`."""
    if not isinstance(batch, Mapping):
        return {"value": batch}
    condition = batch.get("conditional_input")
    if not isinstance(condition, Mapping):
        return dict(batch)
    rest = {name: value for name, value in batch.items() if name != "conditional_input"}
    return {**rest, **{f"conditional_{name}": value for name, value in condition.items()}}


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.asarray(values, np.float32)
    if array.ndim == 0 or (array.shape[1:] != shape and int(np.prod(array.shape[1:])) != int(np.prod(shape))):
        raise ValueError(f"expected {name} with rows of shape {shape}, as the model takes; received {array.shape[1:]}")
    return array.reshape([len(array), *shape])
