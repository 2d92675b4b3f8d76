"""What holds of single heads: supports, logits of infinity, extreme parameters, weights of their own, arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.heads.oracles import CASES
from tfar import heads
from tfar.heads import Support

NAN, INF = float("nan"), float("inf")
DISCRETE = {"bernoulli": heads.Bernoulli(), "categorical": heads.Categorical(5)}
SIMPLE = {**DISCRETE, "normals": heads.NormalMixture(3), "laplaces": heads.LaplaceMixture(3)}


@pytest.mark.parametrize("make", [heads.Count, lambda: heads.GaussianScaleMixture(num_inputs=2)])
def test_components_of_a_head_that_nothing_has_used(make):
    """The first call creates the weights, as in the other methods."""
    head = make()
    assert all(np.isfinite(part).all() for part in head.components(tf.zeros([3, head.params_size]))[:3])


# Supports ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("support", "text", "num_values"),
    [
        (heads.Bernoulli().support(), "{0, 1}", 2),
        (heads.Categorical(256).support(), "whole numbers 0 .. 255", 256),
        (heads.DiscretizedLogisticMixture(1, -3, -2, 1).support(), "{-3, -2}", 2),
        (heads.NormalMixture(1).support(), "real numbers", None),
        (Support(0.0, INF, discrete=True), "whole numbers from 0", None),
        (Support(-INF, 5.0, discrete=True), "whole numbers up to 5", None),
        (Support(0.0, 1.0), "real numbers 0 .. 1", None),
        (Support(0.0, 0.0, discrete=True), "whole numbers 0 .. 0", 1),
    ],
)
def test_supports_read_well(support, text, num_values):
    assert str(support) == text and support.num_values == num_values


@pytest.mark.parametrize("name, bad", [("bernoulli", [-1.0, 0.5, 2.0]), ("categorical", [-1.0, 0.5, 5.0, 1.0001])])
def test_discrete_supports(name, bad):
    head = DISCRETE[name]
    assert np.isnan(head.log_prob(tf.zeros([len(bad), head.params_size]), bad)).all()
    classes = np.arange(head.support().num_values)
    assert np.isfinite(head.log_prob(tf.zeros([len(classes), head.params_size]), classes)).all()


def test_probs_are_the_truth_and_those_of_log_prob():
    rng = np.random.default_rng(1)
    for name, head in {**DISCRETE, "logistics": CASES["logistics"].make()}.items():
        params = rng.normal(0, 3, (8, head.params_size)).astype(np.float32)
        expected = np.stack([CASES[name].truth(p, 0).probs for p in params])
        np.testing.assert_allclose(head.probs(params), expected, rtol=2e-5, atol=1e-7)
    for head in (heads.NormalMixture(1), heads.Standardized(heads.NormalMixture(1))):
        with pytest.raises(ValueError, match="finitely many values"):
            head.probs(tf.zeros([2, 3]))


# Infinite logits --------------------------------------------------------------------------------------------------------


def test_a_categorical_logit_of_minus_infinity_leaves_the_others_alone():
    head, logits = heads.Categorical(4), np.float32([[0.0, -INF, 1.0, -INF]])
    params = tf.Variable(np.repeat(logits, 4, 0))
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, [0.0, 1.0, 2.0, 3.0])
        loss = log_prob[0] + log_prob[2]
    p = 1.0 / (1.0 + np.e)
    np.testing.assert_allclose(log_prob, [np.log(p), -INF, np.log(1.0 - p), -INF], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, params)[0], [1.0 - p, 0.0, p - 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(head.probs(logits), [[p, 0.0, 1.0 - p, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(head.cdf(params, [0.0, 1.0, 2.0, 3.0]), [p, p, 1.0, 1.0], rtol=1e-6)
    noise = np.float32([[2.0**-24], [p - 1e-3], [p + 1e-3], [1.0 - 2.0**-24]])
    assert head.sample(np.repeat(logits, 4, 0), noise).numpy().tolist() == [0.0, 0.0, 2.0, 2.0]
    found = head.noise(np.repeat(logits, 2, 0), [0.0, 2.0], [[0.5], [0.5]])
    np.testing.assert_allclose(found, [[p / 2], [(1.0 + p) / 2]], rtol=1e-6)
    cold = head.tempered(logits, 0.5)
    np.testing.assert_allclose(
        head.probs(cold), [np.array([p**2, 0.0, (1 - p) ** 2, 0.0]) / (p**2 + (1 - p) ** 2)], rtol=1e-5
    )
    dist = head.distribution(logits)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    np.testing.assert_allclose(dist.entropy(), [entropy], rtol=1e-6)
    np.testing.assert_allclose(dist.mean(), [2.0 * (1.0 - p)], rtol=1e-6)


@pytest.mark.parametrize("logit", [INF, -INF])
def test_infinite_bernoulli_logits(logit):
    head, sure = heads.Bernoulli(), float(logit > 0)
    params = tf.Variable([[logit], [logit]])
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, [sure, 1.0 - sure])
    assert log_prob.numpy().tolist() == [0.0, -INF]
    assert np.isfinite(tape.gradient(log_prob, params)).all()
    for u in (2.0**-24, 1.0 - 2.0**-24):
        assert head.sample([[logit]], [[u]]).numpy().tolist() == [sure]
    assert head.probs([[logit]]).numpy().tolist() == [[1.0 - sure, sure]]
    assert head.log_prob(head.tempered([[logit]], 0.3), [sure]).numpy().tolist() == [0.0]
    assert head.distribution([[logit]]).entropy().numpy().tolist() == [0.0]
    np.testing.assert_allclose(head.noise([[logit]], [sure], [[0.3]]), [[0.3]])


@pytest.mark.parametrize("maker", [heads.NormalMixture, heads.LaplaceMixture])
def test_a_component_with_a_logit_of_minus_infinity_is_not_there(maker):
    both, one = np.float32([[0.3, -INF, 1.0, 5.0, 0.1, 3.0]]), np.float32([[0.0, 1.0, 0.1]])
    params, x, noise = tf.Variable(both), [0.7], np.float32([[1.0 - 2.0**-24, 0.3]])
    with tf.GradientTape() as tape:
        log_prob = maker(2).log_prob(params, x)
    np.testing.assert_allclose(log_prob, maker(1).log_prob(one, x), rtol=1e-6)
    assert np.isfinite(tape.gradient(log_prob, params)).all()
    np.testing.assert_allclose(maker(2).sample(both, noise), maker(1).sample(one, noise), rtol=1e-6)
    np.testing.assert_allclose(maker(2).cdf(both, x), maker(1).cdf(one, x), rtol=1e-6)
    np.testing.assert_allclose(maker(2).noise(both, x, noise)[:, 1], maker(1).noise(one, x, noise)[:, 1], rtol=1e-6)
    for method in ("mean", "variance", "entropy"):
        found, expected = (getattr(h.distribution(p), method)() for h, p in ((maker(2), both), (maker(1), one)))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    cold = maker(2).tempered(both, 0.5)
    np.testing.assert_allclose(maker(2).log_prob(cold, x), maker(1).log_prob(maker(1).tempered(one, 0.5), x), rtol=1e-5)


def test_a_logistic_with_a_logit_of_minus_infinity_is_not_there():
    head, one = (heads.DiscretizedLogisticMixture(k, 0, 5, 2) for k in (2, 1))
    rng = np.random.default_rng(0)
    of_one = rng.normal(size=(1, one.params_size)).astype(np.float32)
    other = rng.normal(size=(1, one.params_size)).astype(np.float32)
    other[0, 0] = -INF
    both = np.concatenate([of_one, other], -1)
    np.testing.assert_allclose(head.log_prob(both, [[2.0, 3.0]]), one.log_prob(of_one, [[2.0, 3.0]]), rtol=1e-6)
    noise = np.float32([[1.0 - 2.0**-24, 0.4, 0.6]])
    np.testing.assert_array_equal(head.sample(both, noise), one.sample(of_one, noise))


# Extreme parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIMPLE)
def test_extreme_parameters_stay_finite_with_finite_gradients(name):
    head, rng = SIMPLE[name], np.random.default_rng(5)
    signs = rng.choice([-200.0, 200.0], (64, head.params_size)).astype(np.float32)
    count = head.support().num_values
    x = (rng.integers(0, count, 64) if count else rng.normal(0, 3, 64)).astype(np.float32)
    params = tf.Variable(signs)
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, x)
    assert np.isfinite(log_prob).all() and np.isfinite(tape.gradient(log_prob, params)).all()
    if count is None:
        expected = [CASES[name].truth(p, 0).log_prob(v) for p, v in zip(signs, x, strict=True)]
    else:  # the truth of the probabilities underflows
        logits = np.float64(signs) * (0.5 * np.array([[-1.0, 1.0]]) if count == 2 else 1.0)
        expected = (logits - np.logaddexp.reduce(logits, -1, keepdims=True))[np.arange(64), x.astype(int)]
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-6)
    for u in (2.0**-24, 1.0 - 2.0**-24):
        draws = head.sample(signs, np.full((64, head.noise_size), u, np.float32))
        assert np.isfinite(draws).all() and np.isfinite(head.log_prob(signs, draws)).all()
        noise = head.noise(signs, draws, np.full((64, head.noise_size), u, np.float32))
        assert ((np.asarray(noise) > 0.0) & (np.asarray(noise) < 1.0)).all()


def test_nan_parameters_are_not_hidden():
    assert np.isnan(heads.Bernoulli().log_prob([[NAN]], [1.0])).all()
    assert np.isnan(heads.Categorical(2).log_prob([[NAN, 0.0]], [1.0])).all()
    assert np.isnan(heads.NormalMixture(1).log_prob([[0.0, NAN, 0.0]], [1.0])).all()


@pytest.mark.parametrize("name", SIMPLE)
def test_other_dtypes_give_float32(name):
    head = SIMPLE[name]
    params = tf.zeros([2, head.params_size], tf.float16)
    assert head.log_prob(params, tf.constant([0, 1])).dtype == tf.float32
    assert head.sample(params, tf.fill([2, head.noise_size], 0.3)).dtype == tf.float32


# A head with weights ----------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class SharedScale(heads.Head):
    """A Laplace site whose scale is a weight, one for each site."""

    def __init__(self, num_sites, **kwargs):
        super().__init__(**kwargs)
        self.num_sites = num_sites

    @property
    def params_size(self):
        return 1

    def build(self, input_shape=None):
        self.log_scale = self.add_weight(name="log_scale", shape=(self.num_sites,), initializer="zeros")
        self.built = True

    def support(self, site=None):
        return Support()

    def _log_prob(self, params, x, site):
        log_scale = tf.gather(tf.convert_to_tensor(self.log_scale), site)
        return -tf.abs(x - params[..., 0]) * tf.exp(-log_scale) - log_scale - np.log(2.0)

    def _sample(self, params, noise, site):
        log_scale = tf.gather(tf.convert_to_tensor(self.log_scale), site)
        return params[..., 0] + tf.exp(log_scale) * heads.numerics.laplace_quantile(noise[..., 0])

    def get_config(self):
        return {**super().get_config(), "num_sites": self.num_sites}


def test_a_head_builds_trains_and_configures_its_own_weights():
    head = SharedScale(3)
    head.build()
    assert [tuple(v.shape) for v in head.trainable_variables] == [(3,)]
    x, params = np.float32([[5.0, 0.0, 1.0]]), tf.zeros([1, 3, 1])
    with tf.GradientTape() as tape:
        loss = -head.log_prob(params, x, np.arange(3))
    np.testing.assert_allclose(
        tf.convert_to_tensor(tape.gradient(loss, head.log_scale.value)), 1.0 - np.abs(x[0]), atol=1e-6
    )
    head.log_scale.assign([0.0, 1.0, 2.0])
    np.testing.assert_allclose(
        head.log_prob(params, x, [0, 1, 2]) - head.log_prob(params, x, [0, 0, 2])[:, :], [[0, -1, 0]]
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.num_sites == 3 and len(again.weights) == 1


def test_a_distribution_builds_tracks_and_trains_the_weights_of_its_head(tmp_path):
    dist = tfar.MADE([3], [8], head=SharedScale(3), jit_compile=False)
    scale = dist.head.log_scale.value
    assert any(v is scale for v in dist.trainable_variables)
    x = np.random.default_rng(0).normal(0, [1.0, 5.0, 20.0], (200, 3)).astype(np.float32)
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer=keras.optimizers.Adam(0.05))
    model.fit(x, epochs=10, batch_size=50, verbose=0)
    assert (np.diff(scale.numpy()) > 0.1).all(), "wider sites have larger scales"
    model.save(tmp_path / "made.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "made.keras").log_prob(x), dist.log_prob(x), rtol=1e-5)


# Arguments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: heads.Categorical(1),
        lambda: heads.Categorical(2.5),
        lambda: heads.Categorical(True),
        lambda: heads.Categorical(2**24 + 1),
        lambda: heads.NormalMixture(0),
        lambda: heads.NormalMixture(2, min_scale=0.0),
        lambda: heads.LaplaceMixture(2, min_scale=NAN),
        lambda: heads.DiscretizedLogisticMixture(1, 2**24, 2**24 + 1, 1),
        lambda: heads.DiscretizedLogisticMixture(1, -(2**23), 1, 1),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ValueError, match="Expected"):
        make()


def test_a_class_or_something_else_for_a_head_is_refused_with_a_hint():
    with pytest.raises(ValueError, match=r"received the class Bernoulli\. Make a head of it: `Bernoulli\(\.\.\.\)`"):
        heads.check_head(heads.Bernoulli)
    with pytest.raises(ValueError, match=r"tfar\.heads\.Head; received 'bernoulli'"):
        heads.check_head("bernoulli")
    head = heads.Bernoulli()
    assert heads.check_head(head) is head


def test_heads_without_units_have_nothing_to_adapt():
    assert not heads.NormalMixture(1).awaits_data
    with pytest.raises(ValueError, match="head with units, such as Standardized; received NormalMixture"):
        heads.NormalMixture(1).adapt([1.0])


def test_several_channels_have_no_distribution_function():
    head = heads.DiscretizedLogisticMixture(1, 0, 3, 2)
    params, x = tf.zeros([1, head.params_size]), [[1.0, 2.0]]
    calls = [
        lambda: head.cdf(params, x),
        lambda: head.interval_prob(params, x, x),
        lambda: head.distribution(params).quantile(0.5),
        lambda: head.distribution(params).cdf(x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"decides 2 channels together.*Use a head of one channel"):
            call()
    assert head.distribution(params).mean().shape == (1, 2)
    with pytest.raises(ValueError, match=r"256\*\*3"):
        heads.DiscretizedLogisticMixture(1).distribution(tf.zeros([1, 10])).mean()
