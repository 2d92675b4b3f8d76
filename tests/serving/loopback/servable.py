"""A version of a model, loaded and warmed up."""

import struct
from collections.abc import Iterator
from pathlib import Path

from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving.loopback import batching
from tests.serving.loopback.status import of_runtime
from tests.serving.savedmodel_runtime import RuntimeStatus, SavedModel, library

WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"


class Servable:
    """A loaded version: its signatures, and a session that runs them, in batches if it is told to.

    Args:
        version: int.
        folder: the version's folder.
        parameters: how to batch, or None to run every request by itself.

    Raises:
        RuntimeStatus: If it cannot be loaded.
    """

    def __init__(self, version: int, folder: Path, parameters: batching.Parameters | None = None) -> None:
        self.version, self.folder = version, folder
        content = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = dict(content.meta_graphs[0].signature_def)
        self._model = SavedModel(library(), str(folder))
        self._queues = None if parameters is None else batching.Queues(self._run_alone, parameters)

    def run(self, feeds: dict[str, NDArray], fetch: str) -> NDArray:
        """Feeds tensors by name and fetches one.

        Raises:
            Refused: With what the runtime reports.
        """
        return self._run_alone(feeds, fetch) if self._queues is None else self._queues.run(feeds, fetch)

    def _run_alone(self, feeds: dict[str, NDArray], fetch: str) -> NDArray:
        try:
            return self._model.run(feeds, fetch)
        except RuntimeStatus as error:
            raise of_runtime(error) from error

    def warm_up_requests(self) -> Iterator[prediction_log_pb2.PredictionLog]:
        """The requests that the version brings: TFRecords of a length, its checksum, the record and its checksum."""
        path = self.folder / WARM_UP
        content, start = path.read_bytes() if path.exists() else b"", 0
        while start < len(content):
            (length,) = struct.unpack_from("<Q", content, start)
            yield prediction_log_pb2.PredictionLog.FromString(content[start + 12 : start + 12 + length])
            start += length + 16
