"""The files of `export/`: read as TF Serving and Compose read them, and followed."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import servers

pytest.importorskip("yaml", reason="the compose file is read with PyYAML")
pytest.importorskip("tensorflow_serving", reason="the configuration is read with tensorflow-serving-api")
import yaml

from tests.serving.loopback import config
from tfar.cli import serve

EXPORT = servers.ROOT / "export"
README = (EXPORT / "README.md").read_text()
SERVICE_KEYS = {"image", "command", "ports", "volumes", "healthcheck", "restart"}


@pytest.fixture(scope="module")
def service():
    content = yaml.safe_load((EXPORT / "compose.yaml").read_text())
    assert list(content) == ["services"] and list(content["services"]) == ["serving"]
    return content["services"]["serving"]


def mounts(service):
    """Where the container sees the files of this folder."""
    return {target: source for source, target in (v.removesuffix(":ro").rsplit(":", 1) for v in service["volumes"])}


def test_the_model_config_is_what_the_server_reads():
    (model,) = config.model_server_config(EXPORT / "models.config").model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("made", "/models/made", "tensorflow")


def test_the_batching_parameters_are_what_the_server_reads():
    message = config.batching_parameters(EXPORT / "batching.txt")
    assert message.enable_large_batch_splitting.value
    assert 1 <= message.max_execution_batch_size.value <= message.max_batch_size.value
    read = config.parameters(EXPORT / "batching.txt")
    assert (read.max_rows, read.max_batch) == (message.max_batch_size.value, message.max_execution_batch_size.value)
    assert 0.0 < read.timeout < 0.1


def test_the_compose_file(service):
    assert set(service) == SERVICE_KEYS
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"]), "a pinned version of the official image"
    # Two numbers with a colon are one number in base 60 unless they are quoted.
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    mounted = mounts(service)
    for target, source in mounted.items():
        assert target == "/models" or (EXPORT / source).is_file()
    assert service["image"] == serve.IMAGE
    named = [flag.split("=")[1] for flag in service["command"] if "_file=" in flag]
    assert named and set(named) <= set(mounted)
    check = service["healthcheck"]
    assert check["test"][:3] == ["CMD", "bash", "-c"] and len(check["test"]) == 4
    text = (EXPORT / "compose.yaml").read_text().split("services:")[1]
    assert set(re.findall(r"\$\{?(\w+)", text)) == {"MODEL", "MODELS"}, "Compose puts a variable there"
    assert "made" not in text.replace("${MODEL:-made}", ""), "the name of the model comes from one variable"
    assert {"interval", "timeout", "retries", "start_period"} < set(check)


def health(service, port, model="made"):
    """The exit status of the health check, of a server on another port."""
    command = service["healthcheck"]["test"][1:]
    command = [part.replace("8501", str(port)).replace("${MODEL:-made}", model) for part in command]
    return subprocess.run(command, capture_output=True, timeout=10).returncode


@pytest.mark.parametrize("kind", servers.KINDS)
@pytest.mark.slow(ci=True)
def test_the_compose_files_command_serves_and_its_health_check_sees_it(kind, service, exported, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    (models / "made").symlink_to(exported["binary"].base_path)
    paths = {target: str(EXPORT / source) for target, source in mounts(service).items()}
    flags = []
    for flag in service["command"]:
        name, value = flag.replace("${MODEL:-made}", "made").replace("/models/", f"{models}/").split("=")
        flags.append(f"{name}={paths.get(value, value)}")
    (port,) = servers.free_ports(1)
    assert health(service, port) != 0, "nobody is there"
    with servers.running(kind, flags, tmp_path) as server:
        port = server.rest.split(":")[1]
        assert health(service, port) == 0
        assert health(service, port, "absent") != 0
        assert server.client("grpc", "made").status() == {1: "AVAILABLE"}


def test_the_kubernetes_recipe():
    """Probes, ports, labels and the claim of the volume fit together, and nothing outside the cluster reaches the server."""
    claim, deployment, server = yaml.safe_load_all((EXPORT / "kubernetes.yaml").read_text())
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == serve.IMAGE
    assert template["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"] == server["spec"]["selector"]
    assert server["spec"]["type"] == "ClusterIP"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in server["spec"]["ports"]} == ports
    (model,) = [entry["value"] for entry in container["env"] if entry["name"] == "MODEL_NAME"]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": f"/v1/models/{model}", "port": "rest"}
    (volume,) = template["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/models", "readOnly": True}]


def test_the_readme_names_every_file_and_only_those():
    present = {path.name for path in EXPORT.iterdir() if path.is_file()} - {"README.md", "command_line.py"}
    rows = README.split("|---|---|\n")[1].split("\n\n")[0]
    assert set(re.findall(r"`([\w.]+)`", rows)) == present


def blocks(language):
    """The blocks of the README in a language; those that name none are commands."""
    return [code for name, code in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.M) if name == language]


def commands():
    """The command lines of the README, split as a shell splits them."""
    lines = "".join(blocks("")).replace("\\\n", " ").splitlines()
    return [shlex.split(line.replace("$PWD", str(servers.ROOT))) for line in lines]


def test_the_readmes_server_command_is_understood():
    (flags,) = [command[1:] for command in commands() if command[0] == "tensorflow_model_server"]
    code = "import sys; from tests.serving.loopback import __main__ as m; print(m.parse(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *flags], cwd=servers.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "batching.txt" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", servers.KINDS)
def test_the_readme_can_be_followed(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").symlink_to(EXPORT)
    train, ask = blocks("python")
    exec(compile(train.replace("epochs=5", "epochs=1"), "README.md", "exec"), {})
    steps = [command for command in commands() if command[:1] == ["python"] and command[1].startswith("export/")]
    run(steps.pop(0))
    flags = ["--model_name=made", f"--model_base_path={tmp_path / 'models' / 'made'}"]
    with servers.running(kind, flags, tmp_path) as server:
        for step in steps:
            address = server.rest if "rest" in " ".join(step) else server.grpc
            run([*step[:2], "--address", address, *step[2:]])
        names = {"samples": np.load("samples.npy")}
        exec(compile(ask.replace("localhost:8500", server.grpc), "README.md", "exec"), names)
        assert names["log_probs"].shape == (4,)
        for _, _, body, url in [command for command in commands() if command[0] == "curl"]:
            answer = server.client("rest", "made").request("POST", url.removeprefix("localhost:8501"), body.encode())
            assert list(answer) in (["predictions"], ["outputs"])
    assert len(steps) == 6


def run(command):
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stderr[-2000:])
