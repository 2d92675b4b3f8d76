"""Discrete Bayesian networks: rows, exact probabilities and exact inference, and those whose files the package pgmpy ships."""

from __future__ import annotations

import dataclasses
import graphlib
import gzip
import importlib.util
import math
import pathlib
import re
from collections.abc import Iterable, Mapping
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

    def _query(self, columns: list[int], evidence: Mapping[int, int]) -> np.ndarray:
        """Returns the joint probabilities of columns given states of others, with an axis for each column.

        The other columns are summed out one after the other, each time the one whose factor is the smallest (variable
        elimination); only ancestors of what is asked and given count.
        """
        factors = []
        for column in self._ancestors([*columns, *evidence]):
            axes = [*self.parents[column], column]
            states = tuple(evidence.get(axis, slice(None)) for axis in axes)
            factors.append((self.tables[column][states], [axis for axis in axes if axis not in evidence]))
        hidden = {axis for _, axes in factors for axis in axes} - set(columns)
        while hidden:
            scopes = {one: {axis for _, axes in factors if one in axes for axis in axes} for one in sorted(hidden)}
            chosen = min(scopes, key=lambda one: math.prod(self.sizes[axis] for axis in scopes[one]))
            kept = sorted(scopes[chosen] - {chosen})
            own = [factor for factor in factors if chosen in factor[1]]
            factors = [factor for factor in factors if chosen not in factor[1]] + [(_product(own, kept), kept)]
            hidden.remove(chosen)
        joint = _product(factors, columns)
        return joint / joint.sum()

    def _ancestors(self, columns: Iterable[int]) -> list[int]:
        """Returns columns and all that they depend on."""
        found, waiting = set(), list(columns)
        while waiting:
            column = waiting.pop()
            if column not in found:
                found.add(column)
                waiting += self.parents[column]
        return sorted(found)

    def conditional(self, column: int, row: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Returns the probabilities of the states of a column given the cells of a row that are known."""
        return self._query([column], {int(c): int(row[c]) for c in np.flatnonzero(known)})

    def prob(self, allowed: Mapping[int, tuple[int, ...]]) -> float:
        """Returns the probability that each of some columns has one of its allowed states."""
        return float(self._query(list(allowed), {})[np.ix_(*allowed.values())].sum())


def _product(factors: list[tuple[np.ndarray, list[int]]], axes: list[int]) -> np.ndarray:
    """Returns the product of factors as a table over some axes; the others are summed out."""
    return np.einsum(*(part for factor in factors for part in factor), axes)


def open_network(name: str) -> Network:
    """Returns a network that pgmpy ships. Its files are read; the package is not imported."""
    package = importlib.util.find_spec("pgmpy")
    if package is None or not package.submodule_search_locations:
        raise ImportError(
            "Expected the files of the package pgmpy, which is not installed: pip install --no-deps pgmpy"
        )
    folder = pathlib.Path(package.submodule_search_locations[0]) / "utils" / "example_models"
    return from_bif(gzip.decompress((folder / f"{name}.bif.gz").read_bytes()).decode())


VARIABLE = re.compile(r"variable\s+(\S+)\s*\{[^{}]*\{([^}]*)\}")
PROBABILITY = re.compile(r"probability\s*\(\s*([^\s|)]+)\s*(?:\|([^)]*))?\)\s*\{([^}]*)\}")
LINE = re.compile(r"(?:table|\(([^)]*)\))([^;]*);")


def from_bif(text: str) -> Network:
    """Returns the network of a text in the interchange format BIF, its columns in topological order."""
    states = {name: tuple(_words(listed)) for name, listed in VARIABLE.findall(text)}
    found = {name: (_words(parents), LINE.findall(lines)) for name, parents, lines in PROBABILITY.findall(text)}
    if not states or set(found) != set(states):
        raise ValueError(
            f"Expected a block `variable` and a block `probability` for each column. Received {len(states)} variables, and "
            f"the probabilities of {len(found)}."
        )
    names = list(graphlib.TopologicalSorter({name: parents for name, (parents, _) in found.items()}).static_order())
    tables = []
    for name in names:
        parents, lines = found[name]
        table = np.zeros([len(states[column]) for column in (*parents, name)])
        for given, probs in lines:
            at = tuple(states[parent].index(state) for parent, state in zip(parents, _words(given), strict=True))
            table[at] = [float(prob) for prob in _words(probs)]
        # Tables whose rows are rounded are normalised, so that they are those of a distribution.
        tables.append(table / table.sum(axis=-1, keepdims=True))
    parents_of = tuple(tuple(names.index(parent) for parent in found[name][0]) for name in names)
    return Network({name: states[name] for name in names}, parents_of, tuple(tables))


def _words(listed: str) -> list[str]:
    return [word.strip() for word in listed.split(",") if word.strip()]
