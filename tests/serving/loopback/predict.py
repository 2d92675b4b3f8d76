"""Predict: the checks of a request against its signature; types and shapes are the runtime's to check."""

from google.protobuf.message import Message
from tensorflow_serving.apis import predict_pb2

from tests.serving.loopback import tensors
from tests.serving.loopback.servable import Servable
from tests.serving.loopback.status import failed_precondition, invalid

DEFAULT = "serving_default"


def predict(servable: Servable, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    """Answers a request.

    Raises:
        Refused: If the signature is unknown, inputs are missing or too many, a tensor is none, an output is not one of
            the signature or asked for twice, or the runtime fails.
    """
    name = request.model_spec.signature_name or DEFAULT
    if name not in servable.signatures:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    signature = servable.signatures[name]
    _check_names(set(request.inputs), set(signature.inputs))
    feeds = {
        info.name: tensors.from_proto(alias, request.inputs[alias], info.dtype)
        for alias, info in signature.inputs.items()
    }
    response = predict_pb2.PredictResponse()
    response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
    response.model_spec.version.value = servable.version
    for alias in _output_names(request, signature):
        result = servable.run(feeds, signature.outputs[alias].name)
        response.outputs[alias].CopyFrom(tensors.to_proto(result))
    return response


def _check_names(sent: set[str], expected: set[str]) -> None:
    if len(sent) != len(expected):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)}. "
            f"Sent extra: {sorted(sent - expected)}. Missing but required: {sorted(expected - sent)}."
        )
    if sent != expected:
        raise invalid(f"Signature input alias: {min(expected - sent)} not found in request")


def _output_names(request: predict_pb2.PredictRequest, signature: Message) -> list[str]:
    wanted = list(request.output_filter)
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid(f"output tensor alias not found in signature: {alias}")
    if len(set(wanted)) < len(wanted):
        raise invalid("duplicate output tensor alias")
    return wanted or list(signature.outputs)
