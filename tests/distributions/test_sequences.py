"""Distributions over sequences: lengths, prefixes, masks of padded rows, streams of noise."""

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.contract_networks import GroupsNetwork, SequenceNetwork, SteppingSequenceNetwork, VideoNetwork
from tests.registry import randomize


def sequence(network=SequenceNetwork, head=None, seed=1, **kwargs):
    head = head or tfar.heads.Bernoulli()
    dist = tfar.Autoregressive(network(params_size=head.params_size, **kwargs), head, jit_compile=False)
    return randomize(dist, seed)


def conditional():
    return sequence(channels=2, conditional_size=3)


def rows(num_rows, length, *rest, seed=0):
    return np.random.default_rng(seed).integers(0, 2, size=(num_rows, length, *rest)).astype(np.float32)


def condition(num_rows, length, seed=1):
    return np.random.default_rng(seed).normal(size=(num_rows, length, 3)).astype(np.float32)


def slow_log_prob(dist, x):
    """The network's recurrence in float64, a row and a time after the other."""
    kernel, output, bias = (np.asarray(v, np.float64) for v in dist.variables)
    total = []
    for row in x:
        h, log_prob = np.zeros(kernel.shape[1]), 0.0
        for t, value in enumerate(row):
            h = 0.5 * h + row[t - 1] * kernel[0] if t else h
            logit = (np.tanh(h) @ output + bias)[0]
            log_prob -= np.logaddexp(0.0, -logit if value else logit)
        total.append(log_prob)
    return np.array(total)


def test_log_prob_of_any_length_is_that_of_the_recurrence():
    dist = sequence()
    for length in (1, 4, 7):
        x = rows(3, length)
        np.testing.assert_allclose(dist.log_prob(x), slow_log_prob(dist, x), rtol=1e-5)
        assert dist.site_log_probs(x).shape == (3, length)


def test_shapes_of_sequences():
    dist = sequence()
    assert dist.event_shape.as_list() == [None]
    assert dist.num_sites is None
    assert dist.sample((2, 3), seed=1, length=4).shape == (2, 3, 4)
    assert dist.with_length(6).sample(2, seed=1).shape == (2, 6)
    assert dist.with_length(6).num_sites == 6
    fixed = conditional().with_length(4)
    assert fixed.num_sites == 8
    c = condition(3, 4)
    assert fixed.given(c).batch_shape == (3,)
    assert fixed.sample(2, seed=1, conditional_input=c).shape == (2, 3, 4, 2)
    assert fixed.log_prob(rows(3, 4, 2), conditional_input=c).shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda dist: dist.sample(2), "Expected `length`"),
        (lambda dist: dist.with_length(0), "Expected `length`"),
        (lambda dist: dist.with_length(3).log_prob(rows(2, 4)), r"\[\.\.\., 3\]"),
        (lambda dist: dist.event_shape_tensor(), "with_length"),
        (lambda dist: dist.with_order("reverse"), "with_length"),
        (lambda dist: tfar.testing.check_normalized(dist), "with_length"),
        (lambda dist: randomize(tfar.MADE([4], [8])).sample(2, length=4), "exactly if their first axis is None"),
    ],
)
def test_a_missing_or_wrong_length_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call(sequence())


def test_a_sequence_of_a_fixed_length_has_the_raster_order():
    dist = sequence().with_length(3)
    np.testing.assert_array_equal(dist.with_order("natural").log_prob(rows(2, 3)), dist.log_prob(rows(2, 3)))
    with pytest.raises(ValueError, match="order that the network was made for"):
        dist.with_order("reverse")


def test_a_longer_draw_begins_as_a_shorter_one():
    dist = sequence()
    long = dist.sample(50, seed=3, length=9)
    np.testing.assert_array_equal(dist.sample(50, seed=3, length=4), long[:, :4])
    c = condition(4, 6)
    dist = conditional()
    long = dist.sample(20, seed=3, length=6, conditional_input=c)
    np.testing.assert_array_equal(dist.sample(20, seed=3, length=2, conditional_input=c[:, :2]), long[:, :, :2])


def test_copies_of_a_sequence_survive_files(tmp_path):
    dist = conditional().with_length(4).with_temperature(0.5)
    x, c = rows(3, 4, 2), condition(3, 4)
    expected = dist.log_prob(x, conditional_input=c)
    for other in (copy.copy(dist), copy.deepcopy(dist), pickle.loads(pickle.dumps(dist))):
        assert other.event_shape == (4, 2)
        np.testing.assert_allclose(other.log_prob(x, conditional_input=c), expected, rtol=1e-6)
    tfar.training.DensityModel(dist).save(tmp_path / "sequence.keras")
    loaded = tfar.load(tmp_path / "sequence.keras")
    assert loaded.event_shape == (4, 2)
    np.testing.assert_allclose(loaded.log_prob(x, conditional_input=c), expected, rtol=1e-6)


# Lengths of rows ------------------------------------------------------------------------------------------------------


LENGTHS = [4, 0, 2]


def padded(dist, length=5):
    """Rows of different lengths, with values after their ends that nobody may read."""
    x = rows(3, length, *dist.event_shape[1:])
    observed = np.asarray(tf.sequence_mask(LENGTHS, length))
    x[~observed] = np.nan
    return x, observed.reshape(3, length, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("make", [sequence, conditional])
def test_observed_prefixes_are_the_lengths_of_rows(make):
    dist = make()
    x, observed = padded(dist)
    c = None if dist.conditional_shape is None else condition(3, 5)
    parts = [
        dist.log_prob(x[i : i + 1, :n], conditional_input=None if c is None else c[i : i + 1, :n])[0] if n else 0.0
        for i, n in enumerate(LENGTHS)
    ]
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=c, observed=observed), parts, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(-dist.training_loss(x, c, observed=observed, seed=0), parts, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(-dist.evaluate(x, c, observed=observed)["nll"], parts, rtol=1e-5, atol=1e-6)
    shares = dist.site_log_probs(x, conditional_input=c, observed=observed)
    np.testing.assert_allclose(tf.reduce_sum(shares, 1), parts, rtol=1e-5, atol=1e-6)


def test_a_pattern_that_is_no_prefix_is_refused():
    dist = sequence()
    x, observed = rows(2, 4), np.array([[True, True, False, False], [True, False, True, False]])
    with pytest.raises(ValueError, match="row 1 observes others"):
        dist.log_prob(x, observed=observed)
    with pytest.raises(ValueError, match="row 1 observes others"):
        dist.complete(x, observed, seed=0)
    assert np.isnan(dist.training_loss(x, observed=observed, seed=0)).tolist() == [False, True]


@pytest.mark.parametrize("make", [sequence, conditional])
def test_site_weights_are_factors_of_the_shares_of_sites(make):
    dist = make()
    x = rows(3, 4, *dist.event_shape[1:])
    c = None if dist.conditional_shape is None else condition(3, 4)
    weight = np.random.default_rng(2).uniform(size=x.shape).astype(np.float32)
    weight[:, -1] = 0.0
    shares = np.asarray(dist.site_log_probs(x, conditional_input=c))
    expected = -(shares * weight.reshape(3, -1)).sum(1)
    np.testing.assert_allclose(dist.training_loss(x, c, site_weight=weight, seed=0), expected, rtol=1e-5)
    np.testing.assert_allclose(dist.evaluate(x, c, site_weight=weight)["nll"], expected, rtol=1e-5)
    x, observed = padded(dist, 4)
    shares = np.asarray(dist.site_log_probs(x, conditional_input=c, observed=observed))
    expected = -(shares * weight.reshape(3, -1)).sum(1)
    for loss in (
        dist.training_loss(x, c, observed=observed, site_weight=weight, seed=0),
        dist.evaluate(x, c, observed=observed, site_weight=weight)["nll"],
    ):
        np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)


def test_rows_of_different_lengths_train_as_each_length_does():
    x, observed = padded(sequence())
    gradients = []
    for parts in ([(x, observed)], [(x[i : i + 1, :n], None) for i, n in enumerate(LENGTHS) if n]):
        dist = sequence()
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(dist.training_loss(v, observed=o, seed=0)) for v, o in parts])
        gradients.append(tape.gradient(loss, dist.trainable_variables))
    for padded_gradient, own_gradient in zip(*gradients, strict=True):
        np.testing.assert_allclose(padded_gradient, own_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.slow(ci=True)
def test_fit_learns_from_padded_rows():
    """Rows alternate 1, 0, 1, 0 up to their length; what follows is noise that training must not see."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, size=(256, 6)).astype(np.float32)
    observed = np.asarray(tf.sequence_mask(generator.integers(2, 7, size=256), 6))
    alternating = np.arange(1, 7, dtype=np.float32)[None] % 2
    x = np.where(observed, alternating, x)
    dist = sequence()
    model = tfar.training.DensityModel(dist)
    model.compile("adam", jit_compile=False)
    model.optimizer.learning_rate = 0.05
    model.fit({"value": x, "observed": observed.astype(np.float32)}, epochs=30, batch_size=32, verbose=0)
    assert float(dist.log_prob(alternating)[0]) > -1.0


# Completion of a prefix ------------------------------------------------------------------------------------------------


def completed(dist, value, observed, **kwargs):
    return np.asarray(dist.complete(value, observed, seed=5, **kwargs))


def completions(kind):
    """Distributions whose networks share weights, with and without a `prefill` of their own, and what to complete."""
    if kind == "video":
        x, observed = rows(40, 12).reshape(40, 2, 2, 3), np.arange(12).reshape(2, 2, 3) < 8
        own = randomize(tfar.Autoregressive(VideoNetwork((2, 2, 3)), tfar.heads.Bernoulli(), jit_compile=False))
        return own, x, observed, {}
    kwargs = {"channels": 2, "conditional_size": 3} if kind == "channels" else {}
    own = sequence(head=tfar.heads.Bernoulli() if kwargs else tfar.heads.NormalMixture(1), **kwargs)
    x = rows(40, 6, *own.event_shape[1:])
    lengths = np.random.default_rng(1).integers(2, 6, size=40)
    observed = np.asarray(tf.sequence_mask(lengths, 6)).reshape(40, 6, *[1] * (x.ndim - 2))
    return own, x, observed, {"conditional_input": condition(40, 6)} if kwargs else {}


@pytest.mark.parametrize("kind", ["plain", "channels", "video"])
def test_completion_after_a_prefilled_prefix_equals_completion_in_steps(kind, monkeypatch):
    own, x, observed, kwargs = completions(kind)
    expected = completed(own, x, observed, **kwargs)
    calls = []
    prefill = type(own.network).prefill
    monkeypatch.setattr(type(own.network), "prefill", lambda *args: calls.append(1) or prefill(*args))
    again = copy.deepcopy(own)
    np.testing.assert_allclose(completed(again, x, observed, **kwargs), expected, atol=1e-5)
    assert calls
    monkeypatch.setattr(type(own.network), "prefill", tfar.networks.AutoregressiveNetwork.prefill)
    np.testing.assert_allclose(completed(copy.deepcopy(own), x, observed, **kwargs), expected, atol=1e-5)
    np.testing.assert_array_equal(np.where(observed, expected, x), x)
    assert (expected != x).any()


def test_nothing_and_everything_may_be_observed():
    dist = sequence()
    x = rows(30, 4)
    np.testing.assert_array_equal(dist.complete(x, np.ones([30, 4], bool), seed=2), x)
    np.testing.assert_array_equal(dist.complete(x, np.zeros([30, 4], bool), seed=2), dist.sample(30, seed=2, length=4))


def test_completions_follow_the_conditional_law():
    dist = sequence()
    x = np.array([[1.0, 1.0, 0.0, 0.0]], np.float32)
    drawn = np.asarray(dist.complete(x, np.arange(4) < 2, num_samples=8000, seed=1))[:, 0]
    events = np.array([[1, 1, a, b] for a in (0, 1) for b in (0, 1)], np.float32)
    probs = np.exp(slow_log_prob(dist, events))
    probs /= probs.sum()
    counts = np.bincount((drawn[:, 2] * 2 + drawn[:, 3]).astype(int), minlength=4)
    _, _, p_value = tfar.testing.samples.chi_square(counts, probs * 8000)
    assert p_value > 1e-4


def test_a_group_may_be_observed_in_part():
    """Of sites that are decided together any may be observed, as they are independent given the past."""
    dist = randomize(tfar.Autoregressive(GroupsNetwork([0, 0, 1, 1, 1]), tfar.heads.Bernoulli(), jit_compile=False))
    observed = np.array([True, True, False, True, False])
    x = rows(4, 5)
    np.testing.assert_allclose(
        dist.log_prob(x, observed=observed), tf.reduce_sum(dist.site_log_probs(x) * observed, 1), rtol=1e-6
    )
    drawn = completed(dist, x, observed)
    np.testing.assert_array_equal(drawn[:, observed], x[:, observed])
    with pytest.raises(ValueError, match="row 0 observes others"):
        dist.log_prob(x, observed=[True, False, True, False, False])


@pytest.mark.parametrize("network", [SequenceNetwork, SteppingSequenceNetwork])
def test_compiled_sequences_equal_plain_ones(network):
    plain = sequence(network)
    compiled = plain.copy(jit_compile=True)
    x, observed = rows(8, 5), np.arange(5) < 3
    np.testing.assert_allclose(compiled.log_prob(x), plain.log_prob(x), rtol=1e-5)
    np.testing.assert_array_equal(compiled.complete(x, observed, seed=1), plain.complete(x, observed, seed=1))


# Leading axes --------------------------------------------------------------------------------------------------------


def bound_by_rows():
    """A WaveNet with a vector as the condition, and two of them."""
    sizes = {"skip_filters": 4, "num_layers": 2, "num_stacks": 1, "jit_compile": False}
    dist = tfar.WaveNet([None], 4, head=tfar.heads.Categorical(4), conditional_shape=[2], **sizes)
    return randomize(dist), np.float32([[0.3, -1.0], [2.0, 0.5]])


@pytest.mark.parametrize("num_samples", [None, 1, 2, 5])
def test_one_prefix_is_completed_under_each_condition(num_samples):
    """Every completion for every condition, and not completion k for condition k."""
    dist, conditions = bound_by_rows()
    x, observed = np.float32([0, 3, 1, 0, 0]), np.arange(5) < 3
    lead = (2,) if num_samples is None else (num_samples, 2)
    found = dist.complete(x, observed, num_samples, seed=1, conditional_input=conditions)
    assert found.shape == (*lead, 5)
    for_each = dist.complete(np.tile(x, [2, 1]), observed, num_samples, seed=1, conditional_input=conditions)
    np.testing.assert_array_equal(found, for_each)
    np.testing.assert_array_equal(
        found, dist.given(conditions).complete(x, np.tile(observed, [2, 1]), num_samples, seed=1)
    )
    if num_samples is not None:
        forecast = dist.forecast(x[:3], 2, num_samples, seed=1, conditional_input=conditions)
        np.testing.assert_array_equal(forecast.samples, found[..., 3:])
        assert forecast.mean().shape == (2, 2)
    stream = dist.stream(1, num_samples=num_samples, conditional_input=conditions, prefix=x[:3], chunk=2)
    np.testing.assert_array_equal(next(stream), found[..., 3:])


def test_leading_axes_of_values_patterns_and_conditions_broadcast_before_samples_are_drawn():
    dist = randomize(tfar.MADE([3], [4], conditional_shape=[2], jit_compile=False))
    value, observed = np.float32([0, 1, 1, 0])[:, None, None] * np.ones([3]), np.array([True, False, False])
    conditions = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32)
    found = dist.complete(value, np.tile(observed, [2, 1]), 3, seed=1, conditional_input=conditions)
    assert found.shape == (3, 4, 2, 3)
    np.testing.assert_array_equal(found[..., 0], np.broadcast_to(value[..., 0], [3, 4, 2]))
    expected = dist.complete(np.tile(value, [1, 2, 1]), observed, 3, seed=1, conditional_input=conditions)
    np.testing.assert_array_equal(found, expected)
    in_graph = tf.function(lambda x, c: dist.complete(x, observed, 3, seed=1, conditional_input=c))
    traced = in_graph.get_concrete_function(tf.TensorSpec([None, 1, 3]), tf.TensorSpec([None, 2]))
    assert traced(tf.constant(value, tf.float32), tf.constant(conditions)).shape == (3, 4, 2, 3)
