"""RNADE's units: densities of the values as they came, whatever they are measured in; its training objective; its errors."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar.heads import LaplaceMixture, NormalMixture, Standardized
from tfar.heads.mixtures import LocationScaleMixture
from tfar.networks import NADENetwork

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(60, 3)) * [0.5, 2.0, 7.0] + [3.0, 0.0, -40.0]).astype(np.float32)
HEADS = pytest.mark.parametrize("head", [NormalMixture, LaplaceMixture])


def make(head=NormalMixture, units=9, **kwargs):
    """With the same random weights at every call."""
    return randomize(tfar.RNADE([3], units, head=head(2, min_scale=0.05), jit_compile=False, **kwargs))


@HEADS
@pytest.mark.parametrize("order", few_by_default([[1, 2, 0], "natural", "reverse"]))
def test_densities_are_those_of_standardised_values_and_a_jacobian(head, order):
    plain, adapted = make(head, order=order), make(head, order=order)
    adapted.adapt(X)
    loc, scale = X.astype(np.float64).mean(0), X.astype(np.float64).std(0)
    expected = plain.log_prob(((X - loc) / scale).astype(np.float32)) - np.log(scale).sum()
    np.testing.assert_allclose(adapted.log_prob(X), expected, rtol=1e-4, atol=1e-4)


@HEADS
@pytest.mark.parametrize("factor", few_by_default([1e-3, 1e3]))
def test_other_units_change_densities_by_their_jacobian_alone(head, factor):
    here, there = make(head), make(head)
    factors = np.float32([factor, 1.0, factor])
    here.adapt(X)
    there.adapt(X * factors)
    expected = here.log_prob(X) - 2.0 * np.log(factor)
    np.testing.assert_allclose(there.log_prob(X * factors), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        there.sample(50, seed=1), here.sample(50, seed=1) * factors, rtol=1e-4, atol=1e-4 * factor
    )


@pytest.mark.parametrize("of", [lambda data: data, lambda data: tf.data.Dataset.from_tensor_slices(data).batch(7)])
def test_units_follow_from_observed_values(of):
    """Also those of NaN and of far values that are not observed, in arrays and in data sets."""
    observed = RNG.random(X.shape) < 0.7
    values = np.where(observed, X, np.where(RNG.random(X.shape) < 0.5, np.nan, 1e6)).astype(np.float32)
    dist = make()
    dist.adapt(of({"value": values, "observed": observed}))
    expected = np.ma.array(X.astype(np.float64), mask=~observed)
    np.testing.assert_allclose(dist.head.units.loc, expected.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dist.head.units.scale, expected.std(axis=0), rtol=1e-5)


def test_given_units_are_those_that_adapt_finds():
    loc, scale = X.astype(np.float64).mean(0), X.astype(np.float64).std(0)
    adapted = make()
    adapted.adapt(X)
    np.testing.assert_allclose(make(loc=loc, scale=scale).log_prob(X), adapted.log_prob(X), rtol=1e-5)


@pytest.mark.parametrize("fault", ["no Jacobian", "inputs not standardised", "draws in standard units"])
def test_planted_faults_of_units_are_found(fault):
    name, wrong = {
        "no Jacobian": ("_log_scale", lambda self, site: tf.zeros([])),
        "inputs not standardised": ("encode_inputs", lambda self, x, site=None: tf.cast(x, tf.float32)),
        "draws in standard units": ("_outside", lambda self, z, site: z),
    }[fault]
    with mock.patch.object(Standardized, name, wrong), pytest.raises(AssertionError):
        test_other_units_change_densities_by_their_jacobian_alone(NormalMixture, 1e3)


def test_data_sets_of_every_form_are_adapted_to():
    weights = np.ones(len(X), np.float32)
    forms = {
        "array": X,
        "tensor": tf.constant(X),
        "dict": {"value": X},
        "rows": tf.data.Dataset.from_tensor_slices(X).batch(7),
        "weighted": tf.data.Dataset.from_tensor_slices((X, weights)).batch(7).map(lambda x, w: (x, None, w)),
        "dicts": tf.data.Dataset.from_tensor_slices({"value": X, "sample_weight": weights}).batch(7),
    }
    expected = make()
    expected.adapt(X)
    for form, data in forms.items():
        dist = make()
        dist.adapt(data)
        for name in ("loc", "scale"):
            found, truth = getattr(dist.head.units, name), getattr(expected.head.units, name)
            np.testing.assert_allclose(found, truth, rtol=1e-5, err_msg=form)


@pytest.mark.slow(ci=True)
def test_compiled_calls_see_units_that_change_later():
    dist = randomize(tfar.RNADE([3], 4, head=NormalMixture(2)))
    before = np.asarray(dist.log_prob(X))
    dist.adapt(X)
    after = np.asarray(dist.log_prob(X))
    assert np.abs(after - before).min() > 1e-3
    np.testing.assert_allclose(after, dist.copy(jit_compile=False).log_prob(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_units_survive_mixed_precision(policy, dtype_policy):
    """Values beyond float16 that are apart by less than its steps."""
    x = (1e5 + RNG.normal(size=(50, 3))).astype(np.float32)
    dtype_policy(policy)
    half = make()
    dtype_policy("float32")
    whole = make()
    half.adapt(x)
    whole.adapt(x)
    np.testing.assert_allclose(half.log_prob(x), whole.log_prob(x), rtol=0.05, atol=0.3)


def test_a_file_keeps_the_units(tmp_path):
    dist = make()
    dist.adapt(X)
    tfar.training.DensityModel(dist).save(tmp_path / "rnade.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "rnade.keras").log_prob(X), dist.log_prob(X), rtol=1e-5)


def units_of(dist):
    return np.stack([np.asarray(dist.head.units.loc), np.asarray(dist.head.units.scale)])


def trained(dist, epochs=1):
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model.fit(X, epochs=epochs, batch_size=len(X), verbose=0).history["loss"]


def test_fit_adapts_to_the_data_unless_units_are_given():
    dist = tfar.RNADE([3], 8, head=NormalMixture(3), jit_compile=False)
    assert dist.awaits_data
    trained(dist)
    assert not dist.awaits_data
    np.testing.assert_allclose(units_of(dist), [X.astype(np.float64).mean(0), X.astype(np.float64).std(0)], rtol=1e-5)
    for given in ({"loc": 1.0}, {"loc": [1.0, 2.0, 3.0], "scale": 2.0}, {"scale": 30.0}):
        dist = tfar.RNADE([3], 8, head=NormalMixture(3), jit_compile=False, **given)
        assert not dist.awaits_data
    trained(dist)
    np.testing.assert_array_equal(units_of(dist), [[0.0] * 3, [30.0] * 3])


@pytest.mark.slow(ci=True)
def test_training_leaves_the_units_alone_and_learns():
    dist = tfar.RNADE([3], 8, head=NormalMixture(3), jit_compile=False)
    dist.adapt(X)
    before = units_of(dist)
    losses = trained(dist, epochs=20)
    np.testing.assert_array_equal(units_of(dist), before)
    assert losses[-1] < losses[0]


def test_all_arguments_but_the_shape_and_the_size_have_names():
    with pytest.raises(TypeError, match="positional"):
        tfar.RNADE([3], 8, NormalMixture(3))


# Gradients -----------------------------------------------------------------------------------------------------------


def mean_slopes(dist, function):
    """Gradients of minus a sum of scores, by variable; those of the output bias as `[sites, 3, K]`."""
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(dist))
    slopes = dict(
        zip(
            [v.path.split("/")[-1] for v in dist.network.trainable_variables],
            tape.gradient(total, dist.trainable_variables),
            strict=True,
        )
    )
    return np.asarray(slopes["output_bias"]).reshape(3, 3, 2)


@HEADS
def test_training_scales_the_gradients_of_the_means_by_their_deviations(head):
    """One row: each mean of each site then has one deviation."""
    x = X[:1]
    dist, plain = make(head, loc=[3.0, 0.0, -40.0]), make(head, loc=[3.0, 0.0, -40.0], scale_gradients=False)
    losses = [d.training_loss(x, seed=1) for d in (dist, plain)]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_allclose(losses[0], -dist.log_prob(x), rtol=1e-6)
    true = mean_slopes(dist, lambda d: -d.log_prob(x))
    trained = mean_slopes(dist, lambda d: d.training_loss(x, seed=1))
    np.testing.assert_allclose(mean_slopes(plain, lambda d: d.training_loss(x, seed=1)), true, rtol=1e-5, atol=1e-7)
    scale = np.asarray(dist.head.head.components(params_of(dist, x))[2])[0]
    np.testing.assert_allclose(trained[:, 1], true[:, 1] * scale, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(trained[:, [0, 2]], true[:, [0, 2]], rtol=1e-5, atol=1e-7)
    assert np.abs(true[:, 1] - trained[:, 1]).max() > 1e-2
    np.testing.assert_allclose(finite_differences_of_means(dist, x), true[:, 1], rtol=2e-2, atol=5e-3)


def params_of(dist, x):
    """Parameters of the sites; the network sees standardised values."""
    return dist.network((x - np.asarray(dist.head.units.loc)) / np.asarray(dist.head.units.scale))


def finite_differences_of_means(dist, x, step=2e-3):
    """The slope of minus log_prob along each bias of the means, `[sites, K]`."""
    bias, slopes = next(v for v in dist.network.trainable_variables if v.path.endswith("output_bias")), []
    before = np.asarray(bias)
    for site, k in np.ndindex(3, 2):
        ends = []
        for sign in (1.0, -1.0):
            moved = before.copy().reshape(3, 3, 2)
            moved[site, 1, k] += sign * step
            bias.assign(moved.ravel())
            ends.append(-float(dist.log_prob(x)[0]))
        slopes.append((ends[0] - ends[1]) / (2.0 * step))
    bias.assign(before)
    return np.reshape(slopes, (3, 2))


@pytest.mark.parametrize("fault", ["not in training", "in log_prob too"])
def test_planted_faults_of_gradients_are_found(fault):
    inner = LocationScaleMixture._log_prob
    change = mock.patch.object(LocationScaleMixture, "scale_location_gradients", lambda self, params: params)
    if fault == "in log_prob too":

        @tf.autograph.experimental.do_not_convert
        def wrong(self, params, x, site):
            return inner(self, self.scale_location_gradients(params), x, site)

        change = mock.patch.object(LocationScaleMixture, "_log_prob", wrong)
    with change, pytest.raises(AssertionError):
        test_training_scales_the_gradients_of_the_means_by_their_deviations(NormalMixture)


# Parameters ----------------------------------------------------------------------------------------------------------


def test_conditionals_are_in_the_units_of_the_values():
    dist = make(loc=100.0, scale=10.0)
    conditionals = dist.conditionals(100.0 + X)
    logits, loc, _ = (np.asarray(part) for part in dist.head.head.components(params_of(dist, 100.0 + X)))
    means = (np.exp(logits) * loc).sum(-1) / np.exp(logits).sum(-1)
    np.testing.assert_allclose(conditionals.mean(), 100.0 + 10.0 * means, rtol=1e-5)
    np.testing.assert_allclose(conditionals.log_prob(100.0 + X), dist.site_log_probs(100.0 + X), rtol=1e-4, atol=1e-4)


def test_fresh_components_differ_at_every_site():
    dist = tfar.RNADE([3], 8, head=NormalMixture(4), jit_compile=False)
    _, loc, _ = dist.head.head.components(dist.network(tf.zeros([1, 3])))
    assert np.all(np.diff(np.asarray(loc)[0]) > 0.2)


def test_network_config_round_trip():
    network = make(order="random", conditional_shape=(2,)).network
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    assert isinstance(again, NADENetwork) and again.get_config() == network.get_config()
    if not again.built:
        again.build()
    for a, b in zip(again.variables, network.variables, strict=True):
        a.assign(b)
    np.testing.assert_array_equal(again(X, X[:, :2]), network(X, X[:, :2]))


def test_values_from_millions_of_deviations_away_have_finite_gradients():
    dist = make(activation="sigmoid")
    x = X.copy()
    x[0, 0] = 1e6
    with tf.GradientTape() as tape:
        loss = dist.training_loss(x, seed=1)
    assert np.isfinite(loss).all()
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, dist.trainable_variables))


@HEADS
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_outliers_have_finite_log_probs_and_gradients(head, activation):
    """At the first site, which the others see, and at the last, which none sees."""
    dist = make(head, activation=activation)
    for site, outlier in ((0, 1e18), (0, -3e38), (2, 3e38), (2, -1e18)):
        x = X[:4].copy()
        x[1, site] = outlier
        log_prob = np.asarray(dist.log_prob(x))
        assert np.isfinite(log_prob).all() and log_prob[1] < log_prob[0] - 1e6
        with tf.GradientTape() as tape:
            loss = dist.training_loss(x, seed=1)
        assert np.isfinite(loss).all()
        assert all(np.isfinite(g).all() for g in tape.gradient(loss, dist.trainable_variables))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": tfar.heads.Bernoulli()}, "Expected `head` to be a NormalMixture or a LaplaceMixture"),
        ({"head": "normals"}, "Expected `head`"),
        ({"head": NormalMixture}, "Make a head of it: `NormalMixture"),
        ({"loc": 1.7e9, "scale": 50.0}, "Subtract an offset from the data in float64 first"),
        ({"activation": "gelu"}, "Expected `activation` to be one of"),
        ({"hidden_units": 0}, "Expected `hidden_units`"),
        ({"order": [0, 1]}, "Expected `order` to be 3 integers"),
        ({"loc": [1.0, 2.0]}, "Expected `loc` to broadcast"),
        ({"scale": -1.0}, "Expected scales that are positive"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.RNADE(**{"event_shape": [3], "hidden_units": 6, **arguments})


def test_bad_data_are_errors():
    for bad in (X[:, :2], X * np.nan, tf.data.Dataset.from_tensors(X).repeat()):
        with pytest.raises(ValueError, match=r"Expected (data|a finite data set)"):
            make().adapt(bad)
