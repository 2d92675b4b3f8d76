"""What TensorFlow and TFP expect of a distribution: tapes, wrappers, vectorised maps, errors that say what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from enumeration import all_events, binary, mixture, spread

import tfar
from tests.parameters import few_by_default

tfd = tfp.distributions
EVENTS = all_events(4)
MODELS = {
    "MADE": lambda: tfar.MADE([4], [8]),
    "MADE with masks": lambda: tfar.MADE([4], [8], num_masks=2),
    "NADE": lambda: tfar.NADE([4], 5),
    "OrderlessNADE": lambda: tfar.OrderlessNADE([4], [6], num_orders=2),
    "PixelCNN": lambda: tfar.PixelCNN([2, 2], filters=4, num_blocks=1, first_kernel_size=3),
}


# Gradient tapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", few_by_default(MODELS))
def test_eager_tapes_see_log_prob_and_leave_draws_alone(name: str) -> None:
    """REINFORCE: the gradient of the log-probability of a draw, under one tape."""
    dist = spread(MODELS[name]())
    with tf.GradientTape() as tape:
        x = dist.sample(3, seed=1)
        completed = dist.complete(x, np.zeros(x.shape), seed=2)
        loss = tf.reduce_sum(dist.log_prob(tf.concat([x, completed], 0)))
    found = tape.gradient(loss, dist.trainable_variables)
    plain = dist.copy(jit_compile=False)
    with tf.GradientTape() as tape:
        expected = tf.reduce_sum(plain.log_prob(tf.concat([x, completed], 0)))
    expected = tape.gradient(expected, dist.trainable_variables)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(x, dist.sample(3, seed=1))


def test_draws_are_constants_to_a_tape() -> None:
    """Draws of continuous values are smooth functions of the weights, which would add to the gradient of REINFORCE."""
    dist = spread(mixture(), 0.3)
    latent = tfar.Factorized([1], tfar.heads.NormalMixture(1))
    network = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
    encoder = tfar.Factorized([1], tfar.heads.NormalMixture(1), network=network, conditional_shape=[2])
    decoder = tfar.MADE([2], [4], head=tfar.heads.NormalMixture(2), conditional_shape=[1])
    model = tfar.LatentVariable(latent, encoder, decoder, jit_compile=False)
    x = np.zeros([2, *dist.event_shape], np.float32)
    draws = (
        lambda: dist.sample(3, seed=1),
        lambda: dist.sample_fixed_point(3, seed=1)[0],
        lambda: dist.complete(x, np.zeros(x.shape, bool), seed=1),
        lambda: model.sample(3, seed=1),
    )
    for draw in draws:
        with tf.GradientTape() as tape:
            drawn = tf.reduce_sum(draw())
        assert not any(tf.is_tensor(g) for g in tape.gradient(drawn, [*dist.variables, *model.variables]))


# Wrappers -------------------------------------------------------------------------------------------------------------

WRAPPERS = {
    "Sample": lambda dist: tfd.Sample(dist, 3),
    "TransformedDistribution": lambda dist: tfd.TransformedDistribution(dist, tfp.bijectors.Shift(1.0)),
    "JointDistributionSequential": lambda dist: tfd.JointDistributionSequential([dist]),
    "Independent": lambda dist: tfd.Independent(dist, 0),
}


@pytest.mark.parametrize("name", few_by_default(WRAPPERS, count=2))
def test_wrappers_list_the_weights_and_train_them(name: str) -> None:
    dist = spread(mixture(), 0.3)
    wrapped = WRAPPERS[name](dist)
    assert {id(v) for v in wrapped.trainable_variables} == {id(v) for v in dist.trainable_variables}
    x = tf.stop_gradient(wrapped.sample(4, seed=1))
    optimizer, losses = tf_keras.optimizers.Adam(0.05), []
    for _ in range(10):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(wrapped.log_prob(x))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, wrapped.trainable_variables), wrapped.trainable_variables, strict=True)
        )
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.1


# Vectorised maps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", few_by_default(["MADE", "GatedPixelCNN"], count=0, in_ci=1))
def test_vectorized_map_of_sample_with_a_condition_in_xla(name: str) -> None:
    if name == "MADE":
        dist = spread(tfar.MADE([4], [8], conditional_shape=[2]))
    else:
        dist = spread(tfar.GatedPixelCNN([2, 2], 4, num_blocks=1, first_kernel_size=3, conditional_shape=[2]), 0.3)
    conditions = tf.constant(np.random.default_rng(0).normal(size=(3, 2)), tf.float32)

    def draw(condition: tf.Tensor) -> tf.Tensor:
        return dist.sample(2, seed=[0, 5], conditional_input=condition)

    found = tf.function(lambda c: tf.vectorized_map(draw, c), jit_compile=True)(conditions)
    np.testing.assert_array_equal(found, tf.stack([draw(condition) for condition in conditions]))


def test_nested_vectorized_maps() -> None:
    dist = spread(binary())
    x = tf.reshape(tf.constant(EVENTS), [4, 4, 4])
    found = tf.vectorized_map(lambda rows: tf.vectorized_map(dist.log_prob, rows), x)
    np.testing.assert_allclose(found, dist.log_prob(x), rtol=1e-5)


# Errors that say what to do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["entropy", "mean", "variance", "stddev", "covariance", "mode"])
def test_statistics_without_a_closed_form_say_how_to_estimate_them(name: str) -> None:
    with pytest.raises(NotImplementedError, match="sample"):
        getattr(binary(), name)()


def test_kl_divergence_says_how_to_estimate_it() -> None:
    normal = tfd.MultivariateNormalDiag(tf.zeros(3))
    for a, b in ((binary(), binary()), (mixture(), normal), (normal, mixture())):
        with pytest.raises(NotImplementedError, match=r"a.log_prob\(x\) - b.log_prob\(x\)"):
            tfd.kl_divergence(a, b)


@pytest.mark.parametrize("shape", [2.5, [1.5, 2], "two", True], ids=str)
def test_sample_shapes_that_are_no_whole_numbers_are_refused(shape) -> None:
    with pytest.raises(ValueError, match="Expected `sample_shape` to be whole numbers"):
        binary().sample(shape, seed=1)


def test_sample_shapes_of_a_graph_that_are_no_whole_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected `sample_shape` to be whole numbers"):
        tf.function(lambda n: binary().sample(n, seed=1))(tf.constant(2.5))


@pytest.mark.parametrize("count", [2.5, -1, 0, "two", True], ids=str)
def test_numbers_of_samples_that_are_no_whole_numbers_are_refused(count) -> None:
    with pytest.raises(ValueError, match="Expected `num_samples` to be an int"):
        binary().sample_fixed_point(count, seed=1)
    with pytest.raises(ValueError, match="Expected `num_samples` to be an int"):
        binary().complete(EVENTS[:2], [1, 0, 0, 0], count, seed=1)


def test_a_class_given_for_a_head_gets_a_hint() -> None:
    with pytest.raises(ValueError, match=r"Bernoulli\(\.\.\.\)"):
        tfar.MADE([4], [8], head=tfar.heads.Bernoulli)


def test_values_outside_of_bits_are_told_the_two_values() -> None:
    with pytest.raises(ValueError, match=r"\{0, 1\}"):
        binary().log_prob([0.0, 0.5, 0.0, 1.0])


def test_a_tf_keras_network_is_refused() -> None:
    network = tf_keras.Sequential([tf_keras.layers.Dense(4, input_shape=[4])])
    with pytest.raises(ValueError, match="Keras 3"):
        tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4])


@pytest.mark.parametrize("shape", [3.5, "wide", [2, -1], [[1]], {}, {1: [2]}, {"a": 0}], ids=str)
def test_conditional_shapes_that_are_none_are_value_errors(shape) -> None:
    with pytest.raises(ValueError, match="conditional_shape"):
        tfar.MADE([4], [8], conditional_shape=shape)


def test_heads_with_weights_are_built_trained_and_saved(tmp_path) -> None:
    network = tfar.layers.MaskedDense(4, range(1, 5), range(1, 5), strict=True)
    dist = tfar.Autoregressive(network, Shifted(), event_shape=[4], jit_compile=False)
    assert [v.shape.as_list() for v in dist.variables if v.shape == []] == [[]]
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(dist.log_prob(EVENTS[:3]))
    assert all(g is not None for g in tape.gradient(loss, dist.trainable_variables))
    spread(dist)
    tfar.training.DensityModel(dist).save(tmp_path / "head.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "head.keras").log_prob(EVENTS), dist.log_prob(EVENTS), rtol=1e-6)


@tfar.training.density_model.keras.saving.register_keras_serializable("tests")
class Shifted(tfar.heads.Bernoulli):
    """A Bernoulli head with a trainable shift of its logits."""

    def build(self, input_shape=None) -> None:
        self.shift = self.add_weight(name="shift", shape=(), initializer="zeros")
        self.built = True

    def _log_prob(self, params, x, site):
        return super()._log_prob(params + self.shift, x, site)

    def _sample(self, params, noise, site):
        return super()._sample(params + self.shift, noise, site)
