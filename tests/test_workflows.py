"""The workflows of GitHub call commands that exist, on the versions of Python that the package names."""

import configparser
import pathlib
import re
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
STEPS = [
    pytest.param(job, step, id=f"{workflow}-{name}-{number}")
    for workflow, content in WORKFLOWS.items()
    for name, job in content["jobs"].items()
    for number, step in enumerate(job["steps"])
]


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def matrix_values(job: dict[str, Any], name: str) -> list[str]:
    """All values that a name takes in the matrix of a job."""
    matrix = job.get("strategy", {}).get("matrix", {})
    return [*matrix.get(name, []), *(case[name] for case in matrix.get("include", []) if name in case)]


def made_targets(job: dict[str, Any], step: dict[str, Any]) -> list[str]:
    """The targets that a step makes; `$TARGET` stands for those of the matrix."""
    found = re.findall(r"\bmake +(\S+)", step.get("run", ""))
    return [target for name in found for target in (matrix_values(job, "target") if "$TARGET" in name else [name])]


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_a_step_makes_targets_of_the_makefile(job, step):
    assert set(made_targets(job, step)) <= targets()
    if "$TARGET" in step.get("run", ""):
        assert step["env"]["TARGET"] == "${{ matrix.target }}"
        assert matrix_values(job, "target")


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_an_action_is_named_by_its_commit(job, step):
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])


def test_the_workflows_make_what_they_promise():
    made = {
        workflow: {target for job in content["jobs"].values() for s in job["steps"] for target in made_targets(job, s)}
        for workflow, content in WORKFLOWS.items()
    }
    assert made == {
        "tests": {"lint", "typecheck", "docs", "test"},
        "nightly": {"test-newest", "test-lowest", "test-cpu", "test-slow"},
        "release": {"dist"},
    }


def test_the_default_tests_run_on_each_python_of_the_metadata():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    named = re.findall(r":: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    assert matrix_values(WORKFLOWS["tests"]["jobs"]["test"], "python") == named
    assert config["options"]["python_requires"] == f">={named[0]}"


def test_only_the_publishing_job_may_write():
    for content in WORKFLOWS.values():
        assert content["permissions"] == {"contents": "read"}
        for name, job in content["jobs"].items():
            assert job.get("permissions") == ({"id-token": "write"} if name == "publish" else None)
            assert job["timeout-minutes"] > 0


def test_dependabot_reads_the_requirements_and_the_actions():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}
