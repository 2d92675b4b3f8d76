"""A head with random parameters beside its truth, for the tests of every head."""

import numpy as np
import pytest
from scipy import stats

from tests.heads.oracles import CASES, NUM_SITES

# Error rate of each statistical test, for a fixed seed.
ALPHA = 1e-4
SITES = np.arange(NUM_SITES)
EACH = pytest.mark.parametrize("name", CASES)


class Setup:
    """A head, random parameters `[4, P]`, one vector for each site, and the truth of each site."""

    def __init__(self, name, seed=0):
        self.head, self.rng = CASES[name].make(), np.random.default_rng(seed)
        self.params = self.rng.normal(0.0, 1.0, (NUM_SITES, self.head.params_size)).astype(np.float32)
        self.truths = [CASES[name].truth(p, site) for site, p in enumerate(self.params)]

    def draws(self, count):
        """Draws by NumPy, `[count, 4]`, rounded to float32."""
        return np.stack([truth.draw(count, self.rng) for truth in self.truths], -1).astype(np.float32)

    def shaped(self, x):
        """Values with the trailing axes of a site."""
        return np.reshape(x, (*np.shape(x), *self.head.site_shape))

    def uniform(self, *lead):
        return self.rng.uniform(1e-6, 1.0 - 1e-6, (*lead, self.head.noise_size)).astype(np.float32)

    def grid(self, site, points=200_001):
        """All values of a discrete site; else a fine grid that covers all but 1e-10 of its mass."""
        truth = self.truths[site]
        if truth.discrete:
            return truth.values.astype(np.float32)
        edges = truth.parts.ppf(1e-10), truth.parts.ppf(1.0 - 1e-10)
        return np.linspace(edges[0].min(), edges[1].max(), points)

    def of_site(self, site, method, *values):
        """`method(params, *values, site)` of one site for many values."""
        params = np.broadcast_to(self.params[site], (len(values[0]), self.head.params_size))
        return np.asarray(getattr(self.head, method)(params, *map(self.shaped, values), site=site), np.float64)


def pvalue(truth, draws):
    """Chi-square for whole numbers, else Kolmogorov-Smirnov."""
    if not truth.discrete:
        return stats.kstest(draws, truth.cdf).pvalue
    counts = np.bincount((draws - truth.low).astype(int), minlength=len(truth.probs))
    possible = truth.probs > 0.0
    if possible.sum() == 1 or counts[~possible].any():
        return float(not counts[~possible].any())
    return stats.chisquare(counts[possible], len(draws) * truth.probs[possible] / truth.probs.sum()).pvalue
