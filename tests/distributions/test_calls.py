"""Shapes, seeds and conditions of the calls of a distribution."""

import numpy as np
import pytest
import tensorflow as tf
from enumeration import all_events, binary, mixture, spread

import tfar

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


@pytest.mark.parametrize("name", ["log_prob", "site_log_probs", "training_loss", "sample", "complete"])
def test_autograph_does_not_look_into_a_call(name):
    seen = set()

    class Network(tfar.layers.MaskedDense):
        def call(self, inputs):
            seen.add(tf.__internal__.autograph.control_status_ctx().status.name)
            return super().call(inputs)

    network = Network(4, range(1, 5), range(1, 5), strict=True)
    dist, x = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4]), tf.zeros([2, 4])
    arguments = {"sample": (2,), "complete": (x, x > 0.0)}.get(name, (x,))
    seen.clear()
    tf.function(lambda: getattr(dist, name)(*arguments))()
    assert seen == {"DISABLED"}


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


@pytest.mark.parametrize(
    "jit_compile",
    [pytest.param(False, marks=pytest.mark.slow(ci=True)), pytest.param(True, marks=pytest.mark.slow)],
)
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
        np.testing.assert_allclose(real.law.sample(seeds[i : i + 1])[0], expected[i], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [-1, [2, -3]], ids=str)
def test_negative_sample_shapes_are_refused(real, shape):
    with pytest.raises(ValueError, match="Expected `sample_shape` to be whole numbers of at least 0"):
        real.sample(shape)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), []), (0, [0]), (np.int64(2), [2]), ([2, 1], [2, 1]), (np.array([2]), [2]), (tf.constant([1, 2]), [1, 2])],
    ids=str,
)
def test_sample_shapes_in_every_form(real, shape, expected):
    dims = real.event_shape.as_list()
    drawn = real.sample(shape, seed=3)
    assert drawn.shape == [*expected, *dims]
    count = int(np.prod(expected, dtype=int))
    expected_rows = real.sample(4, seed=3)[:count]
    np.testing.assert_allclose(tf.reshape(drawn, [count, *dims]), expected_rows, rtol=1e-5, atol=1e-6)


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
