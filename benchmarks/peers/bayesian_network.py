"""Discrete Bayesian networks: rows, exact probabilities and exact inference. pgmpy reads the files and eliminates variables."""

from __future__ import annotations

import dataclasses
import gzip
import importlib.resources
import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Network:
    """A network over columns in topological order.

    Attributes:
        states: the states of each column, by name.
        parents: the numbers of the parents of each column, all before it.
        tables: the probabilities of each column, `[*states of its parents, states]`.
    """

    states: Mapping[str, tuple[str, ...]]
    parents: tuple[tuple[int, ...], ...]
    tables: tuple[np.ndarray, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.states)

    @property
    def sizes(self) -> list[int]:
        """The number of states of each column."""
        return [len(states) for states in self.states.values()]

    def sample(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draws rows of numbers of states, int `[count, columns]`."""
        rows = np.zeros((count, len(self.sizes)), np.int64)
        for column, table in enumerate(self.tables):
            cumulative = np.cumsum(self._given_parents(rows, column, table), axis=-1)
            rows[:, column] = (generator.random((count, 1)) * cumulative[:, -1:] >= cumulative).sum(axis=-1)
        return rows

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Returns the log-probability of each row."""
        found = np.zeros(len(rows))
        for column, table in enumerate(self.tables):
            probs = self._given_parents(rows, column, table)
            with np.errstate(divide="ignore"):  # some rows are impossible
                found += np.log(probs[np.arange(len(rows)), rows[:, column]])
        return found

    def _given_parents(self, rows: np.ndarray, column: int, table: np.ndarray) -> np.ndarray:
        probs = table[tuple(rows[:, parent] for parent in self.parents[column])]
        return np.broadcast_to(probs, (len(rows), table.shape[-1]))

    def frame(self, rows: np.ndarray) -> Any:
        """Returns rows as a DataFrame of the names of states."""
        import pandas as pd

        columns = {name: np.array(states, object)[rows[:, i]] for i, (name, states) in enumerate(self.states.items())}
        return pd.DataFrame(columns).astype("str")

    def without_edges(self) -> Network:
        """Returns a network of independent columns; its tables are uniform."""
        tables = tuple(np.full(size, 1.0 / size) for size in self.sizes)
        return Network(self.states, ((),) * len(tables), tables)

    def fitted(self, rows: np.ndarray, pseudocount: float) -> Network:
        """Returns a network with these edges and the frequencies of rows, each count plus `pseudocount` / states."""
        tables = []
        for column, table in enumerate(self.tables):
            counts = np.full(table.shape, pseudocount / table.shape[-1])
            np.add.at(counts, tuple(rows[:, c] for c in (*self.parents[column], column)), 1.0)
            tables.append(counts / counts.sum(axis=-1, keepdims=True))
        return Network(self.states, self.parents, tuple(tables))

    # Exact inference -------------------------------------------------------------------------------------------------

    @cached_property
    def _elimination(self) -> Any:
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.inference import VariableElimination
        from pgmpy.models import DiscreteBayesianNetwork

        names, model = self.names, DiscreteBayesianNetwork()
        model.add_nodes_from(names)
        for column, (parents, table) in enumerate(zip(self.parents, self.tables, strict=True)):
            model.add_edges_from((names[parent], names[column]) for parent in parents)
            sizes = [self.sizes[parent] for parent in parents]
            values = np.moveaxis(table, -1, 0).reshape(table.shape[-1], -1)
            named = {names[c]: list(self.states[names[c]]) for c in (column, *parents)}
            evidence = [names[parent] for parent in parents]
            model.add_cpds(TabularCPD(names[column], table.shape[-1], values, evidence, sizes, named))
        return VariableElimination(model)

    def _query(self, columns: list[int], evidence: Mapping[int, int]) -> np.ndarray:
        """Returns the joint probabilities of columns given states of others, with an axis for each column."""
        names = self.names
        given = {names[c]: self.states[names[c]][state] for c, state in evidence.items()}
        factor = self._elimination.query([names[c] for c in columns], given, show_progress=False)
        order = [factor.variables.index(names[c]) for c in columns]
        return np.transpose(factor.values, order)

    def conditional(self, column: int, row: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Returns the probabilities of the states of a column given the cells of a row that are known."""
        return self._query([column], {int(c): int(row[c]) for c in np.flatnonzero(known)})

    def prob(self, allowed: Mapping[int, tuple[int, ...]]) -> float:
        """Returns the probability that each of some columns has one of its allowed states."""
        return float(self._query(list(allowed), {})[np.ix_(*allowed.values())].sum())


def open_network(name: str) -> Network:
    """Returns a network that pgmpy ships."""
    from pgmpy.readwrite import BIFReader

    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    file = importlib.resources.files("pgmpy") / "utils" / "example_models" / f"{name}.bif.gz"
    return from_pgmpy(BIFReader(string=gzip.decompress(file.read_bytes()).decode()).get_model())


def from_pgmpy(model: Any) -> Network:
    """Returns a discrete Bayesian network of pgmpy, its columns in topological order."""
    import networkx

    names = list(networkx.lexicographical_topological_sort(model))
    cpds = {name: model.get_cpds(name) for name in names}
    states = {name: tuple(map(str, cpds[name].state_names[name])) for name in names}
    # Tables whose rows are rounded are normalised, so that they are those of a distribution.
    tables = [np.moveaxis(np.asarray(cpds[name].values, np.float64), 0, -1) for name in names]
    tables = [table / table.sum(axis=-1, keepdims=True) for table in tables]
    parents = tuple(tuple(names.index(parent) for parent in cpds[name].variables[1:]) for name in names)
    return Network(states, parents, tuple(tables))
