"""The distributions as citizens of TensorFlow Probability."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from enumeration import all_events
from scipy import stats

from tests.parameters import few_by_default

tfd, tfb = tfp.distributions, tfp.bijectors


# Joint and transformed distributions ----------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_in_joint_distribution_named(real):
    joint = tfd.JointDistributionNamed(
        {"x": real, "y": lambda x: tfd.Independent(tfd.Normal(x, 1.0), 1)}, batch_ndims=0, validate_args=False
    )
    draw = joint.sample(3, seed=tf.constant([0, 5]))
    np.testing.assert_array_equal(draw["x"], joint.sample(3, seed=tf.constant([0, 5]))["x"])
    draw, again = (_joint_draw(joint, 3) for _ in range(2))
    np.testing.assert_array_equal(draw["x"], again["x"])
    assert draw["x"].shape == [3, 3] and len(np.unique(draw["x"][:, 0])) == 3
    noise = stats.norm.logpdf(draw["y"].numpy() - draw["x"].numpy()).sum(-1)
    np.testing.assert_allclose(joint.log_prob(draw), real.log_prob(draw["x"]) + noise, rtol=1e-4)


def _joint_draw(joint, n):
    """With an int seed: TFP makes it a stateful one, which repeats after `tf.random.set_seed` alone."""
    tf.random.set_seed(1)
    return joint.sample(n, seed=5)


@pytest.mark.parametrize("model", few_by_default(["real", "conditional"]))
def test_in_joint_distribution_coroutine(model, real, conditional):
    @tfd.JointDistributionCoroutineAutoBatched
    def joint():
        c = yield tfd.Sample(tfd.Normal(0.0, 1.0), 2, name="c")
        yield (real if model == "real" else conditional.given(c)).copy(name="x")

    draw = _joint_draw(joint, 4)
    c, x = draw
    np.testing.assert_array_equal(x, _joint_draw(joint, 4)[1])
    assert x.shape[0] == 4 and len(np.unique(c[:, 0])) == 4
    prior = stats.norm.logpdf(c.numpy()).sum(-1)
    scored = real.log_prob(x) if model == "real" else conditional.given(c).log_prob(x)
    np.testing.assert_allclose(joint.log_prob(draw), prior + scored, rtol=1e-4, atol=1e-4)


def test_in_transformed_distribution(real):
    """Against the change of variables: y = 2 x + 1."""
    scale = np.array([2.0, 0.5, 3.0], np.float32)
    dist = tfd.TransformedDistribution(real, tfb.Shift(1.0)(tfb.Scale(scale)))
    y = dist.sample([2, 5], seed=3)
    np.testing.assert_array_equal(y, dist.sample([2, 5], seed=3))
    x = (y.numpy() - 1.0) / scale
    np.testing.assert_allclose(dist.log_prob(y), real.log_prob(x) - np.log(scale).sum(), rtol=1e-4, atol=1e-4)


def test_in_mixture_and_independent_and_sample(real, conditional, condition):
    independent = tfd.Independent(conditional.given(condition), 1)
    x = independent.sample(3, seed=1)
    assert x.shape == [3, 5, 4]
    np.testing.assert_allclose(
        independent.log_prob(x), tf.reduce_sum(conditional.given(condition).log_prob(x), -1), rtol=1e-5
    )


# Graphs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_tf_function(real, jit_compile):
    x = real.sample(6, seed=1)
    function = tf.function(lambda x: (real.log_prob(x), real.sample(3, seed=9)), jit_compile=jit_compile)
    log_prob, draws = function(x)
    np.testing.assert_allclose(log_prob, real.log_prob(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(draws, real.sample(3, seed=9), rtol=1e-4, atol=1e-5)


def test_in_tf_function_with_an_unknown_batch(real, conditional, condition):
    log_prob = tf.function(real.log_prob, input_signature=[tf.TensorSpec([None, 3])])
    lead = tf.function(real.log_prob, input_signature=[tf.TensorSpec([None, None, 3])])
    sample = tf.function(lambda n: real.sample(n, seed=2), input_signature=[tf.TensorSpec([], tf.int32)])
    given = tf.function(
        lambda c: (conditional.given(c).sample(2, seed=1), conditional.given(c).log_prob(tf.ones([4]))),
        input_signature=[tf.TensorSpec([None, 2])],
    )
    for n in (1, 5):
        x = real.sample(n, seed=1)
        np.testing.assert_allclose(log_prob(x), real.log_prob(x), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(lead(x[None]), real.log_prob(x)[None], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(sample(n), real.sample(n, seed=2), rtol=1e-4, atol=1e-5)
        draws, scores = given(condition[:n])
        np.testing.assert_array_equal(draws, conditional.given(condition[:n]).sample(2, seed=1))
        np.testing.assert_allclose(scores, conditional.given(condition[:n]).log_prob(np.ones(4)), rtol=1e-4)


def test_in_vectorized_map(real):
    x = real.sample([4, 2], seed=1)
    mapped = tf.vectorized_map(real.log_prob, x)
    np.testing.assert_allclose(mapped, real.log_prob(x), rtol=1e-4, atol=1e-5)


# TFP's own tests ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tfp_helpers():
    from absl import flags
    from tensorflow_probability.python.internal import test_util

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

    class Helpers(test_util.VectorDistributionTestHelpers, test_util.TestCase):
        def runTest(self):
            pass

    return Helpers()


def test_tfp_finds_samples_and_log_prob_consistent(real, tfp_helpers):
    centre = tf.reduce_mean(real.sample(2000, seed=1), axis=0)
    tfp_helpers.run_test_sample_consistent_log_prob(
        lambda x: None if x is None else tf.nest.map_structure(np.asarray, x),
        real,
        num_samples=20_000,
        radius=2.0,
        center=centre,
        seed=3,
        rtol=0.1,
    )


def test_tfp_finds_the_means_of_samples(dist, tfp_helpers):
    """By the bound of Dvoretzky, Kiefer, Wolfowitz and Massart, false positives at most 1e-6 for each site.

    TFP's own assertion of it, `assert_true_mean_equal_by_dkwm`, is in TFP's repository, but not in its wheel.
    """
    events, num_draws = all_events(4), 40_000
    means = np.exp(dist.log_prob(events).numpy().astype(np.float64)) @ events
    bound = np.sqrt(np.log(2.0 / 1e-6) / (2.0 * num_draws))
    assert bound < 0.02
    tfp_helpers.assertAllMeansClose(dist.sample(num_draws, seed=6), means, axis=0, atol=bound, rtol=0.0)
