"""Heads and, for each of four sites, the same conditional in SciPy or plain sums, in float64."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from tests.reference import logistics, scale_mixtures
from tfar import heads

NUM_SITES = 4
Array = np.ndarray


@dataclass
class Finite:
    """A distribution over whole numbers from `low` on."""

    probs: Array
    low: int = 0

    discrete = True

    @property
    def values(self) -> Array:
        return np.arange(len(self.probs)) + self.low

    def log_prob(self, x: Array) -> Array:
        return np.log(self.probs[np.asarray(x, int) - self.low])

    def cdf(self, x: Array) -> Array:
        return np.array([self.probs[self.values <= v].sum() for v in np.ravel(x)]).reshape(np.shape(x))

    def between(self, lower: Array, upper: Array) -> Array:
        pairs = zip(np.ravel(lower), np.ravel(upper), strict=True)
        return np.array([self.probs[(a <= self.values) & (self.values <= b)].sum() for a, b in pairs])

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return rng.choice(self.values, count, p=self.probs / self.probs.sum()).astype(np.float64)

    def summary(self) -> dict[str, float]:
        mean = float((self.probs * self.values).sum())
        return {
            "mean": mean,
            "variance": float((self.probs * (self.values - mean) ** 2).sum()),
            "entropy": float(stats.entropy(self.probs)),
            "mode": float(self.values[np.argmax(self.probs)]),
        }


@dataclass
class Mixture:
    """A mixture of frozen SciPy distributions."""

    weights: Array
    parts: Any

    discrete = False

    def log_prob(self, x: Array) -> Array:
        x = np.asarray(x, np.float64)[..., None]
        log_density = self.parts.logpdf(x)
        if self.parts.dist.name == "laplace":  # SciPy takes the logarithm of a density that underflows
            loc, scale = self.parts.args
            log_density = -np.abs(x - loc) / scale - np.log(2.0 * scale)
        return special.logsumexp(log_density + np.log(self.weights), axis=-1)

    def cdf(self, x: Array) -> Array:
        return self.parts.cdf(np.asarray(x, np.float64)[..., None]) @ self.weights

    def between(self, lower: Array, upper: Array) -> Array:
        low, high = (np.asarray(edge, np.float64)[..., None] for edge in (lower, upper))
        left, right = self.parts.cdf(high) - self.parts.cdf(low), self.parts.sf(low) - self.parts.sf(high)
        return np.where(low < self.parts.mean(), left, right) @ self.weights

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        chosen = rng.choice(len(self.weights), count, p=self.weights)
        return self.parts.rvs((count, len(self.weights)), random_state=rng)[np.arange(count), chosen]

    def summary(self) -> dict[str, float]:
        """By sums over a fine grid, not by the formulas of the package."""
        centre, spread = np.median(self.parts.mean()), 14 * self.parts.std().max() + np.ptp(self.parts.mean())
        x = np.linspace(centre - spread, centre + spread, 200_001)
        log_density = self.log_prob(x)
        density = np.exp(log_density)
        mean = np.trapezoid(density * x, x)
        return {
            "mean": float(mean),
            "variance": float(np.trapezoid(density * (x - mean) ** 2, x)),
            "entropy": float(-np.trapezoid(density * log_density, x)),
            "mode": float(x[np.argmax(density)]),
        }


def softmax(logits: Array) -> Array:
    return special.softmax(np.asarray(logits, np.float64), axis=-1)


def bernoulli(params: Array, site: int) -> Finite:
    return Finite(special.expit(np.array([-1.0, 1.0]) * np.float64(params[0])))


def categorical(params: Array, site: int) -> Finite:
    return Finite(softmax(params))


def ordinal(params: Array, site: int) -> Finite:
    return Finite(softmax([np.sum(params[: k + 1], dtype=np.float64) for k in range(len(params))]), -1)


def logistic(low: int, high: int, components: int, mu: float | None = None) -> Callable[[Array, int], Finite]:
    values, how = range(low, high + 1), (components, low, high, math.exp(-7.0), mu)
    return lambda params, site: Finite(
        np.array([logistics.pixel_prob(params, np.array([x]), *how) for x in values]), low
    )


def count(low: int, components: int, loc: float, scale: float, highest: int) -> Callable[[Array, int], Finite]:
    """Masses up to `highest`, beyond which there is almost nothing; the interval of `low` begins at minus infinity."""

    def make(params: Array, site: int) -> Finite:
        logits, locations, raw = np.split(np.asarray(params, np.float64), 3)
        probs = np.zeros(highest - low + 1)
        for weight, location, raw_scale in zip(softmax(logits), locations, raw, strict=True):
            m, s = loc + scale * location, 0.1 + scale * logistics.softplus(raw_scale)
            for i, x in enumerate(range(low, highest + 1)):
                above, below = (x + 0.5 - m) / s, (x - 0.5 - m) / s if i else -np.inf
                if below > 0.0:  # the same mass seen from the other side, where the difference keeps its digits
                    above, below = -below, -above
                probs[i] += weight * (logistics.logistic(above) - logistics.logistic(below))
        return Finite(probs, low)

    return make


def with_atoms(values: list[int], rest: Callable[[Array, int], Finite]) -> Callable[[Array, int], Finite]:
    """Adds the masses of atoms to a distribution over whole numbers; the first one may lie below all others."""

    def make(params: Array, site: int) -> Finite:
        weights, inner = softmax(params[: len(values) + 1]), rest(params[len(values) + 1 :], site)
        low = min(inner.low, *values)
        probs = np.concatenate([np.zeros(inner.low - low), weights[-1] * inner.probs])
        for value, weight in zip(values, weights, strict=False):
            probs[value - low] += weight
        return Finite(probs, low)

    return make


def mixture(component: Any, min_scale: float, loc: Any = 0.0, scale: Any = 1.0) -> Callable[[Array, int], Mixture]:
    """Mixture with units, a number or one for each site."""

    def make(params: Array, site: int) -> Mixture:
        logits, means, raw = np.split(np.asarray(params, np.float64), 3)
        site_loc, site_scale = (np.broadcast_to(unit, [NUM_SITES])[site] for unit in (loc, scale))
        scales = site_scale * (min_scale + np.logaddexp(0.0, raw))
        return Mixture(softmax(logits), component(site_loc + site_scale * means, scales))

    return make


def bounded_normal(bound: float) -> Callable[[Array, int], Mixture]:
    """One normal whose log scale is `bound * tanh(raw / bound)`."""

    def make(params: Array, site: int) -> Mixture:
        loc, raw = np.asarray(params, np.float64)
        return Mixture(np.ones(1), stats.norm(np.array([loc]), np.exp([bound * np.tanh(raw / bound)])))

    return make


def per_site(*makers: tuple[int, Callable[[Array, int], Any]]) -> Callable[[Array, int], Any]:
    return lambda params, site: makers[site][1](params[: makers[site][0]], site)


@dataclass
class Case:
    """A head for `NUM_SITES` sites and its truth: from a parameter vector and a site to a distribution."""

    make: Callable[[], heads.Head]
    truth: Callable[[Array, int], Any]


COUNTS = [5.0, 1.0, 0.0, 30.0, 2.0, 9.0]
WORDS = {
    "dense-softmax": lambda: heads.DenseSoftmax(6, 3, counts=COUNTS, seed=1),
    "balanced-tree": lambda: heads.TreeSoftmax(6, 3, counts=COUNTS, seed=1),
    "frequency-tree": lambda: heads.TreeSoftmax(6, 3, tree="frequency", counts=COUNTS, seed=1),
}


def words(name: str) -> Callable[[Array, int], Finite]:
    """Head of many classes with its initial weights: a softmax, or a walk down the tree."""

    def make(params: Array, site: int) -> Finite:
        head = WORDS[name]()
        head.build()
        logits = np.asarray(head.kernel, np.float64) @ params[:-1] + np.asarray(head.bias, np.float64) * params[-1]
        return Finite(softmax(logits) if name == "dense-softmax" else leaves(head._tree.children, logits))

    return make


def leaves(children: Array, logits: Array) -> Array:
    """Probabilities of the leaves of a tree, whose decisions have these log-odds of turning right."""
    probs, waiting = np.zeros(len(children) + 1), [(0, 1.0)]
    while waiting:
        node, prob = waiting.pop()
        if node >= len(children):
            probs[node - len(children)] += prob
        else:
            right = special.expit(logits[node])
            waiting += [(children[node, 0], prob * (1.0 - right)), (children[node, 1], prob * right)]
    return probs


def ended(params: Array, site: int) -> Finite:
    return Finite(np.eye(5)[0] if params[-1] > 0.5 else softmax(params[:-1]))


LOC, SCALE = np.array([1000.0, 0.0, -3.0, 1e-4]), np.array([20.0, 1.0, 0.1, 1e-5])
COLUMNS = ((1, bernoulli), (6, mixture(stats.norm, 0.2)), (3, categorical), (6, mixture(stats.norm, 0.2)))
UNIT_COLUMNS = (
    (1, bernoulli),
    (6, mixture(stats.norm, 0.2, loc=50.0, scale=4.0)),
    (3, categorical),
    (6, mixture(stats.norm, 0.2, loc=-2.0, scale=0.5)),
)


def columns() -> heads.PerSite:
    parts = [heads.Bernoulli(), heads.NormalMixture(2, 0.2), heads.Categorical(3), heads.NormalMixture(2, 0.2)]
    return heads.PerSite(parts)


def scale_mixture() -> heads.GaussianScaleMixture:
    """With weights under which every part matters."""
    head = heads.GaussianScaleMixture(2, 3, 2, num_inputs=3, min_scale=1e-3)
    head.build()
    rng = np.random.default_rng(5)
    for variable in head.weights:
        variable.assign(rng.normal(0.0, 0.7, variable.shape))
    return head


def of_scale_mixture(params: Array, site: int) -> Mixture:
    h, m = np.split(np.asarray(params, np.float64), [3])
    found = scale_mixtures.conditional(scale_mixtures.weights_of(scale_mixture()), h, m)
    return Mixture(found.probs, stats.norm(found.means[:, 0], np.sqrt(found.covariances[:, 0, 0])))


CASES = {
    "bernoulli": Case(heads.Bernoulli, bernoulli),
    "categorical": Case(lambda: heads.Categorical(5), categorical),
    "ordinal": Case(lambda: heads.Ordinal(5, lowest=-1), ordinal),
    "logistics": Case(lambda: heads.DiscretizedLogisticMixture(2, -1, 6, 1), logistic(-1, 6, 2)),
    "companded-logistics": Case(
        lambda: heads.DiscretizedLogisticMixture(2, -4, 6, 1, companding=30), logistic(-4, 6, 2, 30)
    ),
    "count": Case(lambda: heads.Count(3, -1, 8.0, 4.0), count(-1, 3, 8.0, 4.0, 400)),
    "inflated-count": Case(
        lambda: heads.Atoms([0, 5], heads.Count(2, None, 1.0, 0.7)),
        with_atoms([0, 5], count(-100, 2, 1.0, 0.7, 100)),
    ),
    "normals": Case(lambda: heads.NormalMixture(3), mixture(stats.norm, 1e-4)),
    "normal": Case(lambda: heads.NormalMixture(1, min_scale=0.5), mixture(stats.norm, 0.5)),
    "bounded-normal": Case(lambda: heads.Normal(max_log_scale=2.0), bounded_normal(2.0)),
    "laplaces": Case(lambda: heads.LaplaceMixture(3), mixture(stats.laplace, 1e-4)),
    "standardized": Case(
        lambda: heads.Standardized(heads.NormalMixture(2, 0.1), loc=1000.0, scale=20.0),
        mixture(stats.norm, 0.1, 1000.0, 20.0),
    ),
    "standardized-sites": Case(
        lambda: heads.Standardized(heads.LaplaceMixture(2, 0.1), [2, 2], LOC.reshape(2, 2), SCALE.reshape(2, 2)),
        mixture(stats.laplace, 0.1, LOC, SCALE),
    ),
    "scale-mixture": Case(scale_mixture, of_scale_mixture),
    "per-site": Case(columns, per_site(*COLUMNS)),
    "standardized-per-site": Case(
        lambda: heads.Standardized(columns(), [4], loc=[0.0, 50.0, 0.0, -2.0], scale=[1.0, 4.0, 1.0, 0.5]),
        per_site(*UNIT_COLUMNS),
    ),
    **{name: Case(make, words(name)) for name, make in WORDS.items()},
    "absorbing": Case(lambda: heads.Absorbing(heads.Categorical(5)), ended),
}
