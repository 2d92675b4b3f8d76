"""Benchmark of the likelihood of real tables: `python -m benchmarks.table_likelihood [TABLES] [--quick] [--json FOLDER]`.

A schema is inferred from the training rows, with missing cells as values of their own, and every contestant is a density of the
values that this schema encodes. So all have one base measure: counting measure for classes, whole numbers, missing cells and
the atoms of real columns, Lebesgue measure in the units of the data for other real numbers.

- tfar: `tfar.TableModel` with each of its networks.
- independent columns: the product of the distributions of single columns, `benchmarks.peers.marginals`, on which the other peers
  build: frequencies, smoothed by a mixture of normals for numbers.
- Gaussian copula: over these distributions, `benchmarks.peers.gaussian_copula`. A cell with a mass is an interval of a normal
  variable.
- mixture of products, `benchmarks.peers.mixture_of_products`: within a component a column is a histogram over its classes, its
  atoms and bins of its other numbers; within a bin numbers are distributed as in the whole column.
- LearnSPN: a probabilistic circuit over the same classes, atoms and bins, by deeprob-kit (`pip install --no-deps deeprob-kit`).

The validation rows decide when to stop training, and the sizes of the peers.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, real_tables, results
from benchmarks.peers.gaussian_copula import GaussianCopula
from benchmarks.peers.learn_spn import LearnSPN
from benchmarks.peers.marginals import Marginal, marginals
from benchmarks.peers.mixture_of_products import MixtureOfProducts

SEED = 0
KIND = "table_likelihood"
HEADER = ("table", "model", "nats a row")
MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "tfar MADE": ("made", {}),
    "tfar OrderlessNADE": ("orderless", {}),
    "tfar AnyOrderTransformer": ("transformer", {"units": 64, "num_layers": 2}),
}
COMPONENTS = (2, 4, 8, 16, 32, 64, 128)
CIRCUITS = (("gvs", 256), ("rdc", 256), ("rdc", 1024))


@dataclasses.dataclass(frozen=True)
class Case:
    """A table, the numbers of training, validation and test rows, and how long models train at most."""

    name: str
    rows: tuple[int, int, int] = (10_000, 2_000, 4_000)
    epochs: int = 40
    patience: int = 3


CASES = (
    Case("adult"),
    Case("wages"),
    Case("diamonds"),
    Case("churn", (5_000, 1_000, 1_043)),
    Case("deliveries", (5_000, 1_000, 2_000)),
)
QUICK = Case("wages", (300, 100, 100), epochs=1)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Encoded rows, float64 `[rows, sites]`, and what is subtracted from their log-density for the units of the data."""

    values: np.ndarray
    log_scale: np.ndarray


def measure(case: Case, parts: real_tables.Parts) -> dict[str, Any]:
    """Returns nats a row of each contestant on the test rows."""
    import tfar

    schema = tfar.tables.Schema.infer(parts.train, missing="value")
    train, valid, test = (_encoded(schema, part) for part in (parts.train, parts.valid, parts.test))
    columns = marginals(schema, train.values, valid.values)
    found = {}
    for title, fit in _peers(columns, train.values, valid.values).items():
        found[title] = _figures(fit()(test.values) - test.log_scale)
    for title, (network, arguments) in MODELS.items():
        model = trained(schema, network, parts, case, **arguments)
        found[title] = _figures(model.log_prob(parts.test).to_numpy())
    return found


def _encoded(schema: Any, frame: Any) -> Rows:
    encoded = schema.encode(frame)
    if not encoded.observed.all():
        raise ValueError("Expected missing cells only in columns that have some in the training rows.")
    return Rows(encoded.values.astype(np.float64), encoded.log_scale.sum(axis=1))


def trained(schema: Any, network: str, parts: real_tables.Parts, case: Case, **arguments: Any) -> Any:
    """Returns a `tfar.TableModel` after training with early stopping."""
    import keras

    import tfar

    # Without XLA: compiling takes longer than it saves with so few steps.
    model = tfar.TableModel(schema, network, seed=SEED, jit_compile=False, **arguments)
    stop = keras.callbacks.EarlyStopping("val_nll", mode="min", patience=case.patience, restore_best_weights=True)
    model.fit(parts.train, validation_data=parts.valid, epochs=case.epochs, callbacks=[stop], verbose=0)
    return model


# Peers ------------------------------------------------------------------------------------------------------------------

Score = Callable[[np.ndarray], np.ndarray]


def _peers(columns: Sequence[Marginal], train: np.ndarray, valid: np.ndarray) -> dict[str, Callable[[], Score]]:
    """Returns functions that fit the peers and return their log-densities of encoded rows, by title."""
    coded = functools.partial(_coded, columns, train, valid)
    peers: dict[str, Callable[[], Score]] = {
        "independent columns": lambda: lambda x: sum(m.log_prob(x[:, i]) for i, m in enumerate(columns)),
        "Gaussian copula": lambda: GaussianCopula(train, columns, seed=SEED).log_prob,
        "mixture of products": lambda: coded(
            lambda codes: (
                MixtureOfProducts(codes, [m.code_probs for m in columns], count, seed=SEED) for count in COMPONENTS
            )
        ),
    }
    if importlib.util.find_spec("deeprob"):
        sizes = [m.num_codes for m in columns]
        peers["LearnSPN"] = lambda: coded(
            lambda codes: (LearnSPN(codes, sizes, *settings, seed=SEED) for settings in CIRCUITS)
        )
    return peers


def _coded(
    columns: Sequence[Marginal], train: np.ndarray, valid: np.ndarray, fit: Callable[[np.ndarray], Iterable[Any]]
) -> Score:
    """Returns the log-density of the model of codes that is the best on the validation rows."""

    def codes(x: np.ndarray) -> np.ndarray:
        return np.stack([m.codes(x[:, i]) for i, m in enumerate(columns)], axis=1)

    held_out = codes(valid)
    best = max(fit(codes(train)), key=lambda model: model.log_prob(held_out).mean())
    return lambda x: best.log_prob(codes(x)) + sum(m.within(x[:, i]) for i, m in enumerate(columns))


def _figures(log_prob: np.ndarray) -> dict[str, float]:
    error = log_prob.std() / np.sqrt(len(log_prob))
    return {"nats": round(float(-log_prob.mean()), 4), "standard_error": round(float(error), 4)}


# Results ----------------------------------------------------------------------------------------------------------------


def run(case: Case, command: str, threads: int = machine.NUM_THREADS) -> results.Result:
    """Measures a case; the threads are those that TensorFlow has been set to."""
    models = {title: {"network": network, **more} for title, (network, more) in MODELS.items()}
    return real_tables.measured(KIND, case, command, measure, {"models": models, "threads": threads})


def table(cases: Sequence[Case], found: Sequence[results.Result | None]) -> str:
    """Returns a row for each table and model, the smallest result first."""

    def rows(result: results.Result) -> list[list[str]]:
        by_nats = sorted(result.figures.items(), key=lambda item: item[1]["nats"])
        return [[result.case, title, f"{f['nats']:.2f} ± {f['standard_error']:.2f}"] for title, f in by_nats]

    return real_tables.table(KIND, HEADER, cases, found, rows, real_tables.note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and, without `--quick`, writes its result files."""
    return real_tables.command_line(KIND, __doc__, CASES, QUICK, run, table, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
