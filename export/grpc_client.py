"""A client of TF Serving's gRPC interface that uses the stubs of `tensorflow-serving-api`.

    python export/grpc_client.py status
    python export/grpc_client.py sample 4 --seed 1 --out samples.npy
    python export/grpc_client.py log_prob samples.npy

The stubs import TensorFlow for its TensorProto message. The client uses nothing else of it.
"""

from collections.abc import Mapping

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

# Numbers of the types of tfar's signatures, and the fields that hold their values.
DTYPES = {1: np.dtype(np.float32), 3: np.dtype(np.int32)}
NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
FIELDS = {1: "float_val", 3: "int_val"}

# Name of an input -> its type and its shape, in which -1 is the batch.
Inputs = dict[str, tuple[np.dtype, tuple[int, ...]]]
Outputs = NDArray[np.float32] | dict[str, NDArray[np.float32]]


class GrpcClient:
    """A channel to a server, which threads may share.

    Args:
        address: "host:port".
        model: name of the model.
        version: int, or None for the version that the server chooses.
        timeout: float. Seconds to wait for an answer.

    Every method raises `grpc.RpcError` if the server refuses the request. Its `code()` is INVALID_ARGUMENT for bad inputs,
    FAILED_PRECONDITION for an unknown signature, NOT_FOUND for an unknown model, and UNAVAILABLE without a server.
    """

    def __init__(
        self, address: str = "localhost:8500", model: str = "made", version: int | None = None, timeout: float = 30.0
    ) -> None:
        # The default limit of 4 MB is too small for samples of images.
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        self._timeout = timeout

    def predict(self, inputs: Mapping[str, ArrayLike], signature: str = "serving_default") -> Outputs:
        """Runs a signature.

        Args:
            inputs: an array for each input, batch first: float32, or int32 for seeds.
            signature: name of the signature.

        Returns:
            The output of the signature, batch first, or a dict of its outputs if it has several.

        Raises:
            ValueError: If an array is neither float32 nor int32.
        """
        request = predict_pb2.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(to_proto(np.asarray(value)))
        outputs = self._prediction.Predict(request, self._timeout).outputs
        found = {name: from_proto(output) for name, output in outputs.items()}
        return found if len(found) > 1 else next(iter(found.values()))

    def status(self) -> dict[int, str]:
        """Returns the state of each version, which is "AVAILABLE" if it is served."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec)
        versions = self._models.GetModelStatus(request, self._timeout).model_version_status
        return {version.version: type(version).State.Name(version.state) for version in versions}

    def signatures(self) -> dict[str, Inputs]:
        """Returns the inputs of each signature."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=self._spec)
        request.metadata_field.append("signature_def")
        found = get_model_metadata_pb2.SignatureDefMap()
        self._prediction.GetModelMetadata(request, self._timeout).metadata["signature_def"].Unpack(found)
        return {
            name: {
                key: (DTYPES[info.dtype], tuple(dim.size for dim in info.tensor_shape.dim))
                for key, info in signature.inputs.items()
            }
            for name, signature in found.signature_def.items()
            if not name.startswith("__")
        }

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


def to_proto(value: NDArray) -> tensor_pb2.TensorProto:
    """Converts an array to a message.

    Raises:
        ValueError: If it is neither float32 nor int32.
    """
    if value.dtype not in NUMBERS:
        raise ValueError(f"Expected an array of float32 or int32; received {value.dtype}.")
    proto = tensor_pb2.TensorProto(dtype=NUMBERS[value.dtype], tensor_content=value.tobytes())
    for size in value.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def from_proto(proto: tensor_pb2.TensorProto) -> NDArray:
    """Converts a message, whose values are packed or listed, to an array."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, DTYPES[proto.dtype]).reshape(shape)
    return np.array(getattr(proto, FIELDS[proto.dtype]), DTYPES[proto.dtype]).reshape(shape)


if __name__ == "__main__":
    from command_line import main

    main(GrpcClient, "localhost:8500", __doc__)
