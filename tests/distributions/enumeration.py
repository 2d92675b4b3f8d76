"""Small models, and oracles by enumeration: every event of a small discrete support."""

import itertools

import numpy as np
from scipy import stats

import tfar


def binary(**kwargs) -> tfar.MADE:
    """A small MADE over four bits."""
    return tfar.MADE([4], [12], **{"jit_compile": False, **kwargs})


def mixture(**kwargs) -> tfar.MADE:
    """A small MADE over three real values."""
    return tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), **{"jit_compile": False, **kwargs})


def all_events(num_sites: int, num_classes: int = 2) -> np.ndarray:
    """Every event, float32 `[num_classes ** num_sites, num_sites]`."""
    return np.array(list(itertools.product(range(num_classes), repeat=num_sites)), np.float32)


def spread(dist: tfar.Autoregressive, scale: float = 1.0, seed: int = 0) -> tfar.Autoregressive:
    """Gives every variable normal weights, so that no conditional is near uniform."""
    rng = np.random.default_rng(seed)
    for variable in dist.variables:
        variable.assign(rng.normal(0.0, scale, variable.shape))
    return dist


def member_site_log_probs(dist: tfar.Autoregressive, x: np.ndarray, member: int) -> np.ndarray:
    """log p_k(x_d | what comes before d), `[B, sites]`, from the network's own pass."""
    return np.asarray(dist.head.log_prob(dist.network(x, member=member), x), np.float64)


def matching(events: np.ndarray, value: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Which events agree with a value where it is observed."""
    return (events[:, observed] == value[observed]).all(-1)


def counts_of(draws: np.ndarray, num_classes: int = 2) -> np.ndarray:
    """How often each event of `all_events` was drawn."""
    draws = np.asarray(draws).astype(int)
    index = (draws * num_classes ** np.arange(draws.shape[-1])[::-1]).sum(-1)
    return np.bincount(index.ravel(), minlength=num_classes ** draws.shape[-1])


def chi_square_pvalue(counts: np.ndarray, probs: np.ndarray) -> float:
    """p-value of counts under probabilities; events expected fewer than five times are pooled."""
    expected = probs / probs.sum() * counts.sum()
    rare = expected < 5.0
    pooled = lambda a: np.append(a[~rare], a[rare].sum()) if expected[rare].sum() >= 1.0 else a[~rare]  # noqa: E731
    assert counts[expected == 0.0].sum() == 0
    observed, expected = pooled(counts), pooled(expected)
    if len(observed) == 1:
        return 1.0
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)
