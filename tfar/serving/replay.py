"""Compares every signature of an export with the distribution that was exported."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.laws.signature import Example, Signature
from tfar.serving.errors import ExportError

Batch = dict[str, NDArray]
Run = Callable[[str, Batch], Batch]


def replay(name: str, signatures: Mapping[str, Signature], written: Run, relative: float | None = 1e-5) -> None:
    """Compares what an export returns with the examples of its signatures, which the live distribution computed.

    A draw at the boundary between two values may differ by rounding, so a signature that differs on one example is compared on
    a second one.

    Args:
        name: the name of the distribution, for messages.
        signatures: the signatures.
        written: runs a signature of the export.
        relative: float. The relative difference that is allowed; None if the weights were rounded: then outputs must be finite.

    Raises:
        ExportError: If a signature fails, or its outputs differ on both examples.
        ValueError: If a method of the distribution itself fails or returns NaN.
    """
    differing = sorted(set(signatures))
    for seed in (0, 1):
        examples = {key: _example(name, key, signatures[key], seed) for key in differing}
        differing = [key for key in differing if not _agrees(key, examples[key], written, relative)]
    if differing:
        raise ExportError(f"The export differs from the distribution in {differing}; it was removed.")


def _example(name: str, key: str, signature: Signature, seed: int) -> Example:
    expected = f"Expected a distribution with finite weights, whose methods return numbers; {key} of {name}"
    try:
        example = signature.example(seed)
    except ValueError as error:
        raise ValueError(f"{expected} fails: {error}") from error
    if any(np.isnan(output).any() for output in example.outputs.values()):
        raise ValueError(f"{expected} returns NaN.")
    return example


def _agrees(signature: str, example: Example, written: Run, relative: float | None) -> bool:
    try:
        got = written(signature, example.inputs)
    except Exception as error:
        raise ExportError(f"Signature {signature!r} of the export fails: {error}") from error
    return set(got) == set(example.outputs) and all(
        _equal(got[key], expected, example.scale, relative) for key, expected in example.outputs.items()
    )


def _equal(got: NDArray, expected: NDArray, scale: NDArray | None, relative: float | None) -> bool:
    """Whether outputs are equal up to rounding: draws to a thousandth, others relative to the `scale` of their row."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return False
    if relative is None:
        return bool(np.isfinite(got).all())
    if scale is None:
        return bool(np.allclose(got, expected, rtol=1e-3, atol=1e-3))
    return bool((np.abs(got - expected) <= relative * scale.reshape([-1] + [1] * (got.ndim - 1))).all())


def numpy_runner(functions: Mapping[str, Any]) -> Run:
    """Makes a runner of TensorFlow functions that take and return named tensors."""

    def run(name: str, inputs: Batch) -> Batch:
        outputs = functions[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: output.numpy() for key, output in outputs.items()}

    return run
