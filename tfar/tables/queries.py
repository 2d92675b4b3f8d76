"""Probabilities of conditions on the columns of a table."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar import random
from tfar.heads import Head
from tfar.tables.column import Classes, Interval, Restriction
from tfar.tables.schema import Schema
from tfar.tables.sites import allowed_mass, allowed_probs, draw_allowed, is_allowed, site_params, support_values


class Estimate(NamedTuple):
    """A probability and the standard error of its estimate, 0 if it is exact."""

    value: float
    standard_error: float


class _Step(NamedTuple):
    """A site that a query visits.

    Attributes:
        site: int. Its raster index.
        first: int. The first site of its column.
        restriction: the condition on the column, or None.
        head: its head.
    """

    site: int
    first: int
    restriction: Restriction | None
    head: Head

    def allowed(self, values: NDArray[np.float32]) -> Interval | Classes | None:
        if self.restriction is None:
            return None
        return self.restriction.allowed(self.site - self.first, values[:, self.first : self.site])


class _Rows(NamedTuple):
    """Values of the sites visited so far, `[rows, num_sites]`, and the weights of the rows."""

    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    weights: NDArray[np.float64]

    def then(self, site: int, values: NDArray[np.float32], weights: NDArray[np.float64]) -> "_Rows":
        """Returns the rows with the value of one more site."""
        self.values[:, site], self.known[:, site] = values, True
        return _Rows(self.values, self.known, weights)


def probability(
    dist: Any, schema: Schema, where: Mapping[str, Any], num_samples: int = 1000, seed: Any = None
) -> Estimate:
    """Returns the probability that a row meets conditions; see `TableModel.prob`."""
    if not isinstance(where, Mapping) or not where:
        raise ValueError(f"Expected `where` to be conditions by name of the column; received {where!r}.")
    steps = _steps(dist, schema, {name: schema[name].restriction(condition) for name, condition in where.items()})
    if _num_combinations(steps) <= num_samples:
        rows = _no_sites(1, schema.num_sites)
        for step in steps[:-1]:
            rows = _enumerated(dist, step, rows)
        return Estimate(float(min(1.0, _weights_of_last(dist, steps[-1], rows).sum())), 0.0)
    seeds = random.row_seeds(seed, num_samples)
    noise = np.asarray(random.uniform(seeds, schema.num_sites * dist.head.noise_size, random.Stream.NOISE))
    noise = noise.reshape(num_samples, schema.num_sites, dist.head.noise_size)
    rows = _no_sites(num_samples, schema.num_sites)
    for step in steps[:-1]:
        rows = _drawn(dist, step, rows, noise[:, step.site])
    weights = _weights_of_last(dist, steps[-1], rows)
    return Estimate(float(weights.mean()), float(weights.std(ddof=1) / math.sqrt(num_samples)))


def _no_sites(count: int, num_sites: int) -> _Rows:
    """Returns rows of which no site is known."""
    return _Rows(np.zeros((count, num_sites), np.float32), np.zeros((count, num_sites), bool), np.ones(count))


def _steps(dist: Any, schema: Schema, restrictions: Mapping[str, Restriction]) -> list[_Step]:
    """Returns the sites to visit: those with a condition, and for a model of one order all before the last of them."""
    heads, names = dist.head.heads, schema.column_of_site
    firsts = [schema.sites(name).start for name in names]
    sites = list(range(schema.num_sites))
    if not dist.law.allows_any_pattern:
        sites = dist.network.orders[0].tolist()
        last = max(i for i, site in enumerate(sites) if names[site] in restrictions)
        sites = sites[: last + 1]
    steps = [_Step(site, firsts[site], restrictions.get(names[site]), heads[site]) for site in sites]
    return [step for step in steps if step.restriction is not None or not dist.law.allows_any_pattern]


def _num_combinations(steps: list[_Step]) -> float:
    """Returns a bound on the number of combinations of values before the last step; inf if a site has infinitely many."""
    count = 1.0
    for step in steps[:-1]:
        number = step.head.support().num_values
        if number is None or number > 2**16:
            return math.inf
        if step.site == step.first:  # what is allowed at a later digit depends on the digits before
            number = int(is_allowed(step.head, step.allowed(np.zeros((1, step.site), np.float32))).sum())
        count *= number
    return count


def _enumerated(dist: Any, step: _Step, rows: _Rows) -> _Rows:
    """Returns a row for each allowed value of a site with a finite support, with its probability as a factor."""
    params = site_params(dist, rows.values, rows.known, step.site)
    probs = rows.weights[:, None] * allowed_probs(step.head, params, step.allowed(rows.values))
    row, value = np.nonzero(is_positive(probs))
    chosen = _Rows(rows.values[row], rows.known[row], rows.weights[row])
    return chosen.then(step.site, support_values(step.head)[value], probs[row, value])


def is_positive(probs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns which probabilities are positive, and the largest one of each row in any case, so that no row is lost."""
    return (probs > 0.0) | (np.arange(probs.shape[1]) == probs.argmax(axis=1)[:, None])


def _drawn(dist: Any, step: _Step, rows: _Rows, noise: NDArray[np.float32]) -> _Rows:
    """Draws an allowed value of a site for each row, with the probability of the allowed ones as a factor."""
    params, allowed = site_params(dist, rows.values, rows.known, step.site), step.allowed(rows.values)
    mass = allowed_mass(step.head, params, allowed)
    drawn = draw_allowed(step.head, params, allowed, noise)
    # A row of weight 0 stays so, and any value in the support serves.
    drawn = np.where(np.asarray(step.head.in_support(drawn)), drawn, max(step.head.support().low, 0.0))
    return rows.then(step.site, drawn.astype(np.float32), rows.weights * mass)


def _weights_of_last(dist: Any, step: _Step, rows: _Rows) -> NDArray[np.float64]:
    params = site_params(dist, rows.values, rows.known, step.site)
    return rows.weights * allowed_mass(step.head, params, step.allowed(rows.values))
