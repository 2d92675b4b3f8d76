"""The scripts and commands of the how-to pages that need processes of their own."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.serving import servers
from tests.test_docs import DOCS, ROOT, code_of, run_page, scripts
from tests.training.test_multi_worker import free_ports

HOWTOS = sorted(path.relative_to(ROOT).as_posix() for path in (DOCS / "howto").glob("*.md"))
# What the last lines of a page's commands print.
RUN_AS_THEY_STAND = {
    "several_gpus": r"replicas: 2 nll: \d+",
    "several_machines": r"(?s)loss of each epoch:.*(\[\d+\.\d+, \d+\.\d+\]).*\1",
}


def run_commands(page: str, folder: pathlib.Path, changes: dict[str, str]) -> str:
    """Saves the scripts of a page, runs its shell commands and returns what they print."""
    for name, code in scripts(page).items():
        (folder / name).write_text(code)
    commands = "\n".join(["set -e", *code_of(page, "sh")])
    for old, new in changes.items():
        assert old in commands
        commands = commands.replace(old, new)
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        ["bash", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("name", RUN_AS_THEY_STAND)
def test_the_commands_of_a_page_run(name, tmp_path):
    page = f"docs/howto/{name}.md"
    ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", "".join(code_of(page, "sh")))))
    changes = dict(zip(ports, map(str, free_ports(len(ports))), strict=True))
    assert re.search(RUN_AS_THEY_STAND[name], run_commands(page, tmp_path, changes))
    assert list(tmp_path.glob("*.keras"))


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("kind", servers.KINDS)
def test_the_scripts_about_serving_ask_a_server(kind, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_serving", reason="the page uses the messages of tensorflow-serving-api")
    page = "docs/howto/tf_serving.md"
    monkeypatch.chdir(tmp_path)
    run_page(page)
    flags = ["--model_name=made", f"--model_base_path={tmp_path / 'models' / 'made'}"]
    with servers.running(kind, flags, tmp_path) as server:
        for name, address, asked in (
            ("ask_rest.py", "localhost:8501", server.rest),
            ("ask_grpc.py", "localhost:8500", server.grpc),
        ):
            code = scripts(page)[name]
            assert address in code
            exec(compile(code.replace(address, asked), name, "exec"), {"__name__": "__main__"})


def test_every_script_of_a_page_is_run():
    pages = {pathlib.Path(page).stem for page in HOWTOS if scripts(page)}
    assert pages == {*RUN_AS_THEY_STAND, "tf_serving"}


def test_the_index_lists_every_page():
    index = (DOCS / "howto" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\w+)$", index, re.MULTILINE)
    assert sorted(listed) == sorted(pathlib.Path(page).stem for page in HOWTOS if not page.endswith("index.md"))
