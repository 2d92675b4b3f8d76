"""Benchmark of outlier detection in real tables: `python -m benchmarks.table_outliers [TABLES] [--quick] [--json FOLDER]`.

One row of twenty is an anomaly: among these rows each column is permuted on its own. Every column keeps all of its cells, so an
anomaly is a row whose cells do not belong together. Detectors are fitted to the whole table, anomalies included, without
labels, and score its rows: `tfar.sklearn.OutlierDetector`, and detectors of PyOD (`pip install pyod`), for which categories are
columns of 0 and 1, ordered categories are numbers, and numbers are in standard deviations. ECOD and COPOD add up scores of
single columns.

The area under the ROC curve is 0.5, and the average precision 0.05, for scores at random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, real_tables, results

SEED, SHARE = 0, 0.05
KIND = "table_outliers"
HEADER = ("table", "detector", "ROC AUC", "average precision")
Detector = Callable[[Any, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """A table, the number of its rows (the others are zero), and how long models train at most."""

    name: str
    rows: tuple[int, int, int] = (4_000, 0, 0)
    epochs: int = 40
    patience: int = 3


CASES = (Case("adult"), Case("diamonds"), Case("churn"))
QUICK = Case("wages", (200, 0, 0), epochs=1)


def plant(frame: Any, generator: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Permutes each column among some rows; returns the table, and which rows these are, bool `[rows]`."""
    chosen = np.sort(generator.choice(len(frame), size=round(SHARE * len(frame)), replace=False))
    order = np.tile(np.arange(len(frame)), [frame.shape[1], 1])
    for of_column in order:
        of_column[chosen] = generator.permutation(chosen)
    columns = {name: frame[name].take(rows).set_axis(frame.index) for name, rows in zip(frame, order, strict=True)}
    return type(frame)(columns), np.isin(np.arange(len(frame)), chosen)


def measure(case: Case, parts: real_tables.Parts) -> dict[str, Any]:
    """Returns the figures of each detector, whose scores are higher for outliers."""
    import tfar

    frame, is_anomaly = plant(parts.train, np.random.default_rng(SEED))
    codec = real_tables.Indicators(tfar.tables.Schema.infer(frame), frame, ordered_as_numbers=True)
    array = np.nan_to_num(codec.encode(frame))  # a missing category has no 1, and a missing number is the mean
    found = {}
    for title, scores_of in _detectors(case).items():
        found[title] = figures(scores_of(frame, array), is_anomaly)
    return found


def figures(scores: np.ndarray, is_anomaly: np.ndarray) -> dict[str, float]:
    """Returns the area under the ROC curve and the average precision."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "roc_auc": round(float(roc_auc_score(is_anomaly, scores)), 4),
        "average_precision": round(float(average_precision_score(is_anomaly, scores)), 4),
    }


def _detectors(case: Case) -> dict[str, Detector]:
    def ours(arguments: Mapping[str, Any]) -> Detector:
        def scores(frame: Any, array: np.ndarray) -> np.ndarray:
            import tfar.sklearn

            detector = tfar.sklearn.OutlierDetector(
                contamination=SHARE,
                calibration_fraction=0.0,
                missing="value",
                epochs=case.epochs,
                patience=case.patience,
                random_state=SEED,
                **arguments,
            )
            return -detector.fit(frame).score_samples(frame)

        return scores

    def theirs(module: str, name: str, **arguments: Any) -> Detector:
        def scores(frame: Any, array: np.ndarray) -> np.ndarray:
            import importlib

            detector = getattr(importlib.import_module(f"pyod.models.{module}"), name)
            return np.asarray(detector(contamination=SHARE, **arguments).fit(array).decision_scores_)

        return scores

    return {
        "PyOD ECOD": theirs("ecod", "ECOD"),
        "PyOD COPOD": theirs("copod", "COPOD"),
        "PyOD IForest": theirs("iforest", "IForest", random_state=SEED),
        "PyOD KNN": theirs("knn", "KNN"),
        "PyOD LOF": theirs("lof", "LOF"),
        **{title: ours(arguments) for title, arguments in real_tables.NETWORKS.items()},
    }


def run(case: Case, command: str, threads: int = machine.NUM_THREADS) -> results.Result:
    """Measures a case; the threads are those that TensorFlow has been set to."""
    settings = {"models": real_tables.NETWORKS, "threads": threads}
    return real_tables.measured(KIND, case, command, measure, settings, {"anomalies": SHARE})


def table(cases: Sequence[Case], found: Sequence[results.Result | None]) -> str:
    """Returns a row for each table and detector."""

    def rows(result: results.Result) -> list[list[str]]:
        return [
            [result.case, title, f"{f['roc_auc']:.3f}", f"{f['average_precision']:.3f}"]
            for title, f in result.figures.items()
        ]

    def note(result: results.Result) -> str:
        data = result.data
        return (
            f"{result.case}: {data['note']}; {data['columns']} columns, {data['rows'][0]:,} rows, of which "
            f"{data['anomalies']:.0%} are anomalies."
        )

    return real_tables.table(KIND, HEADER, cases, found, rows, note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and, without `--quick`, writes its result files."""
    return real_tables.command_line(KIND, __doc__, CASES, QUICK, run, table, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
