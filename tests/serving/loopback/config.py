"""The configuration files of TF Serving, read with their official messages."""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from tests.serving.loopback import batching

# BatchingParameters of session_bundle_config.proto, which the Python package lacks: names, numbers and types.
_PACKAGE = "tensorflow.serving"
_FIELDS = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}


def model_server_config(path: Path) -> model_server_config_pb2.ModelServerConfig:
    """The models of `--model_config_file`.

    Raises:
        google.protobuf.text_format.ParseError: If it does not follow the message.
    """
    return text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())


def batching_parameters(path: Path) -> Message:
    """The message of `--batching_parameters_file`.

    Raises:
        google.protobuf.text_format.ParseError: If it does not follow the message.
    """
    file = descriptor_pb2.FileDescriptorProto(name="batching_parameters.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, (number, kind) in _FIELDS.items():
        type_name = f".google.protobuf.{kind}"
        message.field.add(
            name=name, number=number, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_MESSAGE, type_name=type_name
        )
    message.field.add(name="allowed_batch_sizes", number=6, label=kinds.LABEL_REPEATED, type=kinds.TYPE_INT64)
    message.field.add(name="pad_variable_length_inputs", number=7, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_BOOL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.BatchingParameters"))
    return text_format.Parse(path.read_text(), made())


def parameters(path: Path | None) -> batching.Parameters:
    """What the server does of it: sizes and the time to wait.

    Raises:
        ValueError: If the values contradict each other.
    """
    if path is None:
        return batching.Parameters()
    message = batching_parameters(path)
    given = {name: getattr(message, name).value for name in _FIELDS if message.HasField(name)}
    max_rows = given.get("max_batch_size", batching.Parameters.max_rows)
    split = given.get("enable_large_batch_splitting", False)
    max_batch = given.get("max_execution_batch_size", max_rows) if split else max_rows
    if max_batch > max_rows:
        raise ValueError(f"Expected max_execution_batch_size <= max_batch_size; received {max_batch} > {max_rows}.")
    return batching.Parameters(max_rows, max_batch, given.get("batch_timeout_micros", 0) * 1e-6)
