"""Starts the servers that the tests talk to: the small one of `loopback`, or TF Serving itself where there is one."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TF_SERVING = os.environ.get("TFAR_TF_SERVING")
LOOPBACK, REAL = "loopback", "tensorflow_model_server"
KINDS = [
    LOOPBACK,
    pytest.param(
        REAL, marks=pytest.mark.skipif(not TF_SERVING, reason="TFAR_TF_SERVING names no tensorflow_model_server")
    ),
]
COMMANDS = {LOOPBACK: [sys.executable, "-m", "tests.serving.loopback"], REAL: [TF_SERVING or REAL]}
# TF Serving takes whole seconds between looks at the folders, and tries a load that fails six times in as many minutes.
FLAGS = {
    LOOPBACK: ["--file_system_poll_wait_seconds=0.05"],
    REAL: ["--file_system_poll_wait_seconds=1", "--max_num_load_retries=0"],
}
START_SECONDS = 60.0


@dataclass
class Server:
    """A running server.

    Attributes:
        grpc: "host:port" of its gRPC interface.
        rest: "host:port" of its REST interface.
    """

    grpc: str
    rest: str
    _clients: list[Any] = field(default_factory=list)

    def client(self, transport: str, model: str, version: int | None = None) -> Any:
        """A client of `export/`, by the name of its transport, "grpc" or "rest"; it is closed with the server."""
        from grpc_client import GrpcClient
        from rest_client import RestClient

        made = {"grpc": GrpcClient, "rest": RestClient}[transport](getattr(self, transport), model, version)
        self._clients.append(made)
        return made

    def close_clients(self) -> None:
        """Closes the connections of all clients."""
        for client in self._clients:
            client.close()


@contextlib.contextmanager
def running(kind: str, flags: Sequence[str], folder: Path) -> Iterator[Server]:
    """Starts a server with flags of `tensorflow_model_server` and ends it.

    Args:
        kind: which server.
        flags: all but the ports and the time between looks at the folders.
        folder: where its log is written.

    Raises:
        RuntimeError: If it does not start, with its log.
    """
    ports = free_ports(2)
    command = [*COMMANDS[kind], f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *FLAGS[kind], *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "1"}
    log = folder / f"server-{ports[0]}.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT)
    server = Server(*(f"127.0.0.1:{port}" for port in ports))
    try:
        _wait(process, ports, log)
        yield server
    finally:
        server.close_clients()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, ports: Sequence[int], log: Path) -> None:
    """Waits for the ports, which servers open when their models are loaded."""
    until = time.monotonic() + START_SECONDS
    while not all(map(_is_open, ports)):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"The server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody has."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def model_config(models: dict[str, Path]) -> str:
    """A ModelServerConfig of models and their folders."""
    configs = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for name, path in models.items()
    )
    return f"model_config_list {{ {configs} }}"
