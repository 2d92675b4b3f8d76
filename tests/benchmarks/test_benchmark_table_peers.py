"""Peers of the benchmarks of tables, compared with sums over all values, SciPy and sources with known probabilities."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks.peers.gaussian_copula import GaussianCopula
from benchmarks.peers.marginals import ClassMarginal, NumberMarginal, marginals
from benchmarks.peers.mixture_of_products import MixtureOfProducts

pytest.importorskip("sklearn")

FAR = -(2.0**30)


def whole_numbers(seed=0, count=400, mean=6.0):
    """Values from 0 on of which a third and more is 0, with a missing cell."""
    generator = np.random.default_rng(seed)
    x = generator.poisson(mean, size=count).astype(float)
    x[: count // 3] = 0.0
    x[count // 3] = FAR
    return x


def test_frequencies_of_classes_have_one_pseudo_row():
    x = np.array([0, 0, 0, 2, 2, 3])
    marginal = ClassMarginal(x, 4, has_order=True)
    expected = (np.array([3, 0, 2, 1]) + 0.25) / 7
    np.testing.assert_allclose(np.exp(marginal.log_prob(np.arange(4))), expected)
    lower, upper = marginal.interval(np.arange(4))
    np.testing.assert_allclose(upper, np.cumsum(expected))
    np.testing.assert_allclose(lower, np.cumsum(expected) - expected)
    _, upper = ClassMarginal(x, 4, has_order=False).interval(np.array([0, 2, 3, 1]))  # the most frequent class first
    np.testing.assert_allclose(upper, np.cumsum(expected[[0, 2, 3, 1]]))


@pytest.mark.parametrize("mean", [0.7, 6.0])  # part of the mixture of normals lies below 0, or nearly none
@pytest.mark.parametrize("atoms", [[0.0, FAR], [FAR], [3.0, 0.0, FAR]])
def test_masses_of_whole_numbers_add_up(atoms, mean):
    x = whole_numbers(mean=mean)
    marginal = NumberMarginal(x, whole_numbers(1, mean=mean), np.array(atoms), 0.0, mean, np.sqrt(mean))
    support = np.concatenate([[FAR], np.arange(200.0)])
    masses = np.exp(marginal.log_prob(support))
    assert masses.sum() == pytest.approx(1.0)
    lower, upper = marginal.interval(support)
    np.testing.assert_allclose(upper, np.cumsum(masses), atol=1e-9)
    np.testing.assert_allclose(lower, np.cumsum(masses) - masses, atol=1e-9)
    of_codes = np.bincount(marginal.codes(support), masses, minlength=marginal.num_codes)
    np.testing.assert_allclose(of_codes, marginal.code_probs, atol=1e-9)
    within = np.bincount(marginal.codes(support), np.exp(marginal.within(support)), minlength=marginal.num_codes)
    np.testing.assert_allclose(within[of_codes > 1e-9], 1.0, atol=1e-6)
    assert masses[1] == pytest.approx((x == 0).mean(), abs=0.05)


def test_a_density_with_an_atom_has_the_mass_of_one():
    generator = np.random.default_rng(0)
    x = np.concatenate([np.full(100, 0.5), generator.normal(size=300)])
    marginal = NumberMarginal(x, x, np.array([0.5]), None, 0.0, 1.0)
    density = lambda at: float(np.exp(marginal.log_prob(np.array([at])))[0])  # noqa: E731
    mass = density(0.5)
    assert mass == pytest.approx(0.25, abs=0.01)
    ends = [-8.0, -1.0, 0.5 - 1e-9]
    below = sum(integrate.quad(density, low, high, limit=300)[0] for low, high in itertools.pairwise(ends))
    above = integrate.quad(density, 0.5 + 1e-9, 8.0, limit=300)[0]
    assert below + above + mass == pytest.approx(1.0, abs=1e-5)
    lower, upper = marginal.interval(np.array([0.5]))
    assert (lower[0], upper[0]) == pytest.approx((below, below + mass), abs=1e-5)
    at = np.array([-0.3])
    np.testing.assert_array_equal(*marginal.interval(at))  # a point of a density is no interval


def test_marginals_of_a_schema_have_its_base_measure():
    pd = pytest.importorskip("pandas")
    tables = pytest.importorskip("tfar").tables
    frame = pd.DataFrame({"a": ["x", "y", None, "x"] * 10, "b": [0, 3, 5, 7] * 10, "c": np.linspace(0.0, 1.0, 40) ** 2})
    schema = tables.Schema.infer(frame, missing="value")
    values = schema.encode(frame).values
    a, b, c = marginals(schema, values, values)
    np.testing.assert_allclose(np.exp(a.log_prob(np.arange(4))), (np.array([0, 20, 10, 10]) + 0.25) / 41)
    assert (a.is_density, b.is_density, c.is_density) == (False, False, True)
    assert np.exp(b.log_prob(np.arange(1000.0))).sum() == pytest.approx(1.0)


# Copula -----------------------------------------------------------------------------------------------------------------


def normal_pairs(correlation, count, seed):
    return np.random.default_rng(seed).multivariate_normal(
        np.zeros(2), [[1, correlation], [correlation, 1]], size=count
    )


def test_a_copula_of_classes_is_the_normal_probability_of_boxes():
    edges = [np.array([-0.5, 0.8]), np.array([0.1])]
    rows = np.stack([np.searchsorted(e, z) for e, z in zip(edges, normal_pairs(0.7, 4000, 0).T, strict=True)], axis=1)
    columns = [ClassMarginal(rows[:, i], n, has_order=True) for i, n in enumerate((3, 2))]
    copula = GaussianCopula(rows.astype(float), columns)
    assert copula.correlations[0, 1] == pytest.approx(0.7, abs=0.04)
    events = np.array(list(itertools.product(range(3), range(2))), float)
    normal = stats.multivariate_normal(np.zeros(2), copula.correlations)
    expected = []
    for event in events:
        low, high = np.array([m.interval(x) for m, x in zip(columns, event[:, None], strict=True)])[:, :, 0].T
        box = stats.norm.ppf(np.stack([low, np.minimum(high, 1.0)])).clip(-9, 9)
        expected.append(normal.cdf(box[1], lower_limit=box[0]))
    np.testing.assert_allclose(np.exp(copula.log_prob(events)), expected, atol=0.01)


def test_a_copula_of_a_density_and_classes_is_density_times_conditional():
    z = normal_pairs(-0.6, 4000, 1)
    rows = np.stack([(z[:, 1] > 0.3).astype(float), z[:, 0]], axis=1)
    columns = [
        ClassMarginal(rows[:, 0], 2, has_order=True),
        NumberMarginal(rows[:, 1], rows[:, 1], np.zeros(0), None, 0.0, 1.0),
    ]
    copula = GaussianCopula(rows, columns)
    correlation = copula.correlations[0, 1]
    assert correlation == pytest.approx(-0.6, abs=0.04)
    point = stats.norm.ppf(columns[1].interval(np.array([0.4]))[1])[0]
    edge = stats.norm.ppf(columns[0].interval(np.array([0.0]))[1])[0]
    below = stats.norm.cdf((edge - correlation * point) / np.sqrt(1 - correlation**2))
    expected = np.exp(columns[1].log_prob(np.array([0.4]))) * [below, 1 - below]
    np.testing.assert_allclose(np.exp(copula.log_prob(np.array([[0.0, 0.4], [1.0, 0.4]]))), expected, rtol=1e-6)


def test_a_copula_of_two_densities_is_theirs_times_that_of_normals():
    rows = normal_pairs(0.8, 4000, 2)
    columns = [NumberMarginal(x, x, np.zeros(0), None, 0.0, 1.0) for x in rows.T]
    copula = GaussianCopula(rows, columns)
    assert copula.correlations[0, 1] == pytest.approx(0.8, abs=0.04)
    event = np.array([[0.4, -0.7]])
    z = stats.norm.ppf([m.interval(x)[1][0] for m, x in zip(columns, event.T, strict=True)])
    joint = stats.multivariate_normal(np.zeros(2), copula.correlations).logpdf(z) - stats.norm.logpdf(z).sum()
    alone = sum(m.log_prob(x)[0] for m, x in zip(columns, event.T, strict=True))
    np.testing.assert_allclose(copula.log_prob(event), joint + alone, rtol=1e-6)


# Mixture ----------------------------------------------------------------------------------------------------------------


def test_a_mixture_of_one_component_is_the_smoothed_frequencies():
    codes = np.array([[0, 1], [0, 0], [1, 1], [0, 1]])
    probs = [np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.75])]
    mixture = MixtureOfProducts(codes, probs, 1, steps=2)
    expected = (3 + 0.5) / 5 * (3 + 0.75) / 5
    assert np.exp(mixture.log_prob(np.array([[0, 1]])))[0] == pytest.approx(expected)


def test_a_mixture_finds_the_components_of_its_source():
    generator = np.random.default_rng(0)
    tables = np.array(
        [[[0.9, 0.1], [0.1, 0.9], [0.8, 0.2]], [[0.2, 0.8], [0.7, 0.3], [0.1, 0.9]]]
    )  # [K, columns, codes]
    events = np.array(list(itertools.product(range(2), repeat=3)))
    of_component = np.prod(tables[:, np.arange(3), events], axis=-1)
    truth = np.array([0.3, 0.7]) @ of_component
    codes = events[generator.choice(8, size=5000, p=truth)]
    probs = [np.bincount(column, minlength=2) / 5000 for column in codes.T]
    found = np.exp(MixtureOfProducts(codes, probs, 2).log_prob(events))
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, truth, atol=0.02)
    alone = np.prod([p[column] for p, column in zip(probs, events.T, strict=True)], axis=0)
    assert np.abs(alone - truth).max() > 0.05  # which independent columns do not come near


def test_a_circuit_is_normalised_and_dependent():
    pytest.importorskip("deeprob", reason="deeprob-kit is a peer that is installed by hand")
    from benchmarks.peers.learn_spn import LearnSPN

    generator = np.random.default_rng(0)
    first = generator.integers(2, size=2000)
    codes = np.stack([first, np.where(generator.random(2000) < 0.9, first, 1 - first)], axis=1)
    circuit = LearnSPN(codes, [2, 3], "gvs", 256)
    events = np.array(list(itertools.product(range(2), range(3))))
    probs = np.exp(circuit.log_prob(events))
    assert probs.sum() == pytest.approx(1.0, abs=1e-5)
    assert probs[0] == pytest.approx(0.45, abs=0.03)
