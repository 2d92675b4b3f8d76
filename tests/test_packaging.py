"""The metadata of the package: bounds of the dependencies, versions of Python, files that name the version."""

import configparser
import pathlib
import re

import pytest
import yaml

import tfar

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")


def lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def lower_bounds() -> dict[str, str]:
    """Each dependency of setup.cfg with its lowest version; the extra `dev` holds all the others."""
    bounds = {}
    for line in lines(CONFIG["options"]["install_requires"]) + lines(CONFIG["options.extras_require"]["dev"]):
        match = re.fullmatch(r"([\w-]+)>=([\d.]+),<[\d.]+", line)
        assert match, f"expected name>=lowest,<highest in setup.cfg; received {line!r}"
        bounds[match[1]] = match[2]
    return bounds


def pinned() -> dict[str, str]:
    lines = (ROOT / "tests" / "lowest.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", sorted(lower_bounds()))
def test_the_lowest_version_is_the_one_that_is_tested(name):
    version = pinned()[name]
    assert version == lower_bounds()[name] or re.fullmatch(re.escape(lower_bounds()[name]) + r"(\.0)+", version)


def test_nothing_else_is_pinned():
    assert set(pinned()) == set(lower_bounds())


def test_the_way_to_tensorflow_cpu_names_every_requirement_but_tensorflow():
    text = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^pip install (.*-cpu.*|--no-deps \".*)$", text, re.MULTILINE)
    named = [part.strip('"') for part in f"{first} {second}".split()]
    required = [line.replace("tensorflow>", "tensorflow-cpu>") for line in lines(CONFIG["options"]["install_requires"])]
    assert sorted(named) == sorted([*required, "--no-deps", "tfar"])
    assert "tf-keras" in second


def test_the_citation_has_the_version_and_the_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tfar.__version__
    assert citation["license"] == CONFIG["metadata"]["license_expression"] == "Apache-2.0"
    assert citation["repository-code"] == CONFIG["metadata"]["url"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_licence_file_is_the_one_that_the_metadata_name():
    assert re.match(r"\s+Apache License\s+Version 2\.0, January 2004", (ROOT / "LICENSE").read_text())
