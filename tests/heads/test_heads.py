"""Heads against the distributions of TensorFlow Probability and against scipy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfar import heads
from tfar.heads import numerics

tfd = tfp.distributions

# Error rate of each statistical test, for a fixed seed.
ALPHA = 1e-4
NAN, INF = float("nan"), float("inf")


def mixture(head, params):
    logits, loc, raw_scale = np.split(params, 3, axis=-1)
    component = {heads.NormalMixture: tfd.Normal, heads.LaplaceMixture: tfd.Laplace}[type(head)]
    scale = head.min_scale + np.log1p(np.exp(raw_scale.astype(np.float64)))
    components = component(loc.astype(np.float64), scale)
    return tfd.MixtureSameFamily(tfd.Categorical(logits.astype(np.float64)), components)


ORACLES = {
    "bernoulli": (heads.Bernoulli(), lambda head, params: tfd.Bernoulli(params[..., 0].astype(np.float64))),
    "categorical": (heads.Categorical(5), lambda head, params: tfd.Categorical(params.astype(np.float64))),
    "normals": (heads.NormalMixture(3), mixture),
    "normal": (heads.NormalMixture(1, min_scale=0.5), mixture),
    "laplaces": (heads.LaplaceMixture(4), mixture),
}
HEADS = pytest.mark.parametrize("name", ORACLES)
CONTINUOUS = pytest.mark.parametrize("name", ["normals", "normal", "laplaces"])
DISCRETE = pytest.mark.parametrize("name", ["bernoulli", "categorical"])


def values(head, shape, rng):
    return rng.integers(0, head.num_classes, shape).astype(np.float32) if head.discrete else rng.normal(0, 3, shape)


@HEADS
def test_log_prob_equals_the_oracle(name):
    head, oracle = ORACLES[name]
    rng = np.random.default_rng(0)
    params = rng.normal(0, 2, (6, 7, head.params_size)).astype(np.float32)
    x = values(head, (6, 7), rng).astype(np.float32)
    log_prob = head.log_prob(params, x)
    assert log_prob.dtype == tf.float32 and log_prob.shape == (6, 7)
    np.testing.assert_allclose(log_prob, oracle(head, params).log_prob(x.astype(np.float64)), rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(head(params, x), log_prob)


@HEADS
def test_log_prob_takes_other_dtypes_and_returns_float32(name):
    head, _ = ORACLES[name]
    params = tf.zeros([2, head.params_size], tf.float16)
    assert head.log_prob(params, tf.constant([0, 1])).dtype == tf.float32
    assert head.sample(params, tf.fill([2, head.noise_size], 0.3)).dtype == tf.float32


@DISCRETE
def test_probs_are_normalised_and_those_of_log_prob(name):
    head, _ = ORACLES[name]
    params = np.random.default_rng(1).normal(0, 3, (8, head.params_size)).astype(np.float32)
    probs = head.probs(params).numpy()
    np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-6)
    by_class = np.stack([np.exp(head.log_prob(params, np.full(8, k))) for k in range(head.num_classes)], -1)
    np.testing.assert_allclose(probs, by_class, rtol=1e-5, atol=1e-7)


@CONTINUOUS
def test_continuous_heads_have_no_probs(name):
    head, _ = ORACLES[name]
    with pytest.raises(ValueError, match="continuous"):
        head.probs(tf.zeros([2, head.params_size]))


@CONTINUOUS
def test_density_integrates_to_one(name):
    head, _ = ORACLES[name]
    params = np.random.default_rng(2).normal(0, 1, head.params_size).astype(np.float32)
    grid = np.linspace(-40.0, 40.0, 400_001)
    density = np.exp(head.log_prob(np.broadcast_to(params, (grid.size, head.params_size)), grid))
    assert abs(np.trapezoid(density, grid) - 1.0) < 1e-4


@CONTINUOUS
def test_samples_of_mixtures_follow_the_distribution_function(name):
    head, oracle = ORACLES[name]
    rng = np.random.default_rng(3)
    params = rng.normal(0, 1, head.params_size).astype(np.float32)
    noise = rng.uniform(1e-7, 1 - 1e-7, (20_000, head.noise_size)).astype(np.float32)
    draws = head.sample(np.broadcast_to(params, (20_000, head.params_size)), noise).numpy().astype(np.float64)
    cdf = lambda x: oracle(head, params).cdf(x).numpy()  # noqa: E731
    assert stats.kstest(draws, cdf).pvalue > ALPHA
    assert stats.kstest(draws + 0.1 * draws.std(), cdf).pvalue < ALPHA, "the test must see a shift of a tenth"


@CONTINUOUS
def test_a_draw_inverts_the_distribution_function_of_its_component(name):
    head, oracle = ORACLES[name]
    if head.num_components > 1:
        params = np.repeat(np.float32([[0.3], [1.5], [-0.7]]), head.num_components, 1).reshape(1, -1)
    else:
        params = np.float32([[0.3, 1.5, -0.7]])
    u = np.linspace(0.001, 0.999, 99)
    noise = np.stack([np.full(99, 0.5), u], -1)
    draws = head.sample(np.repeat(params, 99, 0), noise).numpy().astype(np.float64)
    np.testing.assert_allclose(oracle(head, params[0]).cdf(draws), u, atol=2e-6)


@DISCRETE
def test_samples_of_discrete_heads_follow_their_probabilities(name):
    """Chi-square, and exactly: u is drawn as the class whose interval of the distribution function holds it."""
    head, oracle = ORACLES[name]
    rng = np.random.default_rng(4)
    params = rng.normal(0, 1, head.params_size).astype(np.float32)
    noise = ((rng.integers(0, 2**23, 20_000) + 0.5) / 2**23).astype(np.float32)
    draws = head.sample(np.broadcast_to(params, (20_000, head.params_size)), noise[:, None]).numpy()
    expected = np.exp([oracle(head, params).log_prob(k) for k in range(head.num_classes)])
    counts = np.bincount(draws.astype(int), minlength=head.num_classes)
    assert stats.chisquare(counts, 20_000 * expected / expected.sum()).pvalue > ALPHA
    inverse = np.searchsorted(np.cumsum(expected)[:-1], noise, side="right")
    assert (inverse != draws).mean() < 1e-3


@HEADS
def test_extreme_parameters_stay_finite_with_finite_gradients(name):
    head, oracle = ORACLES[name]
    rng = np.random.default_rng(5)
    signs = rng.choice([-200.0, 200.0], (64, head.params_size)).astype(np.float32)
    x = values(head, 64, rng).astype(np.float32)
    params = tf.Variable(signs)
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, x)
    gradient = tape.gradient(log_prob, params)
    assert np.isfinite(log_prob).all() and np.isfinite(gradient).all()
    np.testing.assert_allclose(log_prob, oracle(head, signs).log_prob(x.astype(np.float64)), rtol=1e-4, atol=1e-6)
    for u in (2.0**-24, 1.0 - 2.0**-24):
        draws = head.sample(signs, np.full((64, head.noise_size), u, np.float32))
        assert np.isfinite(draws).all() and np.isfinite(head.log_prob(signs, draws)).all()


def test_bernoulli_at_200():
    head = heads.Bernoulli()
    np.testing.assert_allclose(head.log_prob([[200.0], [-200.0], [200.0]], [0, 1, 1]), [-200.0, -200.0, 0.0])


@HEADS
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_outside_the_support_is_nan_there_alone(name, bad):
    head, _ = ORACLES[name]
    params = tf.Variable(tf.ones([3, head.params_size]))
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, [0.0, bad, 1.0])
        loss = tf.reduce_sum(tf.where(tf.math.is_nan(log_prob), 0.0, log_prob))
    assert np.isnan(log_prob).tolist() == [False, True, False]
    assert np.isfinite(tape.gradient(loss, params)).all()
    assert head.in_support([0.0, bad, 1.0]).numpy().tolist() == [True, False, True]


@pytest.mark.parametrize("name, bad", [("bernoulli", [-1.0, 0.5, 2.0]), ("categorical", [-1.0, 0.5, 5.0, 1.0001])])
def test_discrete_supports(name, bad):
    head, _ = ORACLES[name]
    assert np.isnan(head.log_prob(tf.zeros([len(bad), head.params_size]), bad)).all()
    classes = np.arange(head.num_classes)
    assert np.isfinite(head.log_prob(tf.zeros([len(classes), head.params_size]), classes)).all()


def test_nan_parameters_are_not_hidden():
    assert np.isnan(heads.Bernoulli().log_prob([[NAN]], [1.0])).all()
    assert np.isnan(heads.NormalMixture(1).log_prob([[0.0, NAN, 0.0]], [1.0])).all()


@HEADS
def test_wrong_sizes_are_refused(name):
    head, _ = ORACLES[name]
    with pytest.raises(ValueError, match=f"end with {head.params_size}"):
        head.log_prob(tf.zeros([2, head.params_size + 1]), [0.0, 1.0])
    with pytest.raises(ValueError, match=f"end with {head.noise_size}"):
        head.sample(tf.zeros([2, head.params_size]), tf.fill([2, head.noise_size + 1], 0.5))


@pytest.mark.parametrize(
    "make",
    [
        lambda: heads.Categorical(1),
        lambda: heads.Categorical(2.5),
        lambda: heads.Categorical(True),
        lambda: heads.NormalMixture(0),
        lambda: heads.NormalMixture(2, min_scale=0.0),
        lambda: heads.LaplaceMixture(2, min_scale=NAN),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ValueError, match="Expected"):
        make()


@HEADS
def test_config_round_trip(name):
    head, _ = ORACLES[name]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head) and again.get_config() == head.get_config()
    assert (again.params_size, again.noise_size, again.site_shape) == (
        head.params_size,
        head.noise_size,
        head.site_shape,
    )


# The elementary functions ---------------------------------------------------------------------------------------------


def test_normal_quantile_against_scipy():
    p = np.concatenate(
        [np.float32([2.0**-24, 1 - 2.0**-24, 1e-30, 0.5]), np.linspace(1e-4, 1 - 1e-4, 4001, dtype=np.float32)]
    )
    expected = special.ndtri(p.astype(np.float64))
    np.testing.assert_allclose(numerics.normal_quantile(tf.constant(p)), expected, rtol=3e-6, atol=3e-7)


def test_laplace_quantile_against_scipy():
    p = np.concatenate([np.float32([2.0**-24, 1 - 2.0**-24, 0.5]), np.linspace(1e-4, 1 - 1e-4, 4001, dtype=np.float32)])
    expected = stats.laplace.ppf(p.astype(np.float64))
    np.testing.assert_allclose(numerics.laplace_quantile(tf.constant(p)), expected, rtol=3e-6, atol=3e-7)


def test_softplus_logsumexp_and_logaddexp_against_numpy():
    x = np.linspace(-200, 200, 801).astype(np.float32)
    np.testing.assert_allclose(
        numerics.softplus(tf.constant(x)), np.logaddexp(0, x.astype(np.float64)), rtol=1e-6, atol=1e-7
    )
    pairs = np.random.default_rng(0).normal(0, 100, (50, 4)).astype(np.float32)
    np.testing.assert_allclose(
        numerics.logsumexp(tf.constant(pairs)), special.logsumexp(pairs.astype(np.float64), -1), rtol=1e-6
    )
    sums = numerics.logaddexp(tf.constant(pairs[:, 0]), tf.constant(pairs[:, 1]))
    np.testing.assert_allclose(sums, np.logaddexp(pairs[:, 0], pairs[:, 1]), rtol=1e-6)


def test_select_class_takes_the_ends_of_the_interval():
    logits = np.log(np.float32([[0.25, 0.5, 0.25]] * 6))
    noise = np.float32([2.0**-24, 0.249, 0.251, 0.749, 0.751, 1 - 2.0**-24])
    assert numerics.select_class(tf.constant(logits), tf.constant(noise)).numpy().tolist() == [0, 0, 1, 1, 2, 2]
