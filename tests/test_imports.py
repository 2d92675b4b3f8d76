"""Imports point one way, and never at tf_keras."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tfar"
FILES = sorted(PACKAGE.rglob("*.py"))
# What each part may import of the package besides itself.
NETWORKS = {"orders", "masks", "layers", "networks", "random", "private", "configuration"}
LAWS = NETWORKS | {"heads", "laws"}
DENSITIES = LAWS | {"distributions", "forks"}
SHARED = {"files", "forks", "model_files", "moments", "numbered", "optional", "exports", "version"}
TOPS = {"training", "serving", "coding", "data", "plots", "testing"}
ALLOWED = {
    "configuration": set(),
    "orders": {"random"},
    "masks": {"orders"},
    "random": set(),
    "files": set(),
    "forks": set(),
    "model_files": set(),
    "moments": set(),
    "numbered": {"random"},
    "optional": set(),
    "exports": {"model_files"},
    "version": set(),
    "heads": {"random", "layers"},
    "layers": {"random", "orders", "masks", "moments"},
    "networks": NETWORKS,
    "private": set(),
    "laws": LAWS,
    "distributions": DENSITIES,
    **{
        top: DENSITIES | {"files", "forks", "model_files", "moments", "numbered", "optional", "exports", "version"}
        for top in TOPS
    },
    "tables": DENSITIES | SHARED | {"training", "serving"},
    "sklearn": {"heads", "optional", "random", "tables"},
    "cli": DENSITIES | TOPS | {"tables"} | {"files", "model_files", "numbered", "optional", "exports", "version"},
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """All modules that a file imports, with dots: those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    names = list(imported(ast.parse(path.read_text(encoding="utf-8"))))
    assert not [name for name in names if name.split(".")[0] == "tf_keras" or "keras.src" in name]
    if part == "__init__":
        return
    parts = {name.split(".")[1] for name in names if name.startswith("tfar.") and name.count(".")}
    assert parts - {part} <= ALLOWED[part], f"{part} may import {sorted(ALLOWED[part])} alone"


def test_planted_imports_are_found() -> None:
    source = "import tf_keras\ndef f():\n    from tfar.training import load\n    from tfar import cli\n"
    assert list(imported(ast.parse(source))) == ["tf_keras", "tfar.training.load", "tfar.cli"]


@pytest.mark.slow(ci=True)
def test_a_fresh_process_makes_keras_3_objects_alone() -> None:
    script = (
        "import tfar, keras\n"
        "dist = tfar.MADE(event_shape=[3], hidden_units=[4])\n"
        "dist.log_prob(dist.sample(2, seed=1))\n"
        "model = tfar.training.DensityModel(dist)\n"
        "assert keras.__version__.startswith('3.') and isinstance(model, keras.Model)\n"
        "assert isinstance(dist.network, keras.layers.Layer) and isinstance(dist.head, keras.layers.Layer)\n"
        "layers = [dist.network, dist.head, *dist.network._flatten_layers()]\n"
        "assert not [x for x in layers if any('tf_keras' in c.__module__ for c in type(x).__mro__)]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
