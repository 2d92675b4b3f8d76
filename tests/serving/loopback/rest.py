"""The REST interface: predict, model status and metadata."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn
from urllib.parse import unquote

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2

from tests.serving.loopback import json_tensors
from tests.serving.loopback.grpc_service import SIGNATURE_DEF, metadata
from tests.serving.loopback.predict import DEFAULT, predict
from tests.serving.loopback.status import Refused, invalid, not_found
from tests.serving.loopback.versions import Models

_MODEL = r"(?i:/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICT = re.compile(_MODEL + r":predict)")
STATUS = re.compile(_MODEL + r"(?P<metadata>/metadata)?)")
MAX_VERSION = 2**63 - 1


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON: what was asked for, or `{"error": message}`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    models: Models

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._predict)

    def do_PUT(self) -> None:
        self._answer(self._malformed)

    do_DELETE = do_PUT

    def _answer(self, action: Callable[[bytes], str]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 200
        try:
            if not self.path.lower().startswith("/v1/"):
                raise not_found("Not Found")
            text = action(body)
        except Refused as error:
            status, text = error.http, json.dumps({"error": error.message})
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _spec(self, pattern: re.Pattern[str]) -> tuple[model_pb2.ModelSpec, dict[str, str]]:
        match = pattern.fullmatch(self.path)
        if match is None:
            self._malformed()
        parts = match.groupdict()
        spec = model_pb2.ModelSpec(name=unquote(parts["name"]))
        if parts["version"]:
            if int(parts["version"]) > MAX_VERSION:
                raise invalid(f"Failed to convert version: {parts['version']} to numeric.")
            spec.version.value = int(parts["version"])
        if parts["label"]:
            spec.version_label = unquote(parts["label"])
        return spec, parts

    def _malformed(self, body: bytes = b"") -> NoReturn:
        raise invalid(f"Malformed request: {self.command} {self.path}")

    def _predict(self, body: bytes) -> str:
        spec, _ = self._spec(PREDICT)
        content = json_tensors.parse(body)
        request = predict_pb2.PredictRequest(model_spec=spec)
        request.model_spec.signature_name = json_tensors.signature_name(content)
        servable = self.models.servable(spec)
        name = request.model_spec.signature_name or DEFAULT
        if name not in servable.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        form = json_tensors.fill(request, content, servable.signatures[name].inputs)
        return json_tensors.answer(predict(servable, request).outputs, form)

    def _read(self, body: bytes) -> str:
        spec, parts = self._spec(STATUS)
        options = {"always_print_fields_with_no_presence": True}
        if not parts["metadata"]:
            return json_format.MessageToJson(self.models.status(spec), **options)
        options["preserving_proto_field_name"] = True
        response = metadata(spec.name, self.models.servable(spec))
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        content = {
            "model_spec": json_format.MessageToDict(response.model_spec, **options),
            "metadata": {SIGNATURE_DEF: json_format.MessageToDict(signatures, **options)},
        }
        return json.dumps(content)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; many may come at once."""

    daemon_threads = True
    request_queue_size = 128


def serve(models: Models, port: int) -> Server:
    """Starts answering on the port, on the loopback address alone."""
    server = Server(("127.0.0.1", port), type("Handler", (Handler,), {"models": models}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
