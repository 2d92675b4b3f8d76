"""A client of TF Serving's REST interface, which needs only the standard library and NumPy.

python export/rest_client.py status
python export/rest_client.py sample 4 --seed 1 --out samples.npy
python export/rest_client.py log_prob samples.npy
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

DTYPES = {"DT_FLOAT": np.dtype(np.float32), "DT_INT32": np.dtype(np.int32)}

# Name of an input -> its type and its shape, in which -1 is the batch.
Inputs = dict[str, tuple[np.dtype, tuple[int, ...]]]


class RequestError(RuntimeError):
    """The server refused a request.

    Attributes:
        status: int. The HTTP status, such as 400 for a bad request or 404 for an unknown model or version.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class RestClient:
    """A connection to a server. It is not thread-safe.

    Args:
        address: "host:port".
        model: name of the model.
        version: int, or None for the version that the server chooses.
        timeout: float. Seconds to wait for an answer.
    """

    def __init__(
        self, address: str = "localhost:8501", model: str = "made", version: int | None = None, timeout: float = 30.0
    ) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=timeout)
        self._path = f"/v1/models/{quote(model, safe='')}" + ("" if version is None else f"/versions/{version}")

    def predict(
        self, inputs: Mapping[str, ArrayLike], signature: str = "serving_default", *, by_row: bool = False
    ) -> NDArray[np.float32] | dict[str, NDArray[np.float32]]:
        """Runs a signature.

        Args:
            inputs: an array for each input, batch first. Integer inputs must have an integer type.
            signature: name of the signature.
            by_row: bool. Whether to send a list of rows (`instances`) instead of a list for each input (`inputs`).

        Returns:
            The output of the signature, batch first, or a dict of its outputs if it has several.

        Raises:
            RequestError: If the server refuses.
            OSError: If the server does not answer.
        """
        values = {name: np.asarray(value).tolist() for name, value in inputs.items()}
        body: dict[str, Any] = {"signature_name": signature, "inputs": values}
        if by_row:
            rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
            body = {"signature_name": signature, "instances": rows}
        answer = self.request("POST", f"{self._path}:predict", json.dumps(body).encode())
        found = answer["predictions" if by_row else "outputs"]
        if by_row and isinstance(found[0], dict):
            found = {name: [row[name] for row in found] for name in found[0]}
        if isinstance(found, dict):
            return {name: np.array(values, np.float32) for name, values in found.items()}
        return np.array(found, np.float32)

    def status(self) -> dict[int, str]:
        """Returns the state of each version, which is "AVAILABLE" if it is served.

        Raises:
            RequestError: If the model is unknown.
        """
        versions = self.request("GET", self._path)["model_version_status"]
        return {int(version["version"]): version["state"] for version in versions}

    def signatures(self) -> dict[str, Inputs]:
        """Returns the inputs of each signature.

        Raises:
            RequestError: If the model is unknown.
        """
        found = self.request("GET", f"{self._path}/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: {key: _input(info) for key, info in signature["inputs"].items()}
            for name, signature in found.items()
            if not name.startswith("__")
        }

    def request(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Sends a request and returns the JSON of the answer. It connects again if the server closed the connection.

        Raises:
            RequestError: If the status is not 200.
            OSError: If the server does not answer.
        """
        try:
            status, content = self._send(method, path, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            status, content = self._send(method, path, body)
        if status != http.client.OK:
            raise RequestError(status, _error(content))
        return json.loads(content)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Closes the connection. The next request opens it again."""
        self._connection.close()


def _input(info: Mapping[str, Any]) -> tuple[np.dtype, tuple[int, ...]]:
    return DTYPES[info["dtype"]], tuple(int(dim["size"]) for dim in info["tensor_shape"]["dim"])


def _error(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")


if __name__ == "__main__":
    from command_line import main

    main(RestClient, "localhost:8501", __doc__)
