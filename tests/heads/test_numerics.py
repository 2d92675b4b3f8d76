"""The elementary functions against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfar.heads import numerics

UNIFORM = np.concatenate(
    [np.float32([2.0**-24, 1 - 2.0**-24, 1e-30, 0.5]), np.linspace(1e-4, 1 - 1e-4, 4001, dtype=np.float32)]
)
Z = np.concatenate([np.linspace(-12.0, 12.0, 4801), [-1e30, 1e30, -np.inf, np.inf]]).astype(np.float32)


def test_normal_quantile():
    expected = special.ndtri(UNIFORM.astype(np.float64))
    np.testing.assert_allclose(numerics.normal_quantile(tf.constant(UNIFORM)), expected, rtol=3e-6, atol=3e-7)


def test_laplace_quantile():
    p = UNIFORM[UNIFORM > 1e-20]
    expected = stats.laplace.ppf(p.astype(np.float64))
    np.testing.assert_allclose(numerics.laplace_quantile(tf.constant(p)), expected, rtol=3e-6, atol=3e-7)


@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_distribution_functions_keep_the_digits_of_the_lower_tail(name):
    expected = {"normal": stats.norm, "laplace": stats.laplace}[name].cdf(Z.astype(np.float64))
    found = getattr(numerics, f"{name}_cdf")(tf.constant(Z))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-38)
    np.testing.assert_allclose(np.asarray(found)[np.abs(Z) < 4], expected[np.abs(Z) < 4], rtol=2e-6)
    assert (np.asarray(found) >= 0.0).all() and (np.asarray(found) <= 1.0).all()


@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_intervals_keep_their_digits_in_both_tails(name):
    rng = np.random.default_rng(0)
    low = rng.uniform(-6.0, 6.0, 4000).astype(np.float32)
    high = (low + 10.0 ** rng.uniform(-3.0, 1.0, 4000)).astype(np.float32)
    law = {"normal": stats.norm, "laplace": stats.laplace}[name]
    a, b = low.astype(np.float64), high.astype(np.float64)
    expected = np.where(a + b > 0.0, law.sf(a) - law.sf(b), law.cdf(b) - law.cdf(a))
    found = getattr(numerics, f"{name}_interval")(tf.constant(low), tf.constant(high))
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    ends = [(-np.inf, np.inf, 1.0), (-np.inf, 0.0, 0.5), (0.0, np.inf, 0.5), (0.25, 0.25, 0.0), (50.0, np.inf, 0.0)]
    for first, last, mass in ends:
        found = getattr(numerics, f"{name}_interval")(tf.constant(first), tf.constant(last))
        assert float(found) == pytest.approx(mass, abs=1e-7)


def test_softplus_its_inverse_and_one_minus_exp():
    x = np.linspace(-200, 200, 801).astype(np.float32)
    np.testing.assert_allclose(
        numerics.softplus(tf.constant(x)), np.logaddexp(0, x.astype(np.float64)), rtol=1e-6, atol=1e-7
    )
    y = np.float32([1e-30, 1e-10, 1e-4, 0.05, 0.0999, 0.1001, 1.0, 20.0, 200.0])
    np.testing.assert_allclose(numerics.softplus(numerics.softplus_inverse(tf.constant(y)))[2:], y[2:], rtol=2e-4)
    expected = np.log(np.expm1(np.minimum(y.astype(np.float64), 30.0)))
    np.testing.assert_allclose(numerics.softplus_inverse(tf.constant(y))[:-1], expected[:-1], rtol=1e-5)
    np.testing.assert_allclose(numerics.one_minus_exp(tf.constant(y)), -np.expm1(-y.astype(np.float64)), rtol=1e-6)


def test_logsumexp_and_logaddexp():
    pairs = np.random.default_rng(0).normal(0, 100, (50, 4)).astype(np.float32)
    np.testing.assert_allclose(
        numerics.logsumexp(tf.constant(pairs)), special.logsumexp(pairs.astype(np.float64), -1), rtol=1e-6
    )
    sums = numerics.logaddexp(tf.constant(pairs[:, 0]), tf.constant(pairs[:, 1]))
    np.testing.assert_allclose(sums, np.logaddexp(pairs[:, 0], pairs[:, 1]), rtol=1e-6)


def test_logsumexp_of_minus_infinity():
    x = tf.constant([[-np.inf, -np.inf], [-np.inf, 1.0]], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = numerics.logsumexp(x)
    np.testing.assert_array_equal(found, [-np.inf, 1.0])
    np.testing.assert_array_equal(tape.gradient(found, x), [[0.0, 0.0], [0.0, 1.0]])


def test_select_class_takes_the_ends_of_the_interval():
    logits = np.log(np.float32([[0.25, 0.5, 0.25]] * 6))
    noise = np.float32([2.0**-24, 0.249, 0.251, 0.749, 0.751, 1 - 2.0**-24])
    assert numerics.select_class(tf.constant(logits), tf.constant(noise)).numpy().tolist() == [0, 0, 1, 1, 2, 2]


def test_select_class_never_selects_a_class_of_probability_zero():
    """The sum of the others may be below the largest noise, by rounding."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (2000, 12)).astype(np.float32)
    impossible = rng.uniform(size=logits.shape) < 0.5
    impossible[:, -1], impossible[:, 3] = True, False
    logits[impossible] = -np.inf
    for noise in (2.0**-24, 1.0 - 2.0**-24):
        chosen = numerics.select_class(tf.constant(logits), tf.fill([2000], noise)).numpy().astype(int)
        assert not impossible[np.arange(2000), chosen].any()
    sums = tf.cumsum(tf.nn.softmax(logits), axis=-1)[:, -1]
    assert (np.asarray(sums) <= 1.0 - 2.0**-24).any(), "the case must occur"


def test_smallest_float_is_exact_but_for_subnormal_numbers():
    after_one = np.nextafter(np.float32(1), np.float32(2))
    thresholds = np.float32([-3.4e38, -1.0, -1e-30, 0.0, 1e-30, 1.0, after_one, 3.4e38])
    found = np.array(numerics.smallest_float(lambda x: x >= thresholds, tf.constant([8])))
    found[np.abs(found) < np.finfo(np.float32).tiny] = 0.0  # which TensorFlow takes for 0
    np.testing.assert_array_equal(found, thresholds)


def test_a_point_stays_below_the_end_of_its_interval():
    low = np.float32([0.0, 0.25, 0.75])
    for high in (np.nextafter(low, np.float32(1)), np.float32([0.25, 0.75, 1.0])):
        for uniform in (2.0**-24, 0.5, 1.0 - 2.0**-24):
            point = np.asarray(numerics.point_in(tf.constant(low), tf.constant(high), tf.constant(uniform)))
            assert (low <= point).all() and (point < high).all()
