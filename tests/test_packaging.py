"""The bounds of the dependencies are those that are tested."""

import configparser
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def lower_bounds() -> dict[str, str]:
    """Each dependency of setup.cfg with its lowest version; the extra `dev` holds all the others."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = [config["options"]["install_requires"], config["options.extras_require"]["dev"]]
    lines = [line for text in texts for line in text.split("\n") if line]
    bounds = {}
    for line in lines:
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
