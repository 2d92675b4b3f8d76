"""Exports TFLite files: one file with all signatures, any batch size and only built-in operations."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfar import files
from tfar.serving import saved_model
from tfar.serving.errors import ExportError
from tfar.serving.replay import Batch, Run, replay
from tfar.serving.signatures import signatures

QUANTIZE = (None, "float16", "dynamic")


def export_tflite(dist: Any, path: str | os.PathLike[str], quantize: str | None = None) -> Path:
    """Writes one TFLite file with the signatures of `export_saved_model`.

    It uses only built-in operations, so the plain runtime can run it, and takes any batch size. The file is run and compared
    with the distribution before it gets its name.

    Args:
        dist: a distribution without a bound condition, because the condition is an input.
        path: path that ends with `.tflite`. An existing file is replaced.
        quantize: None for float32 weights, "float16" to store the weights in half the space, or "dynamic" to store large
            weights as 8-bit integers. The last two change the model; `log_prob_error` measures by how much on data.

    Returns:
        The path.

    Raises:
        ValueError: If the distribution cannot be exported, or `path` or `quantize` is not valid.
        ExportError: If the network needs operations that TFLite lacks, or the file differs from the distribution.
        OSError: If the file cannot be written, for example because the disk is full.

    Example:
        >>> export_tflite(tfar.MADE([4], [8]), "made.tflite").name
        'made.tflite'
    """
    parts = signatures(dist)
    path = _checked_path(path)
    if quantize not in QUANTIZE:
        raise ValueError(f"Expected `quantize` to be one of {QUANTIZE}; received {quantize!r}.")
    functions = saved_model.trace(parts)
    relative = 1e-5 if quantize is None else None
    with files.replacing(path, ".tflite") as temporary:
        content = _convert(dist, functions, quantize)
        replay(dist.name, parts, make_runner(content), relative)
        temporary.write_bytes(content)
    return path


def _checked_path(path: str | os.PathLike[str]) -> Path:
    try:
        path = Path(path)
    except TypeError as error:
        raise ValueError(f"Expected `path` to be the path of a file; received {path!r}.") from error
    if path.suffix != ".tflite":
        raise ValueError(f"Expected a path that ends with '.tflite'; received {str(path)!r}.")
    if path.is_dir():
        raise ValueError(f"Expected `path` to be a file; {path} is a folder.")
    return path


def _convert(dist: Any, functions: Mapping[str, Any], quantize: str | None) -> bytes:
    """Converts through a SavedModel, the only way that keeps several signatures and their names."""
    with tempfile.TemporaryDirectory(prefix="tfar-") as folder:
        saved_model.write(dist, functions, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=sorted(functions))
        # Without this, the converter drops the activation after a product with a computed kernel and no bias.
        converter.unfold_batchmatmul = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:  # The converter raises its own classes and plain Exception.
            lines = " ".join(line.strip() for line in str(error).splitlines()[:6])
            raise ExportError(f"TFLite cannot convert this network: {lines[:800]}") from error


def make_runner(content: bytes) -> Run:
    """Makes a runner of the signatures of a TFLite file."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    interpreter = Interpreter(model_content=content)

    def run(name: str, inputs: Batch) -> Batch:
        outputs = interpreter.get_signature_runner(name)(**inputs)
        return {key: np.array(output) for key, output in outputs.items()}

    return run
