"""Starts the server with flags of `tensorflow_model_server` and serves until it is ended."""

# ruff: noqa: E402
from tests.serving.loopback.protos import import_messages_alone

import_messages_alone()

import argparse
import sys
import threading
from pathlib import Path

from tests.serving.loopback import batching, config, grpc_service, rest, versions


def parse(arguments: list[str]) -> argparse.Namespace:
    """The flags that are known here; all others are errors."""
    parser = argparse.ArgumentParser("loopback", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--rest_api_port", type=int, default=0)
    parser.add_argument("--model_name", default="default")
    parser.add_argument("--model_base_path", type=Path)
    parser.add_argument("--model_config_file", type=Path)
    parser.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0)
    parser.add_argument("--enable_batching", nargs="?", const="true", choices=["true", "false"], default="false")
    parser.add_argument("--batching_parameters_file", type=Path)
    flags = parser.parse_args(arguments)
    if flags.batching_parameters_file and flags.enable_batching == "false":
        parser.error("batching_parameters_file is set without setting enable_batching to true.")
    if not (flags.model_base_path or flags.model_config_file):
        parser.error("Expected model_base_path or model_config_file.")
    return flags


def models(flags: argparse.Namespace) -> versions.Models:
    """Loads what the flags name."""
    parameters: batching.Parameters | None = None
    if flags.enable_batching == "true":
        parameters = config.parameters(flags.batching_parameters_file)
    folders = {flags.model_name: flags.model_base_path}
    if flags.model_config_file:
        read = config.model_server_config(flags.model_config_file)
        folders = {model.name: Path(model.base_path) for model in read.model_config_list.config}
    found = [versions.Model(name, path, parameters) for name, path in folders.items()]
    return versions.Models(found, flags.file_system_poll_wait_seconds)


def main() -> None:
    flags = parse(sys.argv[1:])
    loaded = models(flags)
    if loaded.failures():
        sys.exit(f"Could not serve {'; '.join(loaded.failures())}")
    servers = [grpc_service.serve(loaded, flags.port)]
    if flags.rest_api_port:
        servers.append(rest.serve(loaded, flags.rest_api_port))
    threading.Event().wait()


if __name__ == "__main__":
    main()
