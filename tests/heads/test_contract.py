"""Every head against SciPy: densities, distribution functions, noise, graphs, TFLite, extremes and files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from scipy import stats

from tests.heads.oracles import CASES, NUM_SITES
from tests.heads.setups import ALPHA, EACH, SITES, Setup, pvalue
from tests.parameters import few_by_default


@EACH
def test_log_prob_is_the_truth(name):
    s = Setup(name)
    x = s.draws(50)
    expected = np.stack([truth.log_prob(x[:, i]) for i, truth in enumerate(s.truths)], -1)
    log_prob = s.head.log_prob(s.params, s.shaped(x), SITES)
    assert log_prob.dtype == tf.float32 and log_prob.shape == (50, NUM_SITES)
    # At scale 1e-5 around 1e-4, rounding x to float32 moves it by up to 4e-7 of a scale.
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=2e-5)
    np.testing.assert_array_equal(s.head(s.params, s.shaped(x), SITES), log_prob)
    np.testing.assert_array_equal(s.head.training_log_prob(s.params, s.shaped(x), seed=None, site=SITES), log_prob)


@EACH
def test_probabilities_sum_or_integrate_to_one(name):
    s = Setup(name, seed=1)
    for site in SITES:
        grid = s.grid(site)
        density = np.exp(s.of_site(site, "log_prob", grid))
        total = density.sum() if s.truths[site].discrete else np.trapezoid(density, grid)
        assert total == pytest.approx(1.0, abs=2e-4 if "standardized" in name else 1e-5)


@EACH
def test_cdf_is_the_truth_and_the_integral_of_the_density(name):
    s = Setup(name, seed=2)
    for site, truth in enumerate(s.truths):
        grid = s.grid(site)
        cdf = s.of_site(site, "cdf", grid)
        np.testing.assert_allclose(cdf, truth.cdf(np.float32(grid)), atol=1e-6)
        density = np.exp(s.of_site(site, "log_prob", grid))
        steps = density if truth.discrete else (density[1:] + density[:-1]) / 2 * np.diff(grid)
        np.testing.assert_allclose(cdf[-len(steps) :], np.cumsum(steps), atol=2e-4 if "standardized" in name else 1e-5)
        between = np.array([-1e30, grid[0] - 0.5, grid[0] + 0.5, grid[-1] + 0.5, 1e30, np.inf, -np.inf], np.float32)
        np.testing.assert_allclose(s.of_site(site, "cdf", between), truth.cdf(between), atol=1e-6)


@EACH
def test_interval_prob_keeps_its_digits(name):
    """In wide, narrow and far intervals: a difference of distribution functions would lose the digits of the last two."""
    s = Setup(name, seed=3)
    for site, truth in enumerate(s.truths):
        x = truth.draw(200, s.rng).astype(np.float32)
        width = (10.0 ** s.rng.uniform(-3, 1, 200) * np.std(x)).astype(np.float32)
        lower, upper = x - (0.0 if truth.discrete else width), x + width
        expected, found = truth.between(lower, upper), s.of_site(site, "interval_prob", lower, upper)
        # The ends are rounded to float32 again when they are standardised.
        np.testing.assert_allclose(found, expected, rtol=5e-3 if "standardized" in name else 1e-4, atol=1e-9)
        assert (s.of_site(site, "interval_prob", upper + 1.0, lower - 1.0) == 0.0).all()
        everything = s.of_site(site, "interval_prob", [-np.inf], [np.inf])
        np.testing.assert_allclose(everything, 1.0, rtol=1e-6)


@EACH
def test_samples_follow_the_truth(name):
    s = Setup(name, seed=4)
    draws = np.asarray(s.head.sample(s.params, s.uniform(20_000, NUM_SITES), SITES), np.float64).reshape(-1, NUM_SITES)
    assert np.asarray(s.head.in_support(s.shaped(draws), SITES)).all()
    for site, truth in enumerate(s.truths):
        assert pvalue(truth, draws[:, site]) > ALPHA
        wrong = np.roll(draws[:, site], 1) * 0.9 + 0.1 * (1.0 + np.std(draws[:, site]))
        if not truth.discrete:
            assert pvalue(truth, wrong) < ALPHA, "the test must see a small shift"


@EACH
def test_noise_inverts_sample(name):
    s = Setup(name, seed=5)
    x = s.shaped(s.draws(500))
    noise = s.head.noise(s.params, x, s.uniform(500, NUM_SITES), SITES)
    assert noise.shape == (500, NUM_SITES, s.head.noise_size) and noise.dtype == tf.float32
    assert (np.asarray(noise) > 0.0).all() and (np.asarray(noise) < 1.0).all()
    again = np.asarray(s.head.sample(s.params, noise, SITES)).reshape(500, NUM_SITES)
    for site, truth in enumerate(s.truths):
        drawn = x.reshape(500, NUM_SITES)[:, site]
        if truth.discrete:
            np.testing.assert_array_equal(again[:, site], drawn)
        else:  # equal in probability: noise near 1 has few digits
            assert np.abs(truth.cdf(again[:, site]) - truth.cdf(drawn)).max() < 1e-5
            np.testing.assert_allclose(again[:, site], drawn, atol=2e-3 * truth.parts.std().max())


@EACH
def test_noise_of_draws_is_uniform_and_independent(name):
    """Draws of SciPy, not of the head: noise is uniform if and only if the head has their distribution."""
    s = Setup(name, seed=6)
    noise = np.asarray(s.head.noise(s.params, s.shaped(s.draws(20_000)), s.uniform(20_000, NUM_SITES), SITES))
    for site in SITES:
        columns = noise[:, site].astype(np.float64)
        for column in columns.T:
            assert stats.kstest(column, "uniform").pvalue > ALPHA
        if s.head.noise_size > 1:
            cells = np.histogram2d(columns[:, 0], columns[:, 1], bins=4, range=[[0, 1], [0, 1]])[0]
            assert stats.chisquare(cells.ravel()).pvalue > ALPHA
    other = np.asarray(
        s.head.noise(s.params[::-1] * 0.5, s.shaped(s.draws(20_000)), s.uniform(20_000, NUM_SITES), SITES)
    )
    shifted = [stats.kstest(column, "uniform").pvalue for column in other.reshape(20_000, -1).T]
    assert min(shifted) < ALPHA, "the test must see other parameters"


@EACH
def test_noise_outside_the_support_is_nan(name):
    s = Setup(name)
    x = np.full((1, NUM_SITES), np.inf, np.float32)
    assert np.isnan(s.head.noise(s.params, s.shaped(x), s.uniform(1, NUM_SITES), SITES)).all()


# Sites, graphs and files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "compiled"),
    few_by_default([*[(name, False) for name in CASES], ("logistics", True), ("standardized-per-site", True)], count=4),
)
def test_steps_equal_the_pass(name, compiled):
    """In a graph the site is a tensor: a scalar for all rows, or one for each row."""
    s = Setup(name, seed=11)
    x, uniform = s.shaped(s.draws(6)), s.uniform(6, NUM_SITES)
    in_pass = everything(s.head, s.params, x, uniform, SITES)
    step = tf.function(lambda p, x, u, site: everything(s.head, p, x, u, site), jit_compile=compiled, autograph=False)
    for site in SITES:
        rows = np.broadcast_to(s.params[site], (6, s.head.params_size))
        for found, expected in zip(step(rows, x[:, site], uniform[:, site], tf.constant(site)), in_pass, strict=True):
            close(found, np.asarray(expected)[:, site])
    order = s.rng.permutation(6) % NUM_SITES
    found = step(s.params[order], x[np.arange(6), order], uniform[np.arange(6), order], tf.constant(order, tf.int32))
    for one, expected in zip(found, in_pass, strict=True):
        close(one, np.asarray(expected)[np.arange(6), order])


def built(head):
    if not head.built:
        head.build()
    return head


def everything(head, params, x, uniform, site):
    return [
        head.log_prob(params, x, site),
        head.sample(params, uniform, site),
        head.noise(params, x, uniform, site),
        head.cdf(params, x, site),
        head.interval_prob(params, x, x + 0.5, site),
        head.encode_inputs(x, site),
        tf.cast(head.in_support(x, site), tf.float32),
    ]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", few_by_default(CASES, count=2))
def test_tflite_has_all_operations(name, tmp_path):
    s = Setup(name, seed=12)
    x, uniform = s.shaped(s.draws(8)), s.uniform(8, NUM_SITES)
    params = np.broadcast_to(s.params, (8, *s.params.shape)).copy()
    params[1:3] = s.rng.choice([-200.0, 200.0], params[1:3].shape)
    inputs = (params, x, uniform)
    specs = [tf.TensorSpec(a.shape, tf.float32) for a in inputs]
    names = ("log_prob", "sample", "noise", "cdf", "interval_prob")
    graph = tf.function(
        lambda p, x, u: dict(zip(names, everything(s.head, p, x, u, SITES), strict=False)), specs, autograph=False
    )
    built(s.head)
    module = tf.Module()
    module.weights, module.run = [v.value for v in s.head.variables], graph
    tf.saved_model.save(module, str(tmp_path), signatures=graph)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))  # built-in operations alone
    found = Interpreter(model_content=converter.convert()).get_signature_runner()(p=params, x=x, u=uniform)
    for key, expected in zip(names, everything(s.head, params, x, uniform, SITES), strict=False):
        np.testing.assert_allclose(found[key], expected, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", [name for name in CASES if name != "scale-mixture"])
def test_tempered_takes_a_tensor(name):
    s = Setup(name)
    expected = s.head.tempered(s.params, 0.3, SITES)
    found = tf.function(lambda t: s.head.tempered(s.params, t, SITES), autograph=False)(tf.constant(0.3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(s.head.tempered(s.params, 1.0, SITES), s.params, rtol=1e-3, atol=1e-4)


@EACH
def test_config_round_trip(name):
    head = CASES[name].make()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head) and again.get_config() == head.get_config()
    built(again).set_weights(built(head).get_weights())
    s = Setup(name, seed=13)
    x = s.shaped(s.draws(5))
    np.testing.assert_array_equal(again.log_prob(s.params, x, SITES), s.head.log_prob(s.params, x, SITES))
    for attribute in ("params_size", "noise_size", "site_shape", "num_sites", "discrete"):
        assert getattr(again, attribute) == getattr(head, attribute)


@EACH
def test_wrong_sizes_are_refused(name):
    s = Setup(name)
    wide = np.zeros((NUM_SITES, s.head.params_size + 1))
    with pytest.raises(ValueError, match=f"end with {s.head.params_size}"):
        s.head.log_prob(wide, s.shaped(np.zeros(NUM_SITES)), SITES)
    with pytest.raises(ValueError, match=f"`noise` to end with {s.head.noise_size}"):
        s.head.sample(s.params, np.full((NUM_SITES, s.head.noise_size + 1), 0.5), SITES)
    with pytest.raises(ValueError, match=f"`uniform` to end with {s.head.noise_size}"):
        s.head.noise(s.params, s.shaped(np.zeros(NUM_SITES)), np.full((NUM_SITES, s.head.noise_size + 1), 0.5), SITES)


# Extremes ---------------------------------------------------------------------------------------------------------------

CONTINUOUS = [name for name in CASES if not CASES[name].make().discrete]


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("outlier", [1e10, 1e18, 3e38, 3.4e38])
def test_outliers_have_finite_log_probs_and_gradients(name, outlier):
    s = Setup(name)
    assert not s.truths[1].discrete and not s.truths[3].discrete
    x = np.zeros((4, NUM_SITES), np.float32)
    x[0, 1], x[1, 1], x[2, 3], x[3, 3] = outlier, -outlier, outlier, -outlier
    for params in (s.params, np.sign(s.params) * 200.0, s.params * 1e18):
        variable = tf.Variable(params)
        with tf.GradientTape(persistent=True) as tape:
            losses = s.head.log_prob(variable, x, SITES), s.head.training_log_prob(variable, x, None, SITES)
        for loss in losses:
            assert np.isfinite(loss).all() and np.isfinite(tf.convert_to_tensor(tape.gradient(loss, variable))).all()
        assert np.isfinite(s.head.encode_inputs(x, SITES)).all()
        assert np.isfinite(s.head.cdf(variable, x, SITES)).all()
    near = s.head.log_prob(s.params, np.zeros((1, NUM_SITES)), SITES)
    assert (s.head.log_prob(s.params, x, SITES).numpy()[[0, 2], [1, 3]] < near.numpy()[0, [1, 3]] - 1e3).all()


@EACH
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outside_the_support_is_nan_there_alone(name, bad):
    s = Setup(name)
    x = np.zeros((3, NUM_SITES), np.float32)
    x[1, 2] = bad
    params = tf.Variable(np.broadcast_to(s.params, (3, *s.params.shape)))
    with tf.GradientTape() as tape:
        log_prob = s.head.log_prob(params, s.shaped(x), SITES)
        loss = tf.reduce_sum(tf.where(tf.math.is_nan(log_prob), 0.0, log_prob))
    expected = np.zeros((3, NUM_SITES), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(np.isnan(log_prob), expected)
    np.testing.assert_array_equal(s.head.in_support(s.shaped(x), SITES), ~expected)
    assert np.isfinite(tf.convert_to_tensor(tape.gradient(loss, params))).all()
