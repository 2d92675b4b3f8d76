"""PredictionService and ModelService on the official stubs."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.loopback.predict import predict
from tests.serving.loopback.servable import Servable
from tests.serving.loopback.status import Refused, invalid
from tests.serving.loopback.versions import Models

NUM_THREADS = 32
MAX_MESSAGE = 1024
SIGNATURE_DEF = "signature_def"


def metadata(name: str, servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a version."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name, response.model_spec.version.value = name, servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in servable.signatures.items():
        signatures.signature_def[key].CopyFrom(signature)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def _answered(answer: Callable[[], Any], context: grpc.ServicerContext) -> Any:
    try:
        return answer()
    except Refused as error:
        return context.abort(error.code, error.message[:MAX_MESSAGE])


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the rest is for classifiers and regressors, and unimplemented."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        return _answered(lambda: predict(self._models.servable(_spec(request)), request), context)

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> Any:
        def answer() -> Any:
            spec = _spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != SIGNATURE_DEF:
                    raise invalid(f"Metadata field {field} is not supported")
            return metadata(spec.name, self._models.servable(spec))

        return _answered(answer, context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext) -> Any:
        return _answered(lambda: self._models.status(_spec(request)), context)


def serve(models: Models, port: int) -> grpc.Server:
    """Starts answering on the port, on the loopback address alone."""
    server = grpc.server(futures.ThreadPoolExecutor(NUM_THREADS), options=[("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server
