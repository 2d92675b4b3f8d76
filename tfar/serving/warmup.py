"""Warm-up requests of TF Serving: a TFRecord of PredictionLog messages.

The messages are encoded here, which is simple and spares the dependency on a package of TF Serving:

    PredictionLog  { PredictLog predict_log = 6 }       PredictLog { PredictRequest request = 1 }
    PredictRequest { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2 }
    ModelSpec      { string name = 1; string signature_name = 3 }
"""

import os
from collections.abc import Iterable, Iterator

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2

from tfar.serving.errors import os_error


def write_requests(
    path: str | os.PathLike[str], model_name: str, requests: Iterable[tuple[str, dict[str, NDArray]]]
) -> None:
    """Writes a record for each request, a pair of the name of a signature and its inputs."""
    try:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for signature, inputs in requests:
                writer.write(prediction_log(model_name, signature, inputs))
    except tf.errors.OpError as error:
        raise os_error(error) from error


def prediction_log(model_name: str, signature: str, inputs: dict[str, NDArray]) -> bytes:
    """Encodes a PredictionLog of a request to a signature of a model."""
    spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def read_requests(path: str | os.PathLike[str]) -> list[tuple[str, dict[str, NDArray]]]:
    """Reads the file that `write_requests` wrote."""
    return [_request(record) for record in tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator()]


def _request(record: bytes) -> tuple[str, dict[str, NDArray]]:
    (_, predict_log), *_ = _fields(record)
    (_, request), *_ = _fields(predict_log)
    signature, inputs = "", {}
    for number, content in _fields(request):
        parts = dict(_fields(content))
        if number == 1:
            signature = parts[3].decode()
        else:
            inputs[parts[1].decode()] = tf.make_ndarray(tensor_pb2.TensorProto.FromString(parts[2]))
    return signature, inputs


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the numbers and contents of length-delimited fields, the inverse of `_field`."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        length, at = _read_varint(message, at)
        yield key >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Returns the number that starts at a byte, and the position after it."""
    value, shift = 0, 0
    while message[at] > 0x7F:
        value, shift, at = value | (message[at] & 0x7F) << shift, shift + 7, at + 1
    return value | message[at] << shift, at + 1


def _field(number: int, content: bytes) -> bytes:
    """Encodes a length-delimited field: a string, bytes or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
