"""Checks that samples follow `log_prob` and that the samplers agree."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.distributions import Autoregressive
from tfar.laws.member import Member
from tfar.testing import support
from tfar.testing.errors import CheckError

Array = NDArray[Any]
METHODS = ("naive", "ancestral", "fixed_point")
# Two methods may give different draws if the noise is this close to the boundary between two values.
EDGE = 1e-5
# Largest fraction of rows that may differ for this reason; at least one row in a small batch.
EDGE_FRACTION = 1e-3
# Tolerance for the equality of continuous values, relative to the larger of 1 and the value.
VALUE_RTOL = 1e-4
MIN_EXPECTED = 8.0
BINS = 16


class Differences(NamedTuple):
    """The rows in which two batches of samples differ.

    Attributes:
        rows: int `[N]`. Rows that are not equal.
        sites: int `[N]`. The first site that differs in each row, in the order of the row's member.
        explained: bool `[N]`. Whether |noise - cdf| < 1e-5 there.
    """

    rows: Array
    sites: Array
    explained: Array


def check_samples(
    dist: Autoregressive,
    num_samples: int = 20_000,
    seed: int = 0,
    method: str = "ancestral",
    significance: float = 1e-4,
    conditional_input: Any = None,
) -> None:
    """Checks by a chi-square test that samples follow `log_prob`.

    A discrete support is enumerated, and rare events are merged.
    A density of one or two dimensions is integrated over bins.

    Args:
        dist: the distribution.
        num_samples: int. Number of samples.
        seed: int. Seed of the samples.
        method: the sampler; see `tfar.Autoregressive.sample`.
        significance: float. The probability that the test rejects a correct sampler.
        conditional_input: None for a random condition, or the condition of one row.

    Raises:
        CheckError: If a sample is outside the support or the test rejects.
        ValueError: If the support is too large, or continuous with more than two dimensions, or if some
            values have a mass and others a density.

    Example:
        >>> tfar.testing.check_samples(tfar.MADE(event_shape=[4], hidden_units=[8]), num_samples=2000)
    """
    samples = support.draws(dist, num_samples, seed, method, conditional_input)
    if dist.head.discrete:
        log_probs = support.log_probs(dist, support.enumerate_events(dist), conditional_input, seed)
        probs, counts = np.exp(log_probs), event_counts(dist, samples)
    else:
        probs, counts = bin_counts(support.grid_density(dist, conditional_input, seed), samples)
    require_frequencies(counts, probs, significance, f"{method}, {num_samples} samples")


def require_frequencies(counts: Array, probs: Array, significance: float, what: str) -> None:
    """Raises CheckError if the chi-square test rejects the hypothesis that the counts have these probabilities."""
    statistic, freedom, p_value = chi_square(counts, probs * counts.sum())
    if not p_value >= significance:
        raise CheckError(
            f"Expected samples that follow log_prob; chi-square {statistic:.1f} with {freedom} degrees of freedom has "
            f"p = {p_value:.2g}, below {significance:g} ({what})."
        )


def chi_square(counts: Array, expected: Array) -> tuple[float, int, float]:
    """Computes Pearson's test: statistic, degrees of freedom and p-value. Rare cells are merged."""
    ranking = np.argsort(-expected, kind="stable")
    counts, expected = counts[ranking].astype(np.float64), expected[ranking].astype(np.float64)
    rest = np.cumsum(expected[::-1])[::-1]
    common = max(1, int(np.sum((expected >= MIN_EXPECTED) & (rest - expected >= MIN_EXPECTED))))
    counts = np.append(counts[:common], counts[common:].sum())
    expected = np.append(expected[:common], expected[common:].sum())
    statistic = float(((counts - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    return statistic, common, float(tf.math.igammac(tf.constant(common / 2.0, tf.float64), statistic / 2.0))


def event_counts(dist: Autoregressive, samples: Array) -> Array:
    """Returns how often each event of `support.enumerate_events` occurs among the samples.

    Raises:
        CheckError: If a sample is outside the support.
    """
    samples, entries = samples.reshape(len(samples), -1), support.site_values(dist)
    codes = np.zeros(len(samples), np.int64)
    for dim, values in enumerate(entries):
        index = samples[:, dim] - values[0]
        inside = (index >= 0) & (index < len(values)) & (index == np.floor(index))
        if not inside.all():
            row = int(np.argmin(inside))
            raise CheckError(
                f"Expected samples in {values[0]:g} .. {values[-1]:g}; sample {row} has {samples[row, dim]} at dimension {dim}."
            )
        codes = codes * len(values) + index.astype(np.int64)
    return np.bincount(codes, minlength=int(np.prod([len(values) for values in entries])))


def bin_counts(grid: support.Grid, samples: Array) -> tuple[Array, Array]:
    """Returns the probabilities of bins that the samples fill evenly, and the number of samples in each."""
    samples = samples.reshape(len(samples), -1)
    cells, edges = grid.density, []
    for dim, axis in enumerate(grid.axes):
        shares = np.quantile(samples[:, dim], np.linspace(0.0, 1.0, BINS + 1)[1:-1])
        cuts = np.unique(np.clip(np.searchsorted(axis, shares), 1, len(axis) - 2))
        means = 0.5 * (np.take(cells, range(1, len(axis)), dim) + np.take(cells, range(len(axis) - 1), dim))
        cells = np.add.reduceat(means, np.append(0, cuts), axis=dim) * (axis[1] - axis[0])
        edges.append(axis[cuts])
    indices = [np.searchsorted(edge, samples[:, dim]) for dim, edge in enumerate(edges)]
    counts = np.bincount(np.ravel_multi_index(indices, cells.shape), minlength=cells.size)
    return cells.ravel() / cells.sum(), counts


def check_samplers_agree(
    dist: Autoregressive, num_samples: int = 1000, seed: int = 0, conditional_input: Any = None
) -> None:
    """Checks that the naive, the ancestral and the fixed-point sampler give equal samples from the same noise.

    Equal is defined by `equal_samples`.

    Args:
        dist: the distribution.
        num_samples: int. Number of samples.
        seed: int. Seed of the noise.
        conditional_input: None for a random condition, or the condition of one row.

    Raises:
        CheckError: If two samplers differ; the message names the row and the site.

    Example:
        >>> tfar.testing.check_samplers_agree(tfar.MADE(event_shape=[4], hidden_units=[8]), num_samples=100)
    """
    draws = {method: support.draws(dist, num_samples, seed, method, conditional_input) for method in METHODS}
    require_equal_draws(dist, draws, seed, conditional_input)


def require_equal_draws(
    dist: Autoregressive, draws: dict[str, Array], seed: int, conditional_input: Any = None
) -> None:
    """Raises CheckError if draws of other methods differ from those of "naive" with the same seed."""
    num_samples = len(draws[METHODS[0]])
    rows = support.one_condition(dist, conditional_input, num_samples, seed)
    seeds = random.row_seeds(seed, num_samples)
    noise, member_noise = dist.law.uniform_noise(seeds, dist.num_sites), dist.law.member_noise(seeds)
    for method in METHODS[1:]:
        found = differences(dist, draws[METHODS[0]], draws[method], noise, rows, member_noise)
        if not _acceptable(found, num_samples):
            worst = int(np.argmin(found.explained))
            raise CheckError(
                f"Expected {method} to give the samples of {METHODS[0]}; {len(found.rows)} of {num_samples} rows "
                f"differ, {int((~found.explained).sum())} of them without a draw at an edge: row "
                f"{found.rows[worst]} at site {found.sites[worst]}."
            )


def equal_samples(
    dist: Autoregressive, a: Any, b: Any, noise: Any, conditional_input: Any = None, member_noise: Any = None
) -> bool:
    """Returns whether two batches of samples of the same noise are equal up to rounding errors.

    Rows are equal if all their sites are (continuous ones within 1e-4), or if at the first difference, in the order of
    the sites, the noise is within 1e-5 of the boundary given by the distribution function. One row of the second kind
    is allowed, or 0.1 % of the rows if that is more.

    Args:
        dist: the distribution.
        a, b: samples `[B, *event_shape]`.
        noise: `[B, num_sites, noise_size]`, the noise of both.
        conditional_input: `[B, *conditional_shape]` or a dict, if the model has one.
        member_noise: `[B]`, if the model is an ensemble.

    Returns:
        bool.

    Example:
        >>> dist = tfar.MADE(event_shape=[4], hidden_units=[8])
        >>> noise = dist.law.uniform_noise(tfar.random.row_seeds(1, 5))
        >>> tfar.testing.equal_samples(dist, dist.sample(5, seed=1), dist.law.sample_from_noise(noise), noise)
        True
    """
    return _acceptable(differences(dist, a, b, noise, conditional_input, member_noise), len(a))


def _acceptable(found: Differences, num_rows: int) -> bool:
    return bool(found.explained.all()) and len(found.rows) <= max(1, int(EDGE_FRACTION * num_rows))


def differences(
    dist: Autoregressive, a: Any, b: Any, noise: Any, conditional_input: Any = None, member_noise: Any = None
) -> Differences:
    """Returns the rows in which two batches of samples differ; see `equal_samples`."""
    sites_a, sites_b = (np.asarray(v, np.float64).reshape(len(v), dist.num_sites, -1) for v in (a, b))
    limit = 0.0 if dist.head.discrete else VALUE_RTOL * np.maximum(1.0, np.abs(sites_a))
    unequal: Any = ~(np.abs(sites_a - sites_b) <= limit).all(axis=-1)
    rows = np.flatnonzero(unequal.any(axis=1))
    members = [dist.law.member(int(k)) for k in _members(dist, member_noise, len(sites_a))[rows]]
    count = dist.num_sites
    orders = np.array([np.argsort(np.asarray(m.step_of_site_of_rows(1, count))[0], kind="stable") for m in members])
    orders = orders.reshape(len(rows), count).astype(int)
    sites = orders[np.arange(len(rows)), np.take_along_axis(unequal[rows], orders, 1).argmax(axis=1)]
    conditions = [support.take(conditional_input, slice(row, row + 1)) for row in rows]
    explained = np.array(
        [
            _explained(dist, np.asarray(a)[row], sites_b[row, site], np.asarray(noise)[row, site], site, member, c)
            for row, site, member, c in zip(rows, sites, members, conditions, strict=True)
        ],
        bool,
    )
    return Differences(rows, sites, explained)


def _members(dist: Autoregressive, member_noise: Any, num_rows: int) -> NDArray[np.int32]:
    count = dist.num_members
    if count == 1:
        return np.zeros(num_rows, np.int32)
    if member_noise is None:
        raise ValueError("Expected `member_noise`, because each row of an ensemble draws a member; received None.")
    return np.asarray(dist.law.members.select(tf.constant(member_noise)), np.int32)


def _explained(
    dist: Autoregressive, event: Array, value: Array, noise: Array, site: int, member: Member, condition: Any
) -> bool:
    """Returns whether moving the noise of a site by less than 1e-5 gives the other value, up to rounding."""
    params = member.params(tf.constant(event[None]), condition)[0, site]
    moves = np.stack(np.meshgrid(*[[-EDGE, 0.0, EDGE]] * len(noise), indexing="ij"), -1).reshape(-1, len(noise))
    moved = np.clip(noise + moves, 2.0**-24, 1.0 - 2.0**-24)
    draws = member.conditional.sample(tf.tile(params[None], [len(moved), 1]), moved, np.full(len(moved), site))
    draws = np.asarray(draws).reshape(len(moved), -1)
    slack = 0.0 if dist.head.discrete else VALUE_RTOL * np.maximum(1.0, np.abs(value))
    return bool((draws.min(0) - slack <= value).all() and (value <= draws.max(0) + slack).all())
