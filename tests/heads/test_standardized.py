"""A head in the units of the data: how it gets them, what networks see, gradients in training, and what it refuses."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar import heads
from tfar.heads import mixtures

RNG = np.random.default_rng(0)
X = RNG.normal([1000.0, 0.0, -3.0], [20.0, 1.0, 0.1], (400, 3))
EACH = pytest.mark.parametrize("maker", [heads.NormalMixture, heads.LaplaceMixture])


def make(inner=None, **kwargs):
    return heads.Standardized(inner or heads.NormalMixture(2), [3], **kwargs)


# Units ------------------------------------------------------------------------------------------------------------------


def test_adapted_units_are_the_mean_and_the_deviation_of_each_entry():
    for data in (X, tf.data.Dataset.from_tensor_slices(X).batch(7), (part for part in np.split(X, 4))):
        head = make()
        head.adapt(data)
        np.testing.assert_allclose(head.units.loc, X.mean(0), rtol=1e-6)
        np.testing.assert_allclose(head.units.scale, X.std(0), rtol=1e-6)
    shared = heads.Standardized(heads.NormalMixture(2))
    shared.adapt(X)
    np.testing.assert_allclose([shared.units.loc, shared.units.scale], [X.mean(), X.std()], rtol=1e-6)


def test_a_head_awaits_data_until_it_has_units():
    assert make().awaits_data
    assert not make(loc=1.0).awaits_data and not make(scale=2.0).awaits_data
    head = make()
    head.build()
    assert head.awaits_data
    head.adapt(X)
    assert not head.awaits_data


def test_units_are_weights_that_are_not_trained():
    head = make()
    head.build()
    assert len(head.non_trainable_variables) == 2 and not head.trainable_variables


def test_one_unit_for_all_needs_no_site():
    head = heads.Standardized(heads.NormalMixture(1), loc=10.0, scale=2.0)
    params = np.float32([[0.0, 0.0, 0.5413]])
    np.testing.assert_allclose(head.log_prob(params, [10.0]), [-0.9189 - np.log(2.0)], atol=1e-3)
    with pytest.raises(ValueError, match="Expected `site`, because the units of the 3 sites differ"):
        make().log_prob(tf.zeros([1, 3, 6]), tf.zeros([1, 3]))


@keras.saving.register_keras_serializable("tests")
class TwoNormals(heads.Head):
    """Two independent normal channels."""

    site_shape, noise_size = (2,), 2

    @property
    def params_size(self):
        return 2

    def support(self, site=None):
        return heads.Support()

    def _log_prob(self, params, x, site):
        return tf.reduce_sum(-0.5 * tf.square(x - params) - 0.5 * np.log(2.0 * np.pi), axis=-1)

    def _sample(self, params, noise, site):
        return params + heads.numerics.normal_quantile(noise)


def test_sites_of_several_channels_have_a_unit_for_each():
    loc, scale = np.float32([[0.0, 5.0], [1.0, -5.0], [2.0, 0.0]]), np.float32([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    head = heads.Standardized(TwoNormals(), [3, 2], loc, scale)
    params = RNG.normal(size=(4, 3, 2)).astype(np.float32)
    x = RNG.normal(size=(4, 3, 2)).astype(np.float32)
    z = (x - loc) / scale - params
    expected = (-0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) - np.log(scale)).sum(-1)
    np.testing.assert_allclose(head.log_prob(params, x, np.arange(3)), expected, rtol=1e-5)
    noise = np.full((4, 3, 2), 0.5, np.float32)
    np.testing.assert_allclose(head.sample(params, noise, np.arange(3)), loc + scale * params, rtol=1e-5, atol=1e-5)
    shared = heads.Standardized(TwoNormals(), loc=1.0, scale=2.0)
    expected = (-0.5 * ((x - 1.0) / 2.0 - params) ** 2 - 0.5 * np.log(2.0 * np.pi) - np.log(2.0)).sum(-1)
    np.testing.assert_allclose(shared.log_prob(params, x), expected, rtol=1e-5)


# Values far from zero ---------------------------------------------------------------------------------------------------

UNIX_TIMES = 1.7e9 + RNG.normal(0.0, 50.0, (200, 3))


def test_values_that_float32_cannot_tell_apart_are_refused():
    """Of a deviation of 50 s, float32 leaves one time in 128 s."""
    message = r"scale of at least 100 times .* received scale \d+.* at location 1\d+.* 128 apart .*Subtract an offset"
    head = make()
    for data in (UNIX_TIMES, UNIX_TIMES.astype(np.float32)):
        with pytest.raises(ValueError, match=message if data.dtype == np.float64 else "Subtract an offset"):
            head.adapt(data)
    np.testing.assert_array_equal(head.units.loc, np.zeros(3))
    with pytest.raises(ValueError, match=message):
        make(loc=[0.0, 1.7e9, 0.0], scale=50.0)
    with pytest.raises(ValueError, match="Subtract an offset"):
        tfar.RNADE([3], 4, loc=1.7e9, scale=50.0)


def test_an_offset_in_float64_is_the_way_out():
    head = make()
    head.adapt(UNIX_TIMES - 1.7e9)
    np.testing.assert_allclose(head.units.scale, UNIX_TIMES.std(0), rtol=1e-6)


def test_the_rule_is_a_hundred_numbers_within_a_scale():
    for loc in (1.0, 3.0, -1e6, 1.7e9):
        limit = 100.0 * float(np.spacing(np.float32(abs(loc))))
        make(loc=loc, scale=limit)
        with pytest.raises(ValueError, match="Subtract an offset"):
            make(loc=loc, scale=0.99 * limit)


def test_moments_are_taken_in_float64():
    data = 1e6 + RNG.normal(0.0, 20.0, (1000, 3))
    head = make()
    head.adapt(data)
    np.testing.assert_allclose(head.units.scale, data.std(0), rtol=1e-6)


# Models -----------------------------------------------------------------------------------------------------------------

MODELS = {
    "MADE": lambda head: tfar.MADE([3], [8], head=head, order="reverse", jit_compile=False),
    "NADE": lambda head: tfar.NADE([3], 8, head=head, jit_compile=False),
    "OrderlessNADE": lambda head: tfar.OrderlessNADE([3], [8], head=head, num_orders=2, jit_compile=False),
}


@pytest.mark.parametrize("name", few_by_default(MODELS))
def test_a_model_with_units_is_the_model_of_standardised_values(name):
    inner = heads.NormalMixture(2, min_scale=0.05)
    plain, dist = randomize(MODELS[name](inner)), randomize(MODELS[name](make(inner)))
    dist.initialize(X)
    assert not dist.awaits_data
    loc, scale = X.mean(0), X.std(0)
    expected = plain.log_prob((X - loc) / scale) - np.log(scale).sum()
    np.testing.assert_allclose(dist.log_prob(X), expected, rtol=1e-4, atol=2e-3)
    for method in ("ancestral", "naive"):
        z = np.asarray(plain.sample(20, seed=1, method=method))
        np.testing.assert_allclose(dist.sample(20, seed=1, method=method), loc + scale * z, rtol=1e-4, atol=1e-3)
    loss = plain.training_loss((X - loc) / scale, seed=1) + np.log(scale).sum()
    if name != "OrderlessNADE":  # whose loss weights the sites
        np.testing.assert_allclose(dist.training_loss(X, seed=1), loss, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("fault", ["no Jacobian", "inputs not standardised", "draws in standard units"])
def test_planted_faults_of_units_are_found(fault):
    target, wrong = {
        "no Jacobian": ("_log_scale", lambda self, site: tf.zeros([])),
        "inputs not standardised": ("encode_inputs", lambda self, x, site=None: tf.cast(x, tf.float32)),
        "draws in standard units": ("_outside", lambda self, z, site: z),
    }[fault]
    with mock.patch.object(heads.Standardized, target, wrong), pytest.raises(AssertionError):
        test_a_model_with_units_is_the_model_of_standardised_values("MADE")


def test_fit_adapts_a_model_without_units_first(tmp_path):
    dist = tfar.MADE([3], [4], head=make(), jit_compile=False)
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer="adam")
    model.fit(X, epochs=1, batch_size=len(X), verbose=0)
    np.testing.assert_allclose(dist.head.units.scale, X.std(0), rtol=1e-5)
    model.save(tmp_path / "made.keras")
    again = tfar.load(tmp_path / "made.keras")
    assert not again.awaits_data
    np.testing.assert_allclose(again.log_prob(X), dist.log_prob(X), rtol=1e-5)


# Gradients in training --------------------------------------------------------------------------------------------------

INNER = RNG.normal(0, 2, (40, 3, 9)).astype(np.float32)
LOC, SCALE = np.float32([0.0, 100.0, -3.0]), np.float32([1.0, 20.0, 0.1])
VALUES = (LOC + SCALE * RNG.normal(0, 2, (40, 3))).astype(np.float32)


def slopes(head, training):
    """Gradients of the log-density with respect to the parameters, as training and as inference see them."""
    params = tf.constant(INNER)
    with tf.GradientTape() as tape:
        tape.watch(params)
        method = head.training_log_prob if training else head.log_prob
        log_prob = method(params, VALUES, site=np.arange(3))
    return np.asarray(tape.gradient(log_prob, params)), np.asarray(log_prob)


@EACH
def test_training_scales_the_gradients_of_the_locations_alone(maker):
    inner = maker(3, min_scale=0.01)
    head = make(inner, loc=LOC, scale=SCALE, scale_gradients=True)
    (true, log_prob), (trained, same) = slopes(head, training=False), slopes(head, training=True)
    np.testing.assert_array_equal(same, log_prob)
    np.testing.assert_allclose(trained[..., 3:6], true[..., 3:6] * inner.components(INNER)[2], rtol=1e-6)
    others = [0, 1, 2, 6, 7, 8]
    np.testing.assert_array_equal(trained[..., others], true[..., others])
    assert np.abs(true[..., 3:6]).max() > 0.1


def test_a_planted_gradient_of_the_scale_is_found():
    """Without its stop, the scale of a component would get the gradient of its location too."""
    with mock.patch.object(mixtures.tf, "stop_gradient", lambda t: t), pytest.raises(AssertionError):
        test_training_scales_the_gradients_of_the_locations_alone(heads.NormalMixture)


def test_training_leaves_the_gradients_alone_by_default():
    for head in (make(heads.NormalMixture(3), loc=LOC, scale=SCALE), heads.NormalMixture(3)):
        np.testing.assert_array_equal(slopes(head, training=True)[0], slopes(head, training=False)[0])


@EACH
def test_initial_components_are_spread_at_scale_one(maker):
    mixture = maker(3)
    logits, loc, scale = mixture.components(tf.constant([mixture.initial_params()]))
    np.testing.assert_array_equal(logits, [[0.0, 0.0, 0.0]])
    np.testing.assert_allclose(loc, [[-0.9674, 0.0, 0.9674]], atol=1e-4)
    np.testing.assert_allclose(scale, [[1.0, 1.0, 1.0]], rtol=1e-5)


# Arguments --------------------------------------------------------------------------------------------------------------

MIXED = [heads.NormalMixture(2), heads.Bernoulli(), heads.NormalMixture(2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": heads.Bernoulli()}, "Bernoulli is discrete and has no units"),
        ({"head": heads.NormalMixture}, "received the class NormalMixture"),
        ({"head": heads.PerSite(MIXED)}, "Expected `event_shape`, as the sites of PerSite differ"),
        ({"head": heads.PerSite(MIXED), "event_shape": [4]}, r"sites of shape \(\), 3 of them; received \(4,\)"),
        ({"head": heads.PerSite(MIXED), "event_shape": [3], "loc": 5.0}, "location 0 and scale 1 at discrete sites"),
        ({"head": heads.PerSite(MIXED), "event_shape": 3, "scale_gradients": True}, "a NormalMixture or a Laplace"),
        ({"head": TwoNormals(), "event_shape": [3]}, r"sites of shape \(2,\); received \(3,\)"),
        ({"event_shape": [3], "loc": [1.0, 2.0]}, r"Expected `loc` to broadcast to \[3\]"),
        ({"scale": -1.0}, "positive and finite"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        heads.Standardized(**{"head": heads.NormalMixture(2), **arguments})
