"""Calls the signature `log_prob` of an exported SavedModel."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.forks import check_not_forked
from tfar.laws.signature import named_condition

SIGNATURE, OBSERVED = "log_prob", "observed_log_prob"


class SavedLogProb:
    """The signature `log_prob` of a SavedModel, of the folder of one version, as a function of NumPy arrays.

    Args:
        path: the folder.
        missing: bool. Whether NaN is a value that is not observed: the score is that of the other values of the row, or NaN if
            the model does not allow this pattern. Otherwise the score of such a row is NaN.

    Raises:
        ValueError: If TensorFlow cannot load it, or it has no such signature.
        RuntimeError: If the process is a fork of one that used TensorFlow.

    Example:
        >>> path = tfar.serving.export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> log_prob = SavedLogProb(path)
        >>> log_prob.event_shape, log_prob(np.zeros([2, 4])).shape
        ((4,), (2,))
    """

    def __init__(self, path: str | os.PathLike[str], *, missing: bool = False) -> None:
        check_not_forked()
        try:
            # A signature does not keep its variables alive, so the object that owns them is kept.
            self._loaded = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ValueError(f"{path}: TensorFlow cannot load this SavedModel: {error}") from error
        signatures = self._loaded.signatures
        if SIGNATURE not in signatures:
            raise ValueError(f"{path}: expected the signature {SIGNATURE!r}; it has {', '.join(sorted(signatures))}")
        self._signature = signatures[SIGNATURE]
        self._observed = signatures.get(OBSERVED) if missing else None
        specs = self._signature.structured_input_signature[1]
        self.shapes: dict[str, tuple[int | None, ...]] = {name: tuple(specs[name].shape[1:]) for name in sorted(specs)}

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of one row; None for an axis of any size."""
        return self.shapes["value"]

    def __call__(self, batch: Any) -> NDArray[np.float32]:
        """Returns log_prob in nats, float32 `[B]`; NaN for a row that is outside of the support or not finite.

        Args:
            batch: array `[B, *event_shape]`, or `[B, ...]` with the same number of values per row. For a conditional model: a
                dict of `value` and `conditional_input`, which is itself a dict if the model has several conditions.
        """
        check_not_forked()
        given = _named(batch)
        if set(given) != set(self.shapes):
            condition = sorted(set(self.shapes) - {"value"})
            kind = f"a conditional model with {', '.join(condition)}" if condition else "a model without a condition"
            raise ValueError(
                f"expected {', '.join(self.shapes)} ({kind}); received {', '.join(sorted(given)) or 'nothing'}"
            )
        inputs = {name: _shaped(name, given[name], shape) for name, shape in self.shapes.items()}
        scores = np.array(self._signature(**{name: tf.constant(part) for name, part in inputs.items()})[SIGNATURE])
        missing = np.isnan(inputs["value"]).reshape([len(scores), -1]).any(axis=1)
        if self._observed is not None and missing.any():
            scores[missing] = self._of_observed({name: part[missing] for name, part in inputs.items()})
        return scores

    def _of_observed(self, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        observed = ~np.isnan(inputs["value"])
        inputs = {**inputs, "value": np.where(observed, inputs["value"], 0.0), "observed": observed}
        tensors = {name: tf.constant(part, tf.float32) for name, part in inputs.items()}
        return self._observed(**tensors)[SIGNATURE].numpy()  # type: ignore[misc]


def _named(batch: Any) -> dict[str, Any]:
    """Returns the inputs of the signature by name."""
    if not isinstance(batch, Mapping):
        return {"value": batch}
    rest = {name: value for name, value in batch.items() if name != "conditional_input"}
    return {**rest, **named_condition(batch.get("conditional_input"))}


def _shaped(name: str, values: Any, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.asarray(values, np.float32)
    expected = shape
    if array.ndim == 1 + len(shape):  # An axis of any size has that of the rows.
        expected = tuple(own if size is None else size for size, own in zip(shape, array.shape[1:], strict=True))
    sizes = [size for size in expected if size is not None]
    if array.ndim == 0 or len(sizes) < len(shape) or math.prod(array.shape[1:]) != math.prod(sizes):
        raise ValueError(f"expected {name} with rows of shape {shape}, as the model takes; received {array.shape[1:]}")
    return array.reshape([len(array), *sizes])
