"""Counts of wide scale, adapted counts, atoms over densities and over classes, and both as columns of a model."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfar
from tests.heads.oracles import count
from tests.registry import randomize
from tfar import heads

RAW_ONE = 0.5413248546  # softplus(RAW_ONE) = 1


@pytest.mark.parametrize("loc", [3000.0, 40.0, -20.0])
def test_summaries_of_wide_counts_are_sums_over_all_values(loc):
    """Far above the lowest value, near it, and below it, where most of the mass is at the lowest value."""
    params = np.float32([0.3, -0.2, 0.1, 1.0, -1.0, 0.5])
    truth = count(0, 2, loc, 60.0, 20_000)(params, 0).summary()
    dist = heads.Count(2, 0, loc, 60.0).distribution(params)
    np.testing.assert_allclose(dist.mean(), truth["mean"], rtol=1e-3)
    np.testing.assert_allclose(dist.variance(), truth["variance"], rtol=2e-3)
    np.testing.assert_allclose(dist.entropy(), truth["entropy"], atol=2e-3)


def test_the_variance_of_a_wide_count_includes_that_of_rounding():
    params = np.float32([0.0, 0.0, RAW_ONE])
    truth = count(0, 1, 500.0, 8.0, 2000)(params, 0).summary()  # 1 / 12 is 4e-4 of it
    np.testing.assert_allclose(
        heads.Count(1, 0, 500.0, 8.0).distribution(params).variance(), truth["variance"], rtol=2e-5
    )


def test_the_variance_of_a_wide_count_far_below_the_lowest_value_is_small():
    params = np.float32([0.0, -9.0, RAW_ONE])
    truth = count(5, 1, 0.0, 9.0, 2000)(params, 0).summary()
    found = heads.Count(1, 5, 0.0, 9.0).distribution(params).variance()
    np.testing.assert_allclose(found, truth["variance"], rtol=2e-3)


def test_a_count_far_from_zero_has_finite_log_probs_and_gradients():
    head, x = heads.Count(2, 0), np.float32([0.0, 1e7, 1e20, 3.4e38])
    for params in ([0.0, 0.0, 1.0, -1.0, 0.0, 0.0], [200.0, -200.0, 1e9, -1e9, -200.0, 200.0]):
        variable = tf.Variable(np.broadcast_to(np.float32(params), (4, 6)))

        def gradients(x, variable=variable):
            with tf.GradientTape() as tape:
                log_prob = head.log_prob(variable, x)
            return log_prob, tape.gradient(log_prob, variable)

        for call in (gradients, tf.function(gradients, autograph=False)):  # a graph is optimised
            assert all(np.isfinite(tf.convert_to_tensor(result)).all() for result in call(tf.constant(x)))
        assert np.isfinite(head.encode_inputs(x)).all()


def test_a_count_adapts_to_data():
    head = heads.Count(1, None)
    assert head.awaits_data
    head.adapt(np.array([90.0, 110.0]))
    assert not head.awaits_data and (float(head.units.loc), float(head.units.scale)) == (100.0, 10.0)
    np.testing.assert_allclose(head.encode_inputs([90.0, 120.0]), [-1.0, 2.0])
    assert not heads.Count(1, loc=3.0).awaits_data
    assert heads.Count(1, loc=100.0, scale=9.0).distribution([[0.0, 0.0, RAW_ONE]]).mode().numpy() == [100.0]
    assert heads.Count(1, loc=-9.0).distribution([[0.0, 0.0, RAW_ONE]]).mode().numpy() == [0.0]


@pytest.mark.parametrize("arguments", [{"num_components": 0}, {"low": 0.5}, {"low": 2**25}, {"scale": 0.0}])
def test_bad_counts_are_errors(arguments):
    with pytest.raises(ValueError, match="Expected"):
        heads.Count(**arguments)


# Atoms over a density ---------------------------------------------------------------------------------------------------

ATOMS = heads.Atoms([0.0, 2.5], heads.NormalMixture(1, min_scale=1e-4))
PARAMS = np.float32([0.4, -0.3, 0.8, 0.0, 1.0, 0.2])
WEIGHTS = np.exp(np.float64(PARAMS[:3])) / np.exp(np.float64(PARAMS[:3])).sum()
REST = stats.norm(1.0, 1e-4 + np.log1p(np.exp(0.2)))


def cdf(x):
    return WEIGHTS[0] * (x >= 0.0) + WEIGHTS[1] * (x >= 2.5) + WEIGHTS[2] * REST.cdf(x)


def test_atoms_over_a_density_have_masses_and_a_density():
    x = np.float32([0.0, 2.5, -1.0, 0.7])
    expected = [*np.log(WEIGHTS[:2]), *(np.log(WEIGHTS[2]) + REST.logpdf(x[2:]))]
    np.testing.assert_allclose(ATOMS.log_prob(np.tile(PARAMS, (4, 1)), x), expected, rtol=1e-5)
    grid = np.linspace(-8.0, 10.0, 20_002)  # misses the atoms
    density = np.exp(np.float64(ATOMS.log_prob(np.tile(PARAMS, (len(grid), 1)), grid)))
    assert np.trapezoid(density, grid) + np.exp(np.float64(ATOMS.log_prob(PARAMS, 0.0))) + WEIGHTS[1] == pytest.approx(
        1.0, abs=1e-4
    )
    edges = np.float32([-1.0, -1e-6, 0.0, 1.0, 2.4999, 2.5, 9.0])
    np.testing.assert_allclose(ATOMS.cdf(np.tile(PARAMS, (7, 1)), edges), cdf(edges), atol=1e-6)
    between = ATOMS.interval_prob(PARAMS, np.float32([0.0, 1e-3, 3.0]), np.float32([1.0, 2.5, 2.0]))
    np.testing.assert_allclose(between, [cdf(1.0) - cdf(-1e-9), cdf(2.5) - cdf(1e-3), 0.0], atol=1e-6)
    assert ATOMS.mixed and not ATOMS.discrete and str(ATOMS.support()) == "real numbers"


def test_draws_and_noise_of_atoms_over_a_density():
    rng = np.random.default_rng(0)
    uniform = rng.uniform(1e-6, 1 - 1e-6, (20_000, 3)).astype(np.float32)
    x = np.asarray(ATOMS.sample(PARAMS, uniform))
    counts = [np.sum(x == 0.0), np.sum(x == 2.5)]
    assert stats.chisquare([*counts, len(x) - sum(counts)], len(x) * WEIGHTS).pvalue > 1e-4
    rest = x[(x != 0.0) & (x != 2.5)]
    assert stats.kstest(rest, REST.cdf).pvalue > 1e-4
    noise = np.asarray(ATOMS.noise(PARAMS, x, rng.uniform(1e-6, 1 - 1e-6, (20_000, 3)).astype(np.float32)))
    np.testing.assert_allclose(ATOMS.sample(PARAMS, noise), x, atol=1e-3)
    for column in noise.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


def test_summaries_of_atoms_over_a_density():
    dist, values = ATOMS.distribution(PARAMS), np.array([0.0, 2.5, 1.0])
    mean = WEIGHTS @ values
    variance = WEIGHTS @ (values - mean) ** 2 + WEIGHTS[2] * REST.var()
    np.testing.assert_allclose(dist.mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(dist.variance(), variance, rtol=1e-5)
    entropy = -WEIGHTS @ np.log(WEIGHTS) + WEIGHTS[2] * REST.entropy()
    np.testing.assert_allclose(dist.entropy(), entropy, atol=1e-3)
    assert float(dist.quantile(cdf(2.5) - 0.5 * WEIGHTS[1])) == 2.5
    with pytest.raises(NotImplementedError, match="has no mode"):
        dist.mode()


def test_inputs_tell_atoms_from_the_rest():
    np.testing.assert_array_equal(ATOMS.encode_inputs([0.0, 2.5, 0.7]), np.float32([-4.0, -4.125, 0.7]))


def test_an_atom_below_classes_is_a_value_of_its_own():
    head = heads.Atoms([-1], heads.Categorical(3))
    params = np.float32([0.5, -0.5, 0.1, 0.2, 0.3])
    weights, rest = (np.exp(np.float64(part)) / np.exp(np.float64(part)).sum() for part in (params[:2], params[2:]))
    np.testing.assert_allclose(head.probs(params), [weights[0], *(weights[1] * rest)], rtol=1e-5)
    assert str(head.support()) == "whole numbers -1 .. 2"
    assert np.isnan(heads.Atoms([-2], heads.Categorical(3)).log_prob(params, -1.0))


@pytest.mark.parametrize(
    ("values", "head"),
    [
        ([], heads.Normal()),
        ([np.nan], heads.Normal()),
        ([1.0, 1.0], heads.Normal()),
        ([0.5], heads.Count()),
        ([0.0], ATOMS),
        ([0.0], heads.DiscretizedLogisticMixture(1)),
    ],
)
def test_bad_atoms_are_errors(values, head):
    with pytest.raises(ValueError, match="Expected"):
        heads.Atoms(values, head)


def test_units_belong_inside_atoms():
    with pytest.raises(ValueError, match="Standardise the head inside instead"):
        heads.Standardized(ATOMS)
    head = heads.Atoms([0.0], heads.Standardized(heads.NormalMixture(1)))
    assert head.awaits_data
    head.adapt(np.array([0.0, 0.0, 90.0, 110.0]))
    assert (float(head.head.units.loc), float(head.head.units.scale)) == (100.0, 10.0)


def test_data_of_atoms_alone_leave_the_units_of_the_rest():
    head = heads.Atoms([0, 1], heads.Count(2))
    head.build()
    head.adapt(iter([np.array([0.0, 1.0]), np.array([1.0])]))
    assert (float(head.head.units.loc), float(head.head.units.scale)) == (0.0, 1.0)
    head.adapt(iter([np.array([0.0, 1.0]), np.array([4.0, 1.0]), np.array([8.0])]))
    assert (float(head.head.units.loc), float(head.head.units.scale)) == (6.0, 2.0)


# As columns of a model --------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_a_model_of_classes_counts_and_atoms_is_normalised_and_samples_what_it_scores():
    columns = [heads.Categorical(2), heads.Count(2, 0, 3.0, 2.0), heads.Atoms([0.0], heads.NormalMixture(1, 0.2))]
    dist = randomize(tfar.MADE([3], [8], head=heads.PerSite(columns), jit_compile=False))
    grid = np.append(np.linspace(-60.0, 60.0, 2000), 0.0)  # the atom last
    events = np.stack([axis.ravel() for axis in np.meshgrid([0, 1], np.arange(60), grid, indexing="ij")], -1)
    probs = np.exp(np.float64(dist.log_prob(events))).reshape(120, -1)
    total = np.trapezoid(probs[:, :-1], grid[:-1]).sum() + probs[:, -1].sum()
    assert total == pytest.approx(1.0, abs=2e-3)
    draws = np.asarray(dist.sample(200, seed=1))
    assert np.isfinite(dist.log_prob(draws)).all() and (draws[:, 1] >= 0).all() and (draws[:, 2] == 0.0).any()
    np.testing.assert_allclose(dist.sample(200, seed=1, method="naive"), draws, rtol=1e-4, atol=1e-5)
