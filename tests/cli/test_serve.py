"""`tfar serve` prints commands that a shell reads as they are meant."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_exports import make_version
from tfar.exports import DESCRIPTION

STUB = f"""#!{sys.executable}
import json, sys
print(json.dumps([sys.argv[0].split("/")[-1], *sys.argv[1:]]))
"""


def run_as_shell(script: str, folder: Path) -> list[list[str]]:
    """What a shell calls when it runs the printed commands, word by word; nothing is started."""
    commands = folder / "commands"
    commands.mkdir()
    for name in ("docker", "tensorflow_model_server", "curl"):
        (commands / name).write_text(STUB)
        (commands / name).chmod((commands / name).stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-e"], input=script, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", ["made", 'it\'s, $HOME "quoted" & more'])
def test_the_folder_of_all_versions(name: str, invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(tmp_path / name, 3)
    monkeypatch.chdir(tmp_path)
    docker, server, curl = run_as_shell(invoke("serve", name).stdout, tmp_path)
    model = "made" if name == "made" else "it_s___HOME__quoted____more"
    path = str(tmp_path / name)
    field = f"source={path}" if name == "made" else '"source={}"'.format(path.replace('"', '""'))
    assert docker == [
        "docker",
        "run",
        "--rm",
        "--publish=127.0.0.1:8500:8500",
        "--publish=127.0.0.1:8501:8501",
        f"--mount=type=bind,{field},target=/models/{model},readonly",
        f"--env=MODEL_NAME={model}",
        "tensorflow/serving:2.21.0",
    ]
    assert server == [
        "tensorflow_model_server",
        "--port=8500",
        "--rest_api_port=8501",
        f"--model_name={model}",
        f"--model_base_path={path}",
    ]
    assert curl == ["curl", f"http://localhost:8501/v1/models/{model}"]


def test_one_version_is_served_alone(invoke: Any, tmp_path: Path) -> None:
    for version in (1, 2):
        make_version(tmp_path / "made", version)
    docker, server, _ = run_as_shell(invoke("serve", tmp_path / "made" / "1").stdout, tmp_path)
    assert f"--mount=type=bind,source={tmp_path}/made/1,target=/models/made/1,readonly" in docker
    assert server == [
        "tensorflow_model_server",
        "--port=8500",
        "--rest_api_port=8501",
        "--model_config_file=made.config",
    ]
    config = (tmp_path / "made.config").read_text()
    assert config.count("{") == config.count("}") == 4
    assert f'name: "made" base_path: "{tmp_path}/made"' in config
    assert "model_version_policy { specific { versions: 1 } }" in config


def test_the_configuration_of_one_version_is_read_by_tensorflow_serving(invoke: Any, tmp_path: Path) -> None:
    config_pb2 = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    from google.protobuf import text_format

    name = 'a "b" \\ c'
    make_version(tmp_path / name, 7)
    run_as_shell(invoke("serve", tmp_path / name / "7").stdout, tmp_path)
    (path,) = tmp_path.glob("*.config")
    (model,) = text_format.Parse(path.read_text(), config_pb2.ModelServerConfig()).model_config_list.config
    assert model.base_path == str(tmp_path / name)
    assert list(model.model_version_policy.specific.versions) == [7]


def test_what_is_no_version_is_refused(invoke: Any, tmp_path: Path) -> None:
    make_version(tmp_path, "copy_of_1")
    output = invoke("serve", tmp_path / "copy_of_1", code=1).stderr
    assert "TF Serving needs a version folder whose name is a number; expected for example 1" in output
    assert "does not exist: expected the folder of an exported SavedModel" in invoke("serve", "none", code=1).stderr
    (tmp_path / "made.tflite").write_text("")
    assert "export a SavedModel too" in invoke("serve", tmp_path / "made.tflite", code=1).stderr


HOSTILE = "2.21.0\n touch hostile; \x1b[2J $(touch hostile) `touch hostile`\r\u2028x"


@pytest.mark.parametrize("pinned", [False, True])
def test_a_hostile_description_adds_no_command(pinned: bool, invoke: Any, tmp_path: Path) -> None:
    """A line break in tfar.json, or in the path, stays within its comment; no control character reaches the terminal."""
    version = make_version(tmp_path / "made\n touch hostile #", 3)
    description = version / DESCRIPTION
    content = json.loads(description.read_text())
    content["versions"]["tensorflow"] = HOSTILE
    description.write_text(json.dumps(content))
    printed = invoke("serve", version if pinned else version.parent).stdout
    commands = run_as_shell(printed, tmp_path)
    assert [command[0] for command in commands] == ["docker", "tensorflow_model_server", "curl"]
    assert not (tmp_path / "hostile").exists() and "\x1b" not in printed and "\\x1b[2J" in printed
    lines = [line for line in printed.splitlines() if "exported with" in line]
    assert len(lines) == 1 and lines[0].startswith(
        f"# {tmp_path}/made\\n touch hostile #/3 was exported with TensorFlow 2.21.0\\n"
    )
