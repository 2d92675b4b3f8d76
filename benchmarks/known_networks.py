"""Benchmark on Bayesian networks whose probabilities are known: `python -m benchmarks.known_networks [--quick] [--json FOLDER]`.

pgmpy (`pip install --no-deps pgmpy`) ships discrete networks with their probabilities as files, which are read without it. Rows
are drawn from a network, models are trained on them, and three things are compared with the network itself:

- divergence: the mean over test rows of log p(row) - log q(row), an estimate of the Kullback-Leibler divergence from the network;
- completions: a third of the cells of test rows is removed, and for one of them in each row the conditional given the cells that
  are left is compared with exact inference: the mean divergence and the mean total variation distance;
- queries: probabilities of conditions on some columns beside exact inference, as q-error, which is the larger one of
  estimate / truth and truth / estimate.

The peers know less or more: independent columns; frequencies among the training rows; and the frequencies of each column given
its parents in the true graph, with a pseudocount.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, render, results
from benchmarks.peers.bayesian_network import Network, open_network

SEED = 0
PSEUDOCOUNT = 1.0
MISSING = 1.0 / 3.0
SMALLEST_QUERY = 1e-4  # A condition that is met less often among the rows of the network is not asked for.


@dataclasses.dataclass(frozen=True)
class Case:
    """Sizes of a measurement.

    Attributes:
        network: name of a network of pgmpy.
        rows: numbers of training, validation and test rows.
        completions, queries: numbers of conditionals and of queries.
        hidden_units, epochs, patience: of the models.
    """

    network: str
    rows: tuple[int, int, int] = (20_000, 2_000, 5_000)
    completions: int = 200
    queries: int = 200
    hidden_units: tuple[int, ...] = (128, 128)
    epochs: int = 60
    patience: int = 5

    @property
    def name(self) -> str:
        """Name of the result file."""
        return self.network


CASES = (Case("asia"), Case("insurance"), Case("alarm"))
QUICK = Case("asia", (500, 100, 200), completions=5, queries=5, hidden_units=(8,), epochs=2)
MODELS = {"tfar MADE": "made", "tfar OrderlessNADE": "orderless"}


def measure(case: Case) -> dict[str, Any]:
    """Returns the figures of each model and peer on a network."""
    network, generator = open_network(case.network), np.random.default_rng(SEED)
    rows = network.sample(sum(case.rows), generator)
    train, valid, test = np.split(rows, np.cumsum(case.rows)[:2])
    gaps = gaps_of(network, test[: case.completions], generator)
    queries = make_queries(network, train, case.queries, generator)
    entropy = -network.log_prob(test)
    figures: dict[str, Any] = {"entropy": _rounded(float(entropy.mean())), "models": {}}
    for title, peer in _peers(network, train).items():
        figures["models"][title] = _of_network(peer, entropy, test, gaps, queries)
    figures["models"]["frequencies of rows"] = {"queries": q_errors([q.frequency(train) for q in queries], queries)}
    for title, name in MODELS.items():
        figures["models"][title] = _of_model(
            _trained(case, name, network, train, valid), network, entropy, test, gaps, queries
        )
    return figures


def _peers(network: Network, train: np.ndarray) -> dict[str, Network]:
    return {
        "independent columns": network.without_edges().fitted(train, PSEUDOCOUNT),
        "frequencies given the true parents": network.fitted(train, PSEUDOCOUNT),
    }


def _trained(case: Case, name: str, network: Network, train: np.ndarray, valid: np.ndarray) -> Any:
    import keras

    import tfar

    # Every category is known, also one that no row has.
    columns = [tfar.tables.CategoricalColumn(c, "str", network.states[c]) for c in network.names]
    model = tfar.TableModel(tfar.tables.Schema(columns), name, hidden_units=case.hidden_units, seed=SEED)
    stop = keras.callbacks.EarlyStopping("val_nll", mode="min", patience=case.patience, restore_best_weights=True)
    model.fit(
        network.frame(train),
        validation_data=network.frame(valid),
        epochs=case.epochs,
        callbacks=[stop],
        verbose=0,
    )
    return model


# Completions ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Gap:
    """A row, which of its cells are known, and the exact conditional of one that is not."""

    row: np.ndarray
    known: np.ndarray
    column: int
    truth: np.ndarray


def gaps_of(network: Network, rows: np.ndarray, generator: np.random.Generator) -> list[Gap]:
    """Removes cells of rows, and computes the conditional of one of those of each row."""
    found = []
    for row in rows:
        known = generator.random(len(row)) >= MISSING
        column = int(generator.integers(len(row)))
        known[column] = False
        found.append(Gap(row, known, column, network.conditional(column, row, known)))
    return found


def divergences(probs: Sequence[np.ndarray], gaps: Sequence[Gap]) -> dict[str, float]:
    """Returns the mean divergence in nats and the mean total variation distance of conditionals from the exact ones."""
    nats = [
        float(np.sum(np.where(gap.truth > 0, gap.truth * (np.log(np.maximum(gap.truth, 1e-300)) - np.log(p)), 0.0)))
        for p, gap in zip(probs, gaps, strict=True)
    ]
    distances = [0.5 * float(np.abs(gap.truth - p).sum()) for p, gap in zip(probs, gaps, strict=True)]
    return {"nats": _rounded(float(np.mean(nats))), "total_variation": _rounded(float(np.mean(distances)))}


def conditionals(model: Any, network: Network, gaps: Sequence[Gap]) -> list[np.ndarray]:
    """Returns the conditionals of a model: those of the categories, given that the cell is one of them."""
    frame = network.frame(np.stack([gap.row for gap in gaps]))
    frame = frame.where(np.stack([gap.known for gap in gaps]))
    found: list[Any] = [None] * len(gaps)
    for column in sorted({gap.column for gap in gaps}):
        rows = [i for i, gap in enumerate(gaps) if gap.column == column]
        name = network.names[column]
        probs = model.conditionals(frame.iloc[rows], [name])[name].to_numpy()[:, :-1]  # the last is for unseen cells
        for i, p in zip(rows, probs / probs.sum(axis=1, keepdims=True), strict=True):
            found[i] = p
    return found


# Queries ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Query:
    """The states of some columns that are asked for, and the exact probability."""

    allowed: Mapping[int, tuple[int, ...]]
    truth: float

    def frequency(self, rows: np.ndarray) -> float:
        """Returns the share of rows that meet the conditions, at least half a row."""
        meets = np.all([np.isin(rows[:, column], states) for column, states in self.allowed.items()], axis=0)
        return max(float(meets.mean()), 0.5 / len(rows))


def make_queries(network: Network, rows: np.ndarray, count: int, generator: np.random.Generator) -> list[Query]:
    """Returns conditions on two to four columns; the states of a row, and others at random, are asked for."""
    found: list[Query] = []
    while len(found) < count:
        row = rows[generator.integers(len(rows))]
        columns = generator.choice(len(row), size=int(generator.integers(2, min(len(row), 4) + 1)), replace=False)
        allowed = {}
        for column in map(int, columns):
            others = np.flatnonzero(generator.random(len(network.states[network.names[column]])) < 0.3)
            allowed[column] = tuple(sorted({int(row[column]), *map(int, others)}))
        truth = network.prob(allowed)
        if truth >= SMALLEST_QUERY:
            found.append(Query(allowed, truth))
    return found


def q_errors(estimates: Sequence[float], queries: Sequence[Query]) -> dict[str, float]:
    """Returns quantiles of the q-error."""
    ratios = np.maximum(estimates, 1e-12) / np.array([query.truth for query in queries])
    errors = np.maximum(ratios, 1.0 / ratios)
    levels = {"median": 0.5, "95": 0.95, "99": 0.99, "max": 1.0}
    return {name: _rounded(float(np.quantile(errors, level))) for name, level in levels.items()}


# Figures ----------------------------------------------------------------------------------------------------------------


def _of_network(
    peer: Network, entropy: np.ndarray, test: np.ndarray, gaps: Sequence[Gap], queries: Sequence[Query]
) -> dict[str, Any]:
    probs = [peer.conditional(gap.column, gap.row, gap.known) for gap in gaps]
    estimates = [peer.prob(query.allowed) for query in queries]
    return {
        **_divergence(-entropy - peer.log_prob(test)),
        "completions": divergences(probs, gaps),
        "queries": q_errors(estimates, queries),
    }


def _of_model(
    model: Any,
    network: Network,
    entropy: np.ndarray,
    test: np.ndarray,
    gaps: Sequence[Gap],
    queries: Sequence[Query],
) -> dict[str, Any]:
    found = _divergence(-entropy - model.log_prob(network.frame(test)).to_numpy())
    if model.dist.law.allows_any_pattern:  # A network of one order has no conditionals given other columns.
        found["completions"] = divergences(conditionals(model, network, gaps), gaps)
    asked = [
        {network.names[c]: [network.states[network.names[c]][s] for s in states] for c, states in query.allowed.items()}
        for query in queries
    ]
    estimates = [model.prob(where, seed=i).value for i, where in enumerate(asked)]
    return {**found, "queries": q_errors(estimates, queries)}


def _divergence(differences: np.ndarray) -> dict[str, float]:
    error = float(differences.std() / np.sqrt(len(differences)))
    return {"divergence": _rounded(float(differences.mean())), "standard_error": _rounded(error)}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def run(case: Case, command: str, threads: int = machine.NUM_THREADS) -> results.Result:
    """Measures a case; the threads are those that TensorFlow has been set to."""
    network = open_network(case.network)
    return results.make(
        kind="networks",
        case=case.name,
        command=command,
        seed=SEED,
        data={"name": case.network, "columns": len(network.names), "rows": list(case.rows), "missing": MISSING},
        settings={**dataclasses.asdict(case), "threads": threads},
        figures=measure(case),
        paper={},
        targets=[],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and, without `--quick`, writes its result files."""
    parser = argparse.ArgumentParser("python -m benchmarks.known_networks", description=__doc__)
    parser.add_argument("networks", nargs="*", help="names of networks; default: " + ", ".join(c.name for c in CASES))
    parser.add_argument("--quick", action="store_true", help="a narrow model, two epochs, a few rows; writes no result")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    parser.add_argument("--threads", type=int, default=machine.NUM_THREADS)
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.networks) - {case.name for case in CASES}):
        parser.error(f"expected networks out of {[case.name for case in CASES]}; received {unknown}")
    machine.set_threads(options.threads)
    chosen = [QUICK] if options.quick else [c for c in CASES if not options.networks or c.name in options.networks]
    found = []
    for case in chosen:
        command = "python -m benchmarks.known_networks" + (" --quick" if options.quick else f" {case.name}")
        found.append(run(case, f"{command} --threads {options.threads}", options.threads))
        if options.json or not options.quick:
            results.write(found[-1], options.json or results.FOLDER)
    print(render.networks_table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
