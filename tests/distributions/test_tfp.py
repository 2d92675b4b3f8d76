"""The distributions as citizens of TensorFlow Probability."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from enumeration import all_events, spread
from scipy import stats

import tfar

tfd, tfb = tfp.distributions, tfp.bijectors


def binary(**kwargs):
    return tfar.MADE([4], [12], **{"jit_compile": False, **kwargs})


def mixture(**kwargs):
    return tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), **{"jit_compile": False, **kwargs})


@pytest.fixture(scope="module")
def dist():
    return spread(binary())


@pytest.fixture(scope="module")
def real():
    return spread(mixture(), 0.3)


@pytest.fixture(scope="module")
def conditional():
    return spread(binary(conditional_shape=[2]))


@pytest.fixture(scope="module")
def condition():
    return np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)


# Shapes ---------------------------------------------------------------------------------------------------------------


def test_static_shapes():
    dist = tfar.MADE([2, 3], [8], jit_compile=False)
    assert dist.event_shape == [2, 3] and dist.batch_shape == []
    assert dist.event_shape_tensor().numpy().tolist() == [2, 3] and dist.batch_shape_tensor().numpy().tolist() == []
    assert dist.dtype == tf.float32 and "MADE" in repr(dist)
    assert dist.sample([2, 3], seed=1).shape == [2, 3, 2, 3] and dist.sample(seed=1).shape == [2, 3]
    assert dist.sample(0, seed=1).shape == [0, 2, 3]


def test_log_prob_of_any_leading_axes(dist):
    x = dist.sample([2, 3], seed=1)
    log_prob = dist.log_prob(x)
    assert log_prob.shape == [2, 3] and log_prob.dtype == tf.float32
    for i in range(2):
        for j in range(3):
            bare = dist.log_prob(x[i, j])
            assert bare.shape == []
            np.testing.assert_allclose(bare, log_prob[i, j], rtol=1e-5)
    np.testing.assert_allclose(dist.prob(x), np.exp(log_prob), rtol=1e-5)
    assert dist.log_prob(np.zeros([0, 4])).shape == [0]


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8", "float64", "float16"])
def test_values_of_other_dtypes_are_cast(dist, dtype):
    x = all_events(4)
    np.testing.assert_array_equal(dist.log_prob(x.astype(dtype)), dist.log_prob(x))
    np.testing.assert_array_equal(dist.log_prob(tf.constant(x.astype(dtype))), dist.log_prob(x))


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 5)), "text", 1.0, np.zeros(4, complex), None], ids=repr)
def test_bad_values_are_refused(dist, bad):
    with pytest.raises(ValueError, match="Expected"):
        dist.log_prob(bad)


def test_values_outside_the_support(dist):
    x = np.array([[0, 1, 0, 1], [0, 2, 0, 0], [1, 1, 1, np.nan]], np.float32)
    with pytest.raises(ValueError, match="row 1, site 1"):
        dist.log_prob(x)
    in_graph = tf.function(dist.log_prob)(x).numpy()
    assert np.isfinite(in_graph).tolist() == [True, False, False] and np.isnan(in_graph[1:]).all()
    np.testing.assert_allclose(in_graph[0], dist.log_prob(x[0]), rtol=1e-5)


# Seeds ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, np.int64(3), tf.constant(3), tf.constant([0, 3])], ids=repr)
def test_seeds_reproduce_in_every_form(real, seed):
    expected = real.sample(4, seed=3)
    np.testing.assert_array_equal(real.sample(4, seed=seed), expected)
    in_graph = tf.function(lambda s: real.sample(4, seed=s))
    np.testing.assert_allclose(in_graph(tf.constant(seed)), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(real.sample(4, seed=4) - expected).min() > 0.0


def test_none_gives_fresh_samples(real):
    in_graph = tf.function(lambda: real.sample())
    draws = np.stack([real.sample(), real.sample(), in_graph(), in_graph()])
    assert len(np.unique(draws[:, 0])) == 4


@pytest.mark.parametrize("seed", ["a", 1.5, [1, 2, 3]], ids=repr)
def test_other_seeds_are_refused(real, seed):
    with pytest.raises(ValueError, match="Expected `seed`"):
        real.sample(2, seed=seed)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_row_i_does_not_depend_on_the_number_of_samples(jit_compile):
    """Beyond a few sizes eager calls pad to a power of two: nothing of that may be seen."""
    dist = spread(mixture(jit_compile=jit_compile), 0.3)
    many = dist.sample(40, seed=7).numpy()
    for n in range(1, 40) if jit_compile else (1, 2, 3, 4, 5, 6, 7, 9, 33):
        draws = dist.sample(n, seed=7)
        assert draws.shape == [n, 3]
        np.testing.assert_allclose(draws, many[:n], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dist.log_prob(many[:n]), dist.log_prob(many)[:n], rtol=1e-5, atol=1e-5)


def test_a_sample_is_that_of_its_row_seed(real):
    seeds = tfar.random.row_seeds(11, 5)
    expected = real.sample(5, seed=11)
    for i in range(5):
        np.testing.assert_allclose(real.density.sample(seeds[i : i + 1])[0], expected[i], rtol=1e-5, atol=1e-6)


# Conditions -----------------------------------------------------------------------------------------------------------


def test_given_has_the_batch_of_the_condition(conditional, condition):
    given = conditional.given(condition)
    assert given.batch_shape == [5] and given.batch_shape_tensor().numpy().tolist() == [5]
    assert conditional.given(condition[0]).batch_shape == [] and conditional.batch_shape == []
    assert conditional.given(condition.reshape(5, 1, 2)).batch_shape == [5, 1]
    x = given.sample(3, seed=1)
    assert x.shape == [3, 5, 4] and given.log_prob(x).shape == [3, 5]
    np.testing.assert_array_equal(x, conditional.sample(3, seed=1, conditional_input=condition))
    np.testing.assert_allclose(given.log_prob(x), conditional.log_prob(x, conditional_input=condition), rtol=1e-6)
    assert given.log_prob(x[0, 0]).shape == [5]
    assert given.site_log_probs(x).shape == [3, 5, 4]
    assert given.network is conditional.network


def test_each_row_has_its_own_condition(conditional, condition):
    events = all_events(4)
    log_prob = conditional.given(condition).log_prob(events[:, None])
    assert log_prob.shape == [16, 5]
    np.testing.assert_allclose(np.exp(log_prob).sum(0), 1.0, atol=1e-5)
    for i, c in enumerate(condition):
        np.testing.assert_allclose(
            conditional.log_prob(events, conditional_input=c), log_prob[:, i], rtol=1e-4, atol=1e-5
        )
    assert np.ptp(log_prob.numpy(), axis=1).min() > 0.05


def test_the_first_site_depends_on_the_condition(conditional, condition):
    first = conditional.given(condition).site_log_probs(np.zeros((5, 4)))[:, 0].numpy()
    assert len(np.unique(first)) == 5


def test_named_conditions():
    dist = spread(binary(conditional_shape={"b": [2], "a": [3]}))
    rng = np.random.default_rng(1)
    c = {"a": rng.normal(size=(5, 3)).astype(np.float32), "b": rng.normal(size=(1, 2)).astype(np.float32)}
    given = dist.given(c)
    assert given.batch_shape == [5] and given.sample(2, seed=1).shape == [2, 5, 4]
    expected = [given.log_prob(np.ones(4))[i] for i in range(5)]
    single = [dist.log_prob(np.ones(4), conditional_input={"a": c["a"][i], "b": c["b"][0]}) for i in range(5)]
    np.testing.assert_allclose(expected, single, rtol=1e-5)
    for bad in ({"a": c["a"]}, {**c, "z": 1.0}, c["a"], {"a": c["b"], "b": c["b"]}):
        with pytest.raises(ValueError, match="Expected"):
            dist.given(bad)


def test_conditions_that_do_not_fit_are_refused(dist, conditional, condition):
    x = np.zeros((5, 4))
    calls = [
        lambda: conditional.log_prob(x),
        lambda: conditional.sample(2, seed=1),
        lambda: conditional.log_prob(x, conditional_input=condition[:, :1]),
        lambda: conditional.log_prob(x, conditional_input=condition[:3]),
        lambda: conditional.given(None),
        lambda: dist.given(condition),
        lambda: dist.log_prob(x, conditional_input=condition),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="Expected"):
            call()


# Copies and variables -------------------------------------------------------------------------------------------------


def test_copies_share_the_variables(dist):
    copy = dist.copy(name="other")
    assert copy.name == "other" and dist.name == "MADE" and copy.network is dist.network
    assert all(a is b for a, b in zip(copy.variables, dist.variables, strict=True))
    np.testing.assert_array_equal(copy.log_prob(all_events(4)), dist.log_prob(all_events(4)))
    with pytest.raises(ValueError, match="hidden_units"):
        dist.copy(hidden_units=[3])


def test_variables_are_tf_variables(dist, real):
    for d in (dist, real):
        assert len(d.trainable_variables) == 5 and len(d.variables) >= 5
        assert all(isinstance(v, tf.Variable) for v in d.variables)
    assert {id(v) for v in dist.trainable_variables} <= {id(v) for v in dist.variables}


def test_events_after_a_weight_changes():
    """Compiled calls must not have frozen the weights."""
    dist = binary(jit_compile=True)
    before, draws = dist.log_prob(np.ones(4)), dist.sample(64, seed=0)
    spread(dist, 3.0)
    assert abs(float(dist.log_prob(np.ones(4)) - before)) > 1e-2
    assert np.any(dist.sample(64, seed=0) != draws)


# Joint and transformed distributions ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("model", ["real", "conditional"])
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


# Training loops -------------------------------------------------------------------------------------------------------

ROWS = np.repeat(np.array([[1, 0, 1, 0], [0, 0, 1, 1]], np.float32), 8, axis=0)


@pytest.mark.parametrize(
    "make_optimizer",
    [lambda: keras.optimizers.Adam(0.05), lambda: tf.compat.v1.train.AdamOptimizer(0.05), lambda: _tf_keras_adam(0.05)],
    ids=["keras", "tf1", "tf_keras"],
)
def test_a_gradient_tape_loop_trains(make_optimizer):
    dist, optimizer = binary(), make_optimizer()
    before = float(-tf.reduce_mean(dist.log_prob(ROWS)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(dist.log_prob(ROWS))
        gradients = tape.gradient(loss, dist.trainable_variables)
        optimizer.apply_gradients(zip(gradients, dist.trainable_variables, strict=True))

    for _ in range(60):
        step()
    assert float(-tf.reduce_mean(dist.log_prob(ROWS))) < min(1.2, 0.6 * before)


def _tf_keras_adam(rate):
    import tf_keras

    return tf_keras.optimizers.Adam(rate)


def test_an_eager_gradient_of_log_prob_is_the_true_one():
    """Against central differences, through the compiled eager call too."""
    for jit_compile in (False, True):
        dist = spread(mixture(jit_compile=jit_compile), 0.3)
        x = dist.sample(4, seed=1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(dist.log_prob(x))
        variable = dist.trainable_variables[0]
        gradient = tape.gradient(loss, variable).numpy()
        index = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        value, values = variable.numpy(), []
        for step in (1e-2, -1e-2):
            moved = value.copy()
            moved[index] += step
            variable.assign(moved)
            values.append(float(tf.reduce_sum(dist.log_prob(x))))
        assert abs((values[0] - values[1]) / 2e-2 - gradient[index]) < 2e-2 * abs(gradient[index])


def test_tfp_minimize_trains():
    dist = binary()
    losses = tfp.math.minimize(
        lambda: -tf.reduce_mean(dist.log_prob(ROWS)),
        num_steps=60,
        optimizer=keras.optimizers.Adam(0.05),
        trainable_variables=dist.trainable_variables,
    )
    assert losses[-1] < min(1.2, 0.6 * losses[0])


# TFP's own tests ------------------------------------------------------------------------------------------------------


def test_tfp_finds_samples_and_log_prob_consistent(real):
    from absl import flags
    from tensorflow_probability.python.internal import test_util

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

    class Helper(test_util.VectorDistributionTestHelpers, test_util.TestCase):
        def runTest(self):
            pass

    centre = tf.reduce_mean(real.sample(2000, seed=1), axis=0)
    Helper().run_test_sample_consistent_log_prob(
        lambda x: None if x is None else tf.nest.map_structure(np.asarray, x),
        real,
        num_samples=20_000,
        radius=2.0,
        center=centre,
        seed=3,
        rtol=0.1,
    )


def test_marginal_means(dist):
    """By the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart, false positives at most 1e-6 for each site."""
    events, num_draws = all_events(4), 40_000
    means = np.exp(dist.log_prob(events).numpy().astype(np.float64)) @ events
    bound = np.sqrt(np.log(2.0 / 1e-6) / (2.0 * num_draws))
    error = np.abs(dist.sample(num_draws, seed=6).numpy().mean(0) - means)
    assert (error < bound).all() and bound < 0.02


# Construction ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [
        {"event_shape": [0]},
        {"event_shape": []},
        {"hidden_units": []},
        {"hidden_units": [0]},
        {"order": "zigzag"},
        {"order": [0, 1]},
        {"num_masks": 0},
        {"num_masks": 1.5},
        {"num_eval_masks": 0},
        {"degrees": "odd"},
        {"head": "Bernoulli"},
        {"conditional_shape": [0]},
        {"seed": -1},
        {"seed": 1.5},
    ],
    ids=repr,
)
def test_bad_arguments_are_refused(kwargs):
    with pytest.raises(ValueError, match="Expected"):
        tfar.MADE(**{"event_shape": [4], "hidden_units": [8], **kwargs})


def test_the_same_seed_makes_the_same_model():
    first, second, other = binary(seed=2), binary(seed=2), binary(seed=3)
    events = all_events(4)
    np.testing.assert_array_equal(first.log_prob(events), second.log_prob(events))
    assert np.any(first.log_prob(events) != other.log_prob(events))


def test_config_round_trip():
    dist = tfar.MADE(
        [4], [8, 6], tfar.heads.Categorical(3), "random", 2, degrees="random", conditional_shape={"a": [2]}, seed=5,
        activation="tanh", kernel_initializer="he_normal", connectivity_weights=True, direct_connections=False,
        jit_compile=False, name="mine",
    )  # fmt: skip
    again = tfar.MADE.from_config(
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dist)).get_config()
    )
    assert again.get_config() == dist.get_config()
    assert set(dist.get_config()) == set(inspect.signature(tfar.MADE).parameters)
    x, c = np.zeros((2, 4)), {"a": np.ones((2, 2))}
    np.testing.assert_array_equal(again.log_prob(x, conditional_input=c), dist.log_prob(x, conditional_input=c))


def test_a_keras_network_of_ones_own(tmp_path):
    degrees = [1, 2, 3, 4]
    network = keras.Sequential(
        [
            keras.Input((4,)),
            tfar.layers.MaskedDense(12, degrees, [1, 2, 3] * 4, activation="tanh"),
            tfar.layers.MaskedDense(4, [1, 2, 3] * 4, degrees, strict=True),
        ]
    )
    dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4], jit_compile=False)
    spread(dist)
    events = all_events(4)
    assert abs(np.exp(dist.log_prob(events)).sum() - 1.0) < 1e-5
    draws = [dist.sample(50, seed=1, method=m).numpy() for m in ("ancestral", "naive", "fixed_point")]
    assert all((d == draws[0]).all(-1).mean() > 0.95 for d in draws)
    assert len(dist.trainable_variables) == 4
    with pytest.raises(ValueError, match="12 numbers"):
        tfar.Autoregressive(network, tfar.heads.NormalMixture(1), event_shape=[4])
    with pytest.raises(ValueError, match="event_shape"):
        tfar.Autoregressive(network, tfar.heads.Bernoulli())
    with pytest.raises(ValueError, match="head"):
        tfar.Autoregressive(network, "head", event_shape=[4])
    with pytest.raises(ValueError, match="num_masks=None"):
        dist.with_order("reverse")
    model = tfar.training.DensityModel(dist)
    model.compile("adam")
    model.save(tmp_path / "own.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "own.keras").log_prob(events), dist.log_prob(events), rtol=1e-5)
