"""`tfar serve`: the command that starts TF Serving on an export. tfar has no server of its own."""

import csv
import io
import re
import shlex
from pathlib import Path
from typing import Any

import typer

from tfar.cli.errors import reports_errors
from tfar.cli.options import Export as ExportOption
from tfar.exports import Export, find_export

HELP = """Print the command that starts TF Serving on an exported SavedModel, without starting anything.

The server listens on this machine only, and the version of its Docker image is fixed.

Given the folder of all versions, the server serves the newest one, and loads newer ones as they are exported. Given the \
folder of one version, it serves only that version.

[bold]Examples[/]

tfar serve exported/digits

tfar serve exported/digits/3
"""
GRPC_PORT, REST_PORT = 8500, 8501
# The version that the recipes in export/ name too.
IMAGE = "tensorflow/serving:2.21.0"


@reports_errors
def serve(export: ExportOption) -> None:
    """Prints the command that starts TF Serving on an export."""
    found = find_export(export)
    if not found.path.name.isdecimal():
        raise ValueError(
            f"{found.path}: TF Serving needs a version folder whose name is a number; expected for example 1"
        )
    typer.echo("\n".join(lines(found)))


def lines(export: Export) -> list[str]:
    """Returns shell commands, each below a comment: for Docker, for an installed server, and to ask for the status."""
    name = model_name(export)
    version = export.description["versions"].get("tensorflow", "(unknown)")
    return [
        f"# {_printable(export.path)} was exported with TensorFlow {_printable(version)}.",
        f"# TF Serving in its official Docker image: gRPC on port {GRPC_PORT}, REST on port {REST_PORT}, from this machine only,",
        "# because the server has no authentication.",
        shlex.join(docker_command(export)),
        "# With an installed tensorflow_model_server, which listens on every interface: close the ports with a firewall.",
        *server_commands(export),
        "# Is it up?",
        shlex.join(["curl", f"http://localhost:{REST_PORT}/v1/models/{name}"]),
    ]


def _printable(value: Any) -> str:
    """Escapes line breaks and other control characters, which would end a comment or command the terminal.

    Example:
        >>> _printable("2.21.0\\nrm -r /")
        '2.21.0\\\\nrm -r /'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def model_name(export: Export) -> str:
    """Returns the name of the served model: the name of the folder, without characters that a URL cannot hold.

    Example:
        >>> model_name(Export(Path("/exported/my model/1"), {}, False))
        'my_model'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", export.base.name) or "model"


def docker_command(export: Export) -> list[str]:
    """Returns the words of the command that serves an export in the official image."""
    name = model_name(export)
    source, target = export.base, f"/models/{name}"
    if export.is_pinned:
        source, target = export.path, f"{target}/{export.path.name}"
    ports = [f"--publish=127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT)]
    mount = _csv(["type=bind", f"source={source}", f"target={target}", "readonly"])
    return ["docker", "run", "--rm", *ports, f"--mount={mount}", f"--env=MODEL_NAME={name}", IMAGE]


def server_commands(export: Export) -> list[str]:
    """Returns the commands that serve an export with an installed server; one version needs a configuration file."""
    name = model_name(export)
    server = ["tensorflow_model_server", f"--port={GRPC_PORT}", f"--rest_api_port={REST_PORT}"]
    if not export.is_pinned:
        return [shlex.join([*server, f"--model_name={name}", f"--model_base_path={export.base}"])]
    config = f"{name}.config"
    return [
        f"printf '%s\\n' {shlex.quote(_config(name, export.base, export.path.name))} > {shlex.quote(config)}",
        shlex.join([*server, f"--model_config_file={config}"]),
    ]


def _config(name: str, base: Path, version: str) -> str:
    path = str(base).replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'model_config_list {{ config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: {int(version)} }} }} }} }}"
    )


def _csv(fields: list[str]) -> str:
    """Joins fields as CSV, which is what Docker's --mount parses, because a path may contain a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()
