"""`tfar evaluate`: bits per dimension, scores of the observed values, and scores that are NaN.

Stubs replace the model, so that the expected numbers follow from the scores of the stub.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.tables import printed
from tfar.cli import runs


class Stub:
    """A model of 2x2 images with three channels, whose four sites are the pixels.

    The negative log-likelihood of a site is 3 ln 2, which is one bit for each of its values.
    """

    event_shape = (2, 2, 3)
    num_sites = 4
    num_latents = 0

    def evaluate(self, value: np.ndarray, observed: np.ndarray | None = None) -> dict[str, np.ndarray]:
        observed = np.ones(value.shape, bool) if observed is None else observed
        return {"nll": 3 * math.log(2.0) * observed.all(axis=-1).sum(axis=(1, 2))}


@pytest.fixture
def evaluate(invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `tfar evaluate` for a stub on ten rows, whose first values are `first`."""

    def call(stub: Any, *options: Any, first: Any = 0.0, code: int = 0) -> Any:
        monkeypatch.setattr(runs, "find", lambda path: path)
        monkeypatch.setattr(runs, "load_dist", lambda path: stub)
        rows = np.zeros([10, 2, 2, 3])
        rows[:, 0, 0, 0] = first
        np.save(tmp_path / "rows.npy", rows)
        return invoke(
            "evaluate", "m.keras", "--data", tmp_path / "rows.npy", "--batch-size", 4, *map(str, options), code=code
        )

    return call


def test_bits_per_dimension_count_values_and_not_sites(evaluate: Any) -> None:
    output = evaluate(Stub()).output
    assert printed(output, "negative log-likelihood") == pytest.approx(12 * math.log(2.0), abs=1e-4)
    assert printed(output, "bits per dimension") == 1.0


def test_bits_per_dimension_count_observed_values_alone(evaluate: Any, tmp_path: Path) -> None:
    output = evaluate(Stub(), "--observed", "top").output
    assert printed(output, "negative log-likelihood") == pytest.approx(6 * math.log(2.0), abs=1e-4)
    assert printed(output, "bits per dimension") == 1.0
    mask = np.zeros([10, 2, 2, 3], bool)
    for row in range(10):
        mask[row].flat[:row] = True
    np.save(tmp_path / "mask.npy", mask)
    output = evaluate(Stub(), "--observed", tmp_path / "mask.npy").output
    # Rows with 0, 1, ..., 9 observed values have 0, 0, 0, 1, 1, 1, 2, 2, 2, 3 observed sites.
    assert printed(output, "negative log-likelihood") == pytest.approx(3.6 * math.log(2.0), abs=1e-4)
    assert printed(output, "bits per dimension") == 1.0


def test_masks_that_do_not_cover_the_rows(evaluate: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.ones([9, 2, 2, 3], bool))
    assert (
        "expected a mask for each row of the data; received 9 masks"
        in evaluate(Stub(), "--observed", tmp_path / "mask.npy", code=1).stderr
    )
    np.save(tmp_path / "mask.npy", np.zeros([2, 2, 3], bool))
    assert (
        "expected at least one observed value" in evaluate(Stub(), "--observed", tmp_path / "mask.npy", code=1).stderr
    )


def test_a_score_that_is_nan_names_the_row_and_writes_nothing(evaluate: Any, tmp_path: Path) -> None:
    first = np.zeros(10)
    first[[6, 8]] = -1.0
    stub = Stub()
    stub.evaluate = lambda value, observed=None: {"nll": np.where(value[:, 0, 0, 0] < 0, np.nan, 1.0)}
    result = evaluate(stub, "--out", tmp_path / "scores.csv", first=first, code=1)
    assert "the log_prob of row 6 (counted from 0); received NaN" in result.stderr
    assert "nats" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]


class Latent(Stub):
    """A model whose bound is one bit below for each value, and whose importance-weighted bound is half a bit."""

    num_latents = 2

    def evaluate(self, value: np.ndarray, observed: Any = None, seed: int = 0, num_samples: int = 0) -> dict[str, Any]:
        bits = -12 * math.log(2.0) * np.ones(len(value))
        bounds = {"elbo": bits, "kl": bits}
        return (
            {**bounds, "importance_log_prob": bits / 2 + 0.01 * (seed + np.arange(len(value)))}
            if num_samples
            else bounds
        )


def test_a_model_with_latent_variables_reports_its_bounds(evaluate: Any, tmp_path: Path) -> None:
    output = evaluate(Latent(), "--out", tmp_path / "scores.csv").output
    values = -6 * math.log(2.0) + 0.01 * np.arange(10)
    assert printed(output, "negative importance-weighted bound") == pytest.approx(-values.mean(), abs=1e-4)
    assert printed(output, "standard error") == pytest.approx(values.std(ddof=1) / math.sqrt(10), abs=1e-4)
    assert printed(output, "negative ELBO") == pytest.approx(12 * math.log(2.0), abs=1e-4)
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "row,importance_log_prob,elbo"
    output = evaluate(Latent(), "--latents", 0, "--out", tmp_path / "scores.csv").output
    assert printed(output, "negative ELBO") == pytest.approx(12 * math.log(2.0), abs=1e-4)
    assert printed(output, "bits per dimension") == 1.0
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "row,elbo"
