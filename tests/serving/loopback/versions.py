"""Folders of versions: the newest integer is loaded, then served, and only then is the one before let go."""

import threading
import time
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from tests.serving.loopback import batching
from tests.serving.loopback.predict import predict
from tests.serving.loopback.servable import Servable
from tests.serving.loopback.status import invalid, not_found

Status = get_model_status_pb2.ModelVersionStatus
AVAILABLE, LOADING, END = Status.AVAILABLE, Status.LOADING, Status.END
UNKNOWN_ERROR = 2


class Model:
    """One model: its folder, the version that is served, and what became of each.

    Args:
        name: str.
        base_path: folder of its versions.
        parameters: how to batch, or None.
    """

    def __init__(self, name: str, base_path: Path, parameters: batching.Parameters | None = None) -> None:
        self.name, self.base_path, self._parameters = name, base_path, parameters
        self.served: Servable | None = None
        self.statuses: dict[int, Status] = {}
        self._failed: set[int] = set()

    def poll(self) -> None:
        """Serves the newest version, be it an older one now. One that fails is tried once, and changes nothing."""
        found = {int(path.name): path for path in self.base_path.iterdir() if path.name.isdecimal()}
        newest = max(found, default=None)
        if newest is None or newest in self._failed or (self.served and newest == self.served.version):
            return
        self._say(newest, LOADING)
        try:
            loaded = Servable(newest, found[newest], self._parameters)
            for record in loaded.warm_up_requests():
                predict(loaded, record.predict_log.request)
        except Exception as error:
            self._failed.add(newest)
            self._say(newest, END, str(error))
            return
        # Requests that still hold the version before are answered by it; it goes with the last of them.
        before, self.served = self.served, loaded
        self._say(newest, AVAILABLE)
        if before is not None:
            self._say(before.version, END)

    def _say(self, version: int, state: int, error: str = "") -> None:
        status = Status(version=version, state=state)
        status.status.error_code, status.status.error_message = UNKNOWN_ERROR if error else 0, error
        status.status.SetInParent()
        self.statuses[version] = status


class Models:
    """All models of the server, by name.

    Args:
        models: the models.
        poll_wait: seconds between looks at the folders; 0 looks once, as the server is made.
    """

    def __init__(self, models: list[Model], poll_wait: float) -> None:
        self._models = {model.name: model for model in models}
        self._poll_wait = poll_wait
        self._poll()
        if poll_wait > 0:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self._poll_wait)
            self._poll()

    def _poll(self) -> None:
        for model in self._models.values():
            model.poll()

    def failures(self) -> list[str]:
        """What keeps a model from being served."""
        return [
            f"{model.name}: {[s.status.error_message for s in model.statuses.values()] or 'no version'}"
            for model in self._models.values()
            if model.served is None
        ]

    def servable(self, spec: model_pb2.ModelSpec) -> Servable:
        """The version that a request asks for.

        Raises:
            Refused: If it names no model, or one or a version that is not served.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.WhichOneof("version_choice") == "version_label":
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        served = self._models[spec.name].served if spec.name in self._models else None
        if not spec.HasField("version"):
            if served is None:
                raise not_found(f"Servable not found for request: Latest({spec.name})")
            return served
        if served is None or served.version != spec.version.value:
            raise not_found(f"Servable not found for request: Specific({spec.name}, {spec.version.value})")
        return served

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """What became of the versions of a model.

        Raises:
            Refused: If the model or the version is unknown.
        """
        found = dict(self._models[spec.name].statuses) if spec.name in self._models else {}
        if spec.HasField("version"):
            found = {number: status for number, status in found.items() if number == spec.version.value}
        if not found:
            raise not_found(f"Could not find any versions of model {spec.name}")
        ordered = [found[number] for number in sorted(found, reverse=True)]
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=ordered)
