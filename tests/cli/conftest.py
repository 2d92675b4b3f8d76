"""Fixtures that the tests of the commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tfar.cli import app

SMALL = ["--hidden-units", "8", "--epochs", "2", "--batch-size", "200"]
Invoke = Callable[..., Any]


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Calls `tfar` in this process, such as `invoke("train", "made", ...)`, and checks that its exit code is `code`."""

    def call(*arguments: Any, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="tfar")
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result

    return call


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """A training run on the digits, in the natural order."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    invoke("train", "made", "--data", "digits", "--out", out, *SMALL)
    return out


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of real numbers with column names."""
    path = tmp_path_factory.mktemp("tables") / "wine.csv"
    rows = np.random.default_rng(0).normal(size=[120, 3])
    path.write_text("ph,alcohol,sugar\n" + "\n".join(",".join(f"{v:.4f}" for v in row) for row in rows) + "\n")
    return path


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, table: Path) -> Path:
    """A training run on the table."""
    out = tmp_path_factory.mktemp("runs") / "wine"
    invoke("train", "made", "--data", table, "--out", out, "--head", "NormalMixture:2", "--ema", "0.9", *SMALL)
    return out
