"""The mixture of conditional Gaussian scale mixtures of several channels against loops, at extremes, and as a law."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.reference import scale_mixtures
from tfar.heads import GaussianScaleMixture, Standardized

INPUTS = 4


def make(num_channels=3, scale=0.7, **kwargs):
    head = GaussianScaleMixture(2, 2, 3, **{"num_inputs": INPUTS, "num_channels": num_channels, **kwargs})
    head.build()
    rng = np.random.default_rng(1)
    for variable in head.weights:
        variable.assign(rng.normal(0.0, scale, variable.shape))
    return head


def random_params(head, rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, head.params_size)).astype(np.float32)


@pytest.mark.parametrize("num_channels", [1, 2, 3])
def test_log_prob_equals_the_paper(num_channels):
    head = make(num_channels)
    params, y = random_params(head, 20), np.random.default_rng(2).normal(size=(20, num_channels)).astype(np.float32)
    weights = scale_mixtures.weights_of(head)
    expected = [
        scale_mixtures.log_prob(weights, *np.split(p.astype(np.float64), [INPUTS]), v)
        for p, v in zip(params, y, strict=True)
    ]
    np.testing.assert_allclose(head.log_prob(params, y), expected, rtol=1e-5, atol=1e-5)


def test_the_density_of_two_channels_integrates_to_one():
    head = make(2)
    params = random_params(head, 1)
    grid = np.linspace(-25.0, 25.0, 1001)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    density = np.exp(np.asarray(head.log_prob(np.repeat(params, len(points), 0), points), np.float64))
    assert density.sum() * (grid[1] - grid[0]) ** 2 == pytest.approx(1.0, abs=1e-4)


def test_draws_follow_the_mixture_of_the_paper():
    """Projections of the draws on random directions, which are scalar mixtures of normals."""
    head, rng = make(3), np.random.default_rng(3)
    params = random_params(head, 1)
    found = scale_mixtures.conditional(scale_mixtures.weights_of(head), *np.split(params[0].astype(float), [INPUTS]))
    noise = rng.uniform(1e-6, 1.0 - 1e-6, (20_000, head.noise_size)).astype(np.float32)
    draws = np.asarray(head.sample(np.repeat(params, len(noise), 0), noise), np.float64)
    for direction in (*np.eye(3), *rng.normal(size=(3, 3))):
        means = found.means @ direction
        scales = np.sqrt(np.einsum("i,kij,j->k", direction, found.covariances, direction))
        cdf = lambda x, m=means, s=scales: stats.norm.cdf(x[:, None], m, s) @ found.probs  # noqa: E731
        assert stats.kstest(draws @ direction, cdf).pvalue > 1e-4
        assert stats.kstest(draws @ direction * 1.1, cdf).pvalue < 1e-4, "the test must see another scale"


def test_noise_gives_the_draws_back():
    head, rng = make(3), np.random.default_rng(4)
    params = random_params(head, 500)
    noise, uniform = rng.uniform(0.001, 0.999, (2, 500, head.noise_size)).astype(np.float32)
    draws = head.sample(params, noise)
    again = head.noise(params, draws, uniform)
    np.testing.assert_allclose(head.sample(params, again), draws, rtol=1e-3, atol=2e-3)
    for column in np.asarray(again, np.float64).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


def test_mean_and_variance_are_those_of_the_mixture():
    head = make(3)
    params, weights = random_params(head, 5), scale_mixtures.weights_of(make(3))
    for p, mean, variance in zip(params, *head._mean_variance(params, None), strict=True):
        found = scale_mixtures.conditional(weights, *np.split(p.astype(float), [INPUTS]))
        expected = found.probs @ found.means
        np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)
        diagonals = found.covariances[:, range(3), range(3)] + (found.means - expected) ** 2
        np.testing.assert_allclose(variance, found.probs @ diagonals, rtol=1e-4)


@pytest.mark.parametrize("num_channels", [None, 3])
@pytest.mark.parametrize("extreme", [-50.0, 50.0])
def test_extreme_weights_stay_finite_with_finite_gradients(extreme, num_channels):
    head = make(num_channels)
    rng = np.random.default_rng(5)
    for variable in (head.log_precision, head.log_diagonal, head.logits):
        variable.assign(rng.choice([extreme, 0.3], variable.shape))
    params = tf.Variable(random_params(head, 50) * rng.choice([1.0, 50.0, 1e20], (50, 1)).astype(np.float32))
    y = rng.normal(size=(50, *head.site_shape)).astype(np.float32) * 100.0
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, y)
    assert np.isfinite(log_prob).all()
    for gradient in tape.gradient(log_prob, [params, *(v.value for v in head.trainable_variables)]):
        assert np.isfinite(gradient).all()
    for u in (2.0**-24, 1.0 - 2.0**-24):
        draws = head.sample(params, np.full((50, head.noise_size), u, np.float32))
        assert np.isfinite(head.log_prob(params, draws)).all()


def test_no_weight_gives_a_scale_below_the_smallest():
    """One component and one scale whose log-precision is 50 have the density of a normal of scale `min_scale`."""
    head = GaussianScaleMixture(1, 1, 1, num_inputs=1, min_scale=0.01)
    head.build()
    head.log_precision.assign([[50.0]])
    np.testing.assert_allclose(head.log_prob([[0.0, 2.0]], [2.0]), stats.norm.logpdf(0.0, scale=0.01), rtol=1e-5)


def test_every_weight_gets_its_gradient():
    """Against differences of the log-probability in float64, by the reference, in a direction of each weight."""
    head, rng = make(3), np.random.default_rng(6)
    params, y = random_params(head, 1), rng.normal(size=(1, 3)).astype(np.float32)
    variables = head.trainable_variables
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, y)
    h, m = np.split(params[0].astype(float), [INPUTS])
    for variable, gradient in zip(variables, tape.gradient(log_prob, [v.value for v in variables]), strict=True):
        before, direction, ends = np.asarray(variable), rng.normal(size=variable.shape), []
        for step in (1e-3, -1e-3):
            variable.assign(before + step * direction)
            ends.append(scale_mixtures.log_prob(scale_mixtures.weights_of(head), h, m, y[0]))
        variable.assign(before)
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=2e-3, abs=2e-3)


def test_the_initial_weights_follow_the_seed_and_give_different_components():
    first, again, other = (GaussianScaleMixture(3, 2, 2, num_inputs=2, seed=seed) for seed in (0, 0, 1))
    for head in (first, again, other):
        head.build()
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (np.asarray(first.loc_kernel) != np.asarray(other.loc_kernel)).all()
    with tf.GradientTape() as tape:
        log_prob = first.log_prob(random_params(first, 8), np.linspace(-2, 2, 8))
    gradient = np.asarray(tape.gradient(log_prob, first.logits.value))
    assert len(np.unique(gradient.round(7))) == gradient.size


def test_sizes_units_and_what_is_refused():
    head = make(3)
    assert (head.params_size, head.noise_size, head.site_shape) == (INPUTS + 3, 4, (3,))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    units = Standardized(make(3), loc=10.0, scale=2.0)
    params, y = random_params(head, 4), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = np.asarray(head.log_prob(params, y)) - 3.0 * np.log(2.0)
    np.testing.assert_allclose(units.log_prob(params, 10.0 + 2.0 * y), expected, rtol=1e-4)
    for arguments in ({"num_scales": 0}, {"num_channels": 0}, {"min_scale": 1.0}, {"num_inputs": -1}):
        with pytest.raises(ValueError, match="Expected"):
            GaussianScaleMixture(**arguments)
    with pytest.raises(ValueError, match="3 channels together"):
        head.cdf(random_params(head, 1), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="3 channels together"):
        head.distribution(random_params(head, 1)).entropy()
