"""The conditional of every head as a TFP distribution, against SciPy: moments, quantiles, modes, draws and slices."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.heads.oracles import CASES, NUM_SITES
from tests.heads.setups import ALPHA, EACH, SITES, Setup, pvalue
from tfar import heads


@EACH
def test_mean_variance_and_entropy_are_the_truth(name):
    s = Setup(name, seed=7)
    dist = s.head.distribution(s.params, SITES)
    assert dist.batch_shape == (NUM_SITES,) and dist.event_shape == s.head.site_shape
    summaries = [truth.summary() for truth in s.truths]
    for method in ("mean", "variance", "entropy"):
        expected = [summary[method] for summary in summaries]
        found = np.ravel(getattr(dist, method)())
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 if method == "entropy" else 0.0)
    np.testing.assert_allclose(np.square(dist.stddev()), dist.variance(), rtol=1e-5)


def test_the_entropy_of_mixtures_is_accurate():
    """Narrow components inside wide ones, and far apart."""
    for maker in (heads.NormalMixture, heads.LaplaceMixture):
        name = {heads.NormalMixture: "normals", heads.LaplaceMixture: "laplaces"}[maker]
        params = np.float32(
            [[0.0, 1.0, -1.0, 0.0, 0.3, 20.0, 2.0, -2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]]
        )
        expected = [CASES[name].truth(row, 0).summary()["entropy"] for row in params]
        np.testing.assert_allclose(maker(3).distribution(params).entropy(), expected, atol=5e-4)


@EACH
def test_quantiles_are_the_truth(name):
    s = Setup(name, seed=8)
    levels = np.float32([1e-3, 0.1, 0.25, 0.5, 0.9, 0.999])
    dist = s.head.distribution(s.params, SITES)
    found = np.asarray(dist.quantile(levels[:, None]), np.float64).reshape(len(levels), NUM_SITES)
    for site, truth in enumerate(s.truths):
        if truth.discrete:
            expected = truth.values[np.searchsorted(np.cumsum(truth.probs), levels)]
            np.testing.assert_array_equal(found[:, site], expected)
        else:
            np.testing.assert_allclose(truth.cdf(found[:, site]), levels, atol=2e-5 if "standardized" in name else 1e-6)
    support = [s.head.support(site) for site in SITES]
    np.testing.assert_array_equal(np.ravel(dist.quantile(0.0)), [v.low for v in support])
    highest = [
        truth.values[truth.probs > 0.0].max() if v.num_values else v.high
        for truth, v in zip(s.truths, support, strict=True)
    ]
    np.testing.assert_array_equal(np.ravel(dist.quantile(1.0)), highest)
    assert np.isnan(dist.quantile(np.nan)).all()


@pytest.mark.parametrize(
    "name", ["bernoulli", "categorical", "ordinal", "logistics", "normal", "laplaces", "standardized-sites"]
)
def test_modes_are_the_truth(name):
    s = Setup(name, seed=9)
    expected = [truth.summary() for truth in s.truths]
    found = np.ravel(s.head.distribution(s.params, SITES).mode())
    spread = np.sqrt([e["variance"] for e in expected])
    assert (np.abs(found - [e["mode"] for e in expected]) < 1e-3 * spread + 1e-6 * np.abs(found)).all()


def test_a_mixture_of_several_normals_has_no_closed_mode():
    with pytest.raises(NotImplementedError, match="no closed form"):
        heads.NormalMixture(2).distribution(tf.zeros([1, 6])).mode()


@EACH
def test_a_distribution_samples_scores_and_slices(name):
    s = Setup(name, seed=10)
    params = np.broadcast_to(s.params, (3, *s.params.shape))
    dist = s.head.distribution(params, SITES)
    draws = dist.sample(5000, seed=1)
    assert draws.shape == (5000, 3, NUM_SITES, *s.head.site_shape)
    np.testing.assert_array_equal(draws, dist.sample(5000, seed=1))
    for site, truth in enumerate(s.truths):
        assert pvalue(truth, np.asarray(draws, np.float64)[:, 1, site].ravel()) > ALPHA
    np.testing.assert_array_equal(dist.log_prob(draws), s.head.log_prob(params, draws, SITES))
    for index in (np.s_[1], np.s_[:, 2], np.s_[..., 1:]):
        expected = np.asarray(dist.mean()).reshape(3, NUM_SITES)[index]
        np.testing.assert_allclose(np.reshape(dist[index].mean(), expected.shape), expected, rtol=1e-6)
    np.testing.assert_array_equal(dist.copy(name="again").mean(), dist.mean())


@EACH
def test_quantiles_near_one_are_values_that_the_conditional_has(name):
    """Where rounding keeps the distribution function below the level, too: not the largest float32."""
    s = Setup(name, seed=10)
    params = s.rng.normal(0.0, 1.0, (500, NUM_SITES, s.head.params_size)).astype(np.float32)
    level = np.nextafter(np.float32(1.0), np.float32(0.0))
    found = np.reshape(s.head.distribution(params, SITES).quantile(level), [500, NUM_SITES])
    for site in SITES:
        support = s.head.support(site)
        assert (found[:, site] <= support.high).all() and np.abs(found[:, site]).max() < 1e30


def test_the_highest_quantile_is_no_value_of_probability_zero():
    never = -float("inf")
    classes = heads.Categorical(4).distribution([[0.0, 1.0, never, never], [0.0, never, never, never]])
    np.testing.assert_array_equal(classes.quantile(1.0), [1.0, 0.0])
    model = tfar.MADE(
        [2], [4], head=heads.PerSite([heads.Categorical(3), heads.Ordinal(5, lowest=0)]), jit_compile=False
    )
    likeliest = model.with_top_k(1).conditionals([0.0, 0.0])
    np.testing.assert_array_equal(likeliest.quantile(1.0), likeliest.mode())
    assert (model.with_top_p(1.0).with_top_k(5).conditionals([0.0, 0.0]).quantile(1.0).numpy() == [2.0, 4.0]).all()


def test_the_quantile_of_an_atom_at_zero_is_zero():
    """Also where the search among all float32 numbers passes those that TensorFlow compares as 0."""
    conditional = heads.Atoms([0.0], heads.NormalMixture(1)).distribution([[1.0, 0.0, 0.0, 0.0, 0.5]])
    found = conditional.quantile(0.5).numpy()
    assert (found == 0.0).all() and not np.signbit(found).any()
