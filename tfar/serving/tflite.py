"""TFLite files: one file with all signatures, any batch size, built-in operations alone."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import files
from tfar.distributions import Autoregressive
from tfar.serving import saved_model
from tfar.serving.errors import ExportError
from tfar.serving.replay import Batch, Run, numpy_runner, replay
from tfar.serving.signatures import Signature, signatures

QUANTIZE = (None, "float16", "dynamic")


def export_tflite(dist: Autoregressive, path: str | os.PathLike[str], quantize: str | None = None) -> Path:
    """Writes one TFLite file with the signatures of `export_saved_model`.

    Only built-in operations are used, so that the plain runtime runs it; the batch size is that of the inputs, which a
    signature runner sees to by itself. The file is run and compared with the distribution before it takes its name.

    Args:
        dist: a distribution whose condition is not bound: the condition is an input.
        path: path that ends with `.tflite`. A file that is there is replaced.
        quantize: None for float32 weights; "float16" stores them in half the space; "dynamic" stores the large ones as
            8-bit integers. The last two change the model: `log_prob_error` says by how much on your data.

    Returns:
        The path.

    Raises:
        ValueError: If the distribution cannot be exported, or `path` or `quantize` is not one.
        ExportError: If the network needs operations that TFLite lacks, or the file differs from the distribution.
        OSError: If it could not be written, for example to a full disk.

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
        replay(dist, parts, numpy_runner(functions, parts), make_runner(content, parts), relative)
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


def _convert(dist: Autoregressive, functions: Mapping[str, Any], quantize: str | None) -> bytes:
    """Converts by way of a SavedModel, as only that keeps several signatures and their names."""
    with tempfile.TemporaryDirectory(prefix="tfar-") as folder:
        saved_model.write(dist, functions, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=sorted(functions))
        # Otherwise the converter drops the activation that follows a product with a computed kernel without bias.
        converter.unfold_batchmatmul = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:  # The converter raises classes of its own, and Exception itself.
            raise ExportError(f"TFLite cannot convert this network: {_first_lines(error)}") from error


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:6])[:800]


def make_runner(content: bytes, parts: Mapping[str, Signature]) -> Run:
    """A runner of the signatures of a TFLite file."""
    interpreter = _interpreter(content)

    def run(name: str, inputs: Batch) -> NDArray:
        outputs = interpreter.get_signature_runner(name)(**inputs)
        return np.array(outputs[parts[name].output])

    return run


def _interpreter(content: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    return Interpreter(model_content=content)
