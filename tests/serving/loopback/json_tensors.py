"""Tensors in JSON: the row form (`instances`) and the column form (`inputs`) of requests and answers."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from tests.serving.loopback import tensors
from tests.serving.loopback.status import invalid

ROWS, COLUMNS = "instances", "inputs"
INT32 = np.iinfo(np.int32)


def parse(body: bytes) -> dict[str, Any]:
    """The object that a request holds; what follows it is ignored, and NaN and Infinity are numbers.

    Raises:
        Refused: If it is no JSON or no object.
    """
    decoder = json.JSONDecoder(parse_float=_finite)
    try:
        content, _ = decoder.raw_decode(body.decode("utf-8").lstrip())
    except (ValueError, OverflowError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {content!r:.200} Is not object")
    return content


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"Number too big to be stored in double: {text}")
    return value


def signature_name(content: Mapping[str, Any]) -> str:
    """The signature that the request names, or nothing.

    Raises:
        Refused: If it is no string.
    """
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name


def fill(request: predict_pb2.PredictRequest, content: Mapping[str, Any], inputs: Mapping[str, Message]) -> str:
    """Adds the tensors of the content to a request, with the types of the signature's `inputs`.

    Returns:
        The form of the request, in which it is answered: `instances` or `inputs`.

    Raises:
        Refused: If both forms or neither are there, or an input is missing, unknown, ragged or of another type.
    """
    if (ROWS in content) == (COLUMNS in content):
        raise invalid(f"Expecting one of '{COLUMNS}' or '{ROWS}'")
    form = ROWS if ROWS in content else COLUMNS
    values = _rows(content[ROWS], inputs) if form == ROWS else _columns(content[COLUMNS], inputs)
    for name, value in values.items():
        request.inputs[name].CopyFrom(_tensor(name, value, inputs[name].dtype))
    return form


def _rows(instances: Any, inputs: Mapping[str, Message]) -> dict[str, list]:
    """The values of each input, row by row; a plain list belongs to the only one."""
    if not isinstance(instances, list):
        raise invalid(f"Expecting '{ROWS}' to be an list/array")
    if not instances:
        raise invalid(f"No values in '{ROWS}' array")
    if not isinstance(instances[0], dict):
        (name,) = _only(inputs, f"{ROWS} is a plain list, but expecting list of objects")
        instances = [{name: item} if not isinstance(item, dict) else None for item in instances]
    for number, item in enumerate(instances):
        if not isinstance(item, dict) or item.keys() != inputs.keys():
            raise invalid(f"Failed to process element: {number}: keys must be equal to: {','.join(sorted(inputs))}")
    return {name: [item[name] for item in instances] for name in inputs}


def _columns(columns: Any, inputs: Mapping[str, Message]) -> dict[str, Any]:
    """The value of each input; a plain list belongs to the only one. What the signature does not name is ignored."""
    if not isinstance(columns, dict):
        (name,) = _only(inputs, f"{COLUMNS} is a plain value/list, but expecting an object")
        return {name: columns}
    for name in inputs:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in '{COLUMNS}' object.")
    return {name: columns[name] for name in inputs}


def _only(inputs: Mapping[str, Message], otherwise: str) -> list[str]:
    if len(inputs) != 1:
        raise invalid(f"{otherwise} as multiple input tensors required")
    return list(inputs)


def _tensor(name: str, value: Any, code: int) -> tensor_pb2.TensorProto:
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    if len(shape) > tensors.MAX_RANK:
        raise invalid(f"tensor parsing error: {name}")
    flat: list[Any] = []
    _flatten(value, shape, flat)
    for item in flat:
        _check_type(item, code)
    if code not in (types_pb2.DT_FLOAT, types_pb2.DT_INT32):
        raise invalid(f"Conversion of JSON to type {tensors.type_name(code)} of {name} is not needed here")
    with np.errstate(over="ignore"):
        return tensors.to_proto(np.array(flat, np.float32 if code == types_pb2.DT_FLOAT else np.int32).reshape(shape))


def _flatten(value: Any, shape: list[int], flat: list[Any]) -> None:
    """Appends the values of a nested list that has `shape` everywhere."""
    if not isinstance(value, list):
        if shape:
            raise invalid(f"JSON Value: {value!r:.100} found at incorrect level")
        flat.append(value)
        return
    if not shape:
        raise invalid("Encountered list at unexpected level")
    if len(value) != shape[0]:
        raise invalid(f"Encountered list at unexpected size: {len(value)} expected size: {shape[0]}")
    for item in value:
        _flatten(item, shape[1:], flat)


def _check_type(value: Any, code: int) -> None:
    """Numbers for floats, and integers alone for integers: 1.0 is none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    integer = number and isinstance(value, int) and INT32.min <= value <= INT32.max
    if not (integer if code == types_pb2.DT_INT32 else number):
        raise invalid(f"JSON Value: {value!r:.100} is not of expected type: {tensors.type_name(code)}")


def answer(outputs: Mapping[str, tensor_pb2.TensorProto], form: str) -> str:
    """The text of an answer; a single output loses its name.

    Raises:
        Refused: If the row form is asked of an output without rows.
    """
    arrays = {name: tensors.from_proto(name, proto, proto.dtype) for name, proto in outputs.items()}
    if form == ROWS and any(array.ndim == 0 for array in arrays.values()):
        raise invalid("Tensor has no shape information")
    if len(arrays) == 1:
        (text,) = map(_text, arrays.values())
    elif form == ROWS:
        (count,) = {len(array) for array in arrays.values()}
        rows = ({name: array[i] for name, array in arrays.items()} for i in range(count))
        text = f"[{', '.join(map(_object, rows))}]"
    else:
        text = _object(arrays)
    return f'{{"{"predictions" if form == ROWS else "outputs"}": {text}}}'


def _object(arrays: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {_text(array)}' for name, array in arrays.items())}}}"


def _text(array: NDArray) -> str:
    if array.ndim:
        return f"[{', '.join(map(_text, array))}]"
    return decimal(array[()]) if array.dtype.kind == "f" else str(array[()])


def decimal(value: np.float32) -> str:
    """A number as TF Serving writes it: six digits if they are enough, and bare NaN, Infinity and -Infinity."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    if np.float32(text) != value:
        text = f"{value:.9g}"
    return text if "." in text or "e" in text else text + ".0"
