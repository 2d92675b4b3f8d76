"""TensorProto messages as arrays and back, as the runtime reads and writes them."""

import math

import numpy as np
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2

from tests.serving.loopback.status import Refused, invalid
from tests.serving.savedmodel_runtime import CODES, DTYPES

# The field that holds the values of a type where `tensor_content` does not.
FIELDS = {
    np.dtype(np.float32): "float_val",
    np.dtype(np.float64): "double_val",
    np.dtype(np.int32): "int_val",
    np.dtype(np.uint8): "int_val",
    np.dtype(np.int16): "int_val",
    np.dtype(np.int8): "int_val",
    np.dtype(np.int64): "int64_val",
    np.dtype(np.bool_): "bool_val",
}
MAX_ELEMENTS = 1 << 24
MAX_RANK = 32


def type_name(code: int) -> str:
    """The runtime's name of a type: "float" for DT_FLOAT."""
    return types_pb2.DataType.Name(code).removeprefix("DT_").lower()


def from_proto(alias: str, proto: tensor_pb2.TensorProto, expected: int) -> NDArray:
    """The array of a message.

    Raises:
        Refused: If the message is no tensor, or of a type that arrays here cannot hold and `expected` is not.
    """
    unreadable = invalid(f"tensor parsing error: {alias}")
    if proto.dtype not in types_pb2.DataType.values() or proto.dtype == types_pb2.DT_INVALID:
        raise unreadable
    if proto.dtype not in DTYPES:
        raise wrong_type(expected, proto.dtype)
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise unreadable
    if len(shape) > MAX_RANK or math.prod(shape) > MAX_ELEMENTS:
        raise unreadable
    values = _values(proto, DTYPES[proto.dtype], math.prod(shape))
    if values is None:
        raise unreadable
    return values.reshape(shape)


def wrong_type(expected: int, received: int) -> Refused:
    """What the runtime says of an input of another type."""
    return invalid(f"Expects an arg to be {type_name(expected)} but {type_name(received)} is provided")


def _values(proto: tensor_pb2.TensorProto, dtype: np.dtype, size: int) -> NDArray | None:
    """The values in a row; fewer than `size` are filled up with the last, and no value at all means zeros."""
    if proto.tensor_content:
        whole = len(proto.tensor_content) == size * dtype.itemsize
        return np.frombuffer(proto.tensor_content, dtype) if whole else None
    field = FIELDS.get(dtype)
    given = np.array(getattr(proto, field) if field else [], dtype)[:size]
    last = given[-1:] if len(given) else np.zeros(1, dtype)
    return np.concatenate([given, np.repeat(last, size - len(given))])


def to_proto(value: NDArray) -> tensor_pb2.TensorProto:
    """The message of an array, with its values in the field of their type, as the server's default is."""
    proto = tensor_pb2.TensorProto(dtype=CODES[value.dtype])
    for size in value.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, FIELDS[value.dtype]).extend(value.ravel().tolist())
    return proto
