"""Benchmark of the imputation of real tables: `python -m benchmarks.table_imputation [TABLES] [--quick] [--json FOLDER]`.

A third of the cells of training and test rows is removed at random. Imputers are fitted to the training rows that are left, and
fill in the test rows: scikit-learn's, miceforest (`pip install --no-deps miceforest "lightgbm<4.7"`), and
`tfar.sklearn.Imputer` with two networks. An imputer that draws makes 19 completions; scikit-learn's SimpleImputer and KNNImputer
fill in one value, or for categories the shares among all rows or among the nearest ones. What was removed is compared with what
was filled in:

- log loss of categories: the share of a category among the draws, with one more draw that is spread as the training rows are;
- CRPS of numbers, in standard deviations of the column: E|X - x| - E|X - X'| / 2 over draws, without bias (Gneiting and Raftery
  2007, section 4.2); the absolute error for one value;
- coverage of numbers: how often the cell lies between the smallest and the largest of the 19 draws, ends included. Draws of the
  right distribution cover 90 %, and more where values repeat.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import machine, real_tables, results
from benchmarks.peers import imputers
from benchmarks.peers.imputers import Filled
from benchmarks.real_tables import Indicators

SEED, MISSING, DRAWS = 0, 1.0 / 3.0, 19
KIND = "table_imputation"
HEADER = ("table", "imputer", "log loss of categories, nats", "CRPS of numbers", "90 % coverage")


@dataclasses.dataclass(frozen=True)
class Case:
    """A table, the numbers of training, validation (none) and test rows, and how long models train at most."""

    name: str
    rows: tuple[int, int, int] = (3_000, 0, 300)
    epochs: int = 40
    patience: int = 3


CASES = (Case("wages"), Case("churn"), Case("adult"))
QUICK = Case("wages", (200, 0, 20), epochs=1)


def knock_out(frame: Any, generator: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Returns a table without a random part of its cells, and which of those that were there are removed."""
    removed = generator.random(frame.shape) < MISSING
    return frame.mask(removed), removed & frame.notna().to_numpy()


def measure(case: Case, parts: real_tables.Parts) -> dict[str, Any]:
    """Returns the scores of each imputer on the cells that were removed from the test rows."""
    import tfar

    generator = np.random.default_rng(SEED)
    schema = tfar.tables.Schema.infer(parts.train)
    train, _ = knock_out(parts.train, generator)
    test, removed = knock_out(parts.test, generator)
    codec = Indicators(schema, train)
    scores = Scores(codec, train, parts.test, removed)
    found = {}
    for title, impute in _imputers(case).items():
        found[title] = scores.of(impute(codec, train, test, DRAWS, SEED))
    return found


def _imputers(case: Case) -> dict[str, Any]:
    peers = {
        "scikit-learn SimpleImputer": imputers.simple,
        "scikit-learn KNNImputer": imputers.nearest,
        "scikit-learn IterativeImputer": imputers.iterative,
    }
    if importlib.util.find_spec("miceforest"):
        peers["miceforest"] = imputers.mice
    ours = {
        title: functools.partial(imputers.ours, epochs=case.epochs, patience=case.patience, **arguments)
        for title, arguments in real_tables.NETWORKS.items()
    }
    return peers | ours


class Scores:
    """Compares what imputers fill in with the cells that were removed from a table.

    Args:
        codec: the `Indicators` of the table.
        train: DataFrame, training rows, whose shares of categories are those of a draw more.
        truth: DataFrame, test rows.
        removed: bool `[rows, columns]`, cells of `truth` to compare.
    """

    def __init__(self, codec: Indicators, train: Any, truth: Any, removed: np.ndarray) -> None:
        self.removed = {name: removed[:, list(truth.columns).index(name)] for name in codec.slices}
        cells, known = codec.encode(truth), codec.encode(train)
        self.shares = {name: np.nanmean(known[:, codec.slices[name]], axis=0) for name in codec.categories}
        self.ones = {name: cells[:, codec.slices[name]] for name in codec.categories}
        self.numbers = {name: cells[:, codec.slices[name].start] for name in codec.units}

    def of(self, filled: Filled) -> dict[str, float | None]:
        """Returns the mean log loss, CRPS and coverage over cells; coverage is None for single values."""
        losses, gaps, inside = [], [], []
        for name, ones in self.ones.items():
            # A category that no training cell has keeps a small share.
            share = np.maximum(self.shares[name], 0.5 / 1e4)
            weights = filled.weights[name] + share / share.sum()
            probs = weights / weights.sum(axis=1, keepdims=True)
            known = self.removed[name] & (ones.sum(axis=1) > 0)
            losses.append(-np.log((probs * ones).sum(axis=1)[known]))
        for name, numbers in self.numbers.items():
            draws, x = filled.draws[name][:, self.removed[name]], numbers[self.removed[name]]
            gaps.append(crps(draws, x))
            inside.append((draws.min(axis=0) <= x + 1e-9) & (x - 1e-9 <= draws.max(axis=0)))
        single = all(len(draws) == 1 for draws in filled.draws.values())
        return {
            "log_loss": _mean(losses),
            "crps": _mean(gaps),
            "coverage": None if single else _mean(inside),
        }


def crps(draws: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns E|X - x| - E|X - X'| / 2 of each cell over pairs of different draws `[draws, cells]`."""
    count = len(draws)
    gap = np.abs(draws - x).mean(axis=0)
    if count == 1:
        return gap
    # The sum over pairs of |X - X'| follows from the sorted draws.
    ranks = 2.0 * np.arange(1, count + 1) - count - 1.0
    return gap - (ranks[:, None] * np.sort(draws, axis=0)).sum(axis=0) / (count * (count - 1))


def _mean(parts: Sequence[np.ndarray]) -> float | None:
    return round(float(np.concatenate(parts).mean()), 4) if parts else None


def run(case: Case, command: str, threads: int = machine.NUM_THREADS) -> results.Result:
    """Measures a case; the threads are those that TensorFlow has been set to."""
    settings = {"draws": DRAWS, "neighbours": imputers.NEIGHBOURS, "mice_iterations": imputers.MICE_ITERATIONS}
    settings |= {"models": real_tables.NETWORKS, "threads": threads}
    return real_tables.measured(KIND, case, command, measure, settings, {"missing": MISSING})


def table(cases: Sequence[Case], found: Sequence[results.Result | None]) -> str:
    """Returns a row for each table and imputer."""

    def rows(result: results.Result) -> list[list[str]]:
        lines = []
        for title, f in result.figures.items():
            scores = ["" if f[key] is None else f"{f[key]:.3f}" for key in ("log_loss", "crps")]
            lines.append([result.case, title, *scores, "" if f["coverage"] is None else f"{f['coverage']:.1%}"])
        return lines

    return real_tables.table(KIND, HEADER, cases, found, rows, real_tables.note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and, without `--quick`, writes its result files."""
    return real_tables.command_line(KIND, __doc__, CASES, QUICK, run, table, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
