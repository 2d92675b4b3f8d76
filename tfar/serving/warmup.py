"""Requests with which TF Serving warms a model up: a TFRecord of its PredictionLog messages.

The messages are small and their field numbers fixed, so they are encoded here and need no package of TF Serving:

    PredictionLog  { PredictLog predict_log = 6 }       PredictLog { PredictRequest request = 1 }
    PredictRequest { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2 }
    ModelSpec      { string name = 1; string signature_name = 3 }
"""

import os
from collections.abc import Iterable

import tensorflow as tf
from numpy.typing import NDArray

from tfar.serving.errors import os_error


def write_requests(
    path: str | os.PathLike[str], model_name: str, requests: Iterable[tuple[str, dict[str, NDArray]]]
) -> None:
    """Writes one record for each request, a pair of a signature's name and its inputs.

    Raises:
        OSError: If it could not be written.
    """
    try:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for signature, inputs in requests:
                writer.write(prediction_log(model_name, signature, inputs))
    except tf.errors.OpError as error:
        raise os_error(error) from error


def prediction_log(model_name: str, signature: str, inputs: dict[str, NDArray]) -> bytes:
    """Encodes a PredictionLog whose request asks `signature` of `model_name` for `inputs`."""
    spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field: strings, bytes, messages."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
