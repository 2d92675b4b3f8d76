"""Heads and models at another temperature: against powers of densities, summed or integrated."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfar
from tests.registry import randomize
from tfar import heads, testing
from tfar.heads.tempered import Tempered

RNG = np.random.default_rng(0)
TEMPERATURES = pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])


@TEMPERATURES
@pytest.mark.parametrize("head", [heads.Bernoulli(), heads.Categorical(5)], ids=["bernoulli", "categorical"])
def test_probabilities_are_the_normalised_power(head, temperature):
    params = RNG.normal(0, 3, (40, head.params_size)).astype(np.float32)
    power = np.asarray(head.probs(params), np.float64) ** (1.0 / temperature)
    tempered = Tempered(head, temperature)
    np.testing.assert_allclose(tempered.probs(params), power / power.sum(-1, keepdims=True), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        tempered.log_prob(params, np.ones(40)), np.log(power[:, 1] / power.sum(-1)), rtol=1e-4, atol=1e-5
    )


@TEMPERATURES
@pytest.mark.parametrize("head", [heads.NormalMixture(1), heads.LaplaceMixture(1)], ids=["normal", "laplace"])
def test_the_density_of_one_component_is_the_normalised_power(head, temperature):
    x = np.linspace(-200, 200, 400_001, dtype=np.float64)
    params = np.float32([[0.7, 1.5, 2.0]])
    power = np.exp(np.asarray(head.log_prob(params, x), np.float64) / temperature)
    near = np.abs(x - 1.5) < 5.0
    expected = np.log(power[near] / np.trapezoid(power, x))
    found = Tempered(head, temperature).log_prob(params, x[near])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@TEMPERATURES
def test_the_weights_of_components_are_taken_to_the_power(temperature):
    head = heads.NormalMixture(3)
    params = RNG.normal(0, 1, (20, 9)).astype(np.float32)
    logits, loc, scale = (np.asarray(part, np.float64) for part in head.components(tf.constant(params)))
    oracle = tfp.distributions.MixtureSameFamily(
        tfp.distributions.Categorical(logits / temperature), tfp.distributions.Normal(loc, scale * temperature**0.5)
    )
    x = RNG.normal(0, 2, 20)
    np.testing.assert_allclose(
        Tempered(head, temperature).log_prob(params, x), oracle.log_prob(x), rtol=1e-3, atol=1e-4
    )


@TEMPERATURES
def test_units_and_heads_of_sites_stay(temperature):
    mixture = heads.LaplaceMixture(2)
    params = RNG.normal(0, 1, (20, 6)).astype(np.float32)
    z = RNG.normal(0, 2, 20).astype(np.float32)
    expected = Tempered(mixture, temperature).log_prob(params, z)
    units = heads.Standardized(mixture, loc=3.0, scale=20.0)
    found = Tempered(units, temperature).log_prob(params, 3.0 + 20.0 * z)
    np.testing.assert_allclose(found, expected - np.log(20.0), rtol=1e-4, atol=1e-4)
    columns = heads.PerSite([heads.Bernoulli(), mixture])
    found = Tempered(columns, temperature).log_prob(params, z, np.ones(20, int))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@TEMPERATURES
def test_logistics_keep_their_coupling_and_sum_to_one(temperature):
    head = heads.DiscretizedLogisticMixture(num_components=2, high=4, num_channels=2, companding=10)
    params = tf.constant(RNG.normal(0, 2, (10, head.params_size)), tf.float32)
    before, after = head.components(params), head.components(head.tempered(params, temperature))
    np.testing.assert_allclose(after.logits, before.logits / temperature, rtol=1e-6)
    np.testing.assert_array_equal(after.loc, before.loc)
    np.testing.assert_allclose(after.scale, np.maximum(before.scale * temperature, float(np.exp(-7.0))), rtol=1e-4)
    np.testing.assert_array_equal(after.coefficients, before.coefficients)
    np.testing.assert_allclose(tf.reduce_sum(Tempered(head, temperature).probs(params), -1), 1.0, atol=1e-5)


def test_the_smallest_scale_is_never_passed():
    head = heads.NormalMixture(1, min_scale=0.1)
    _, _, scale = head.components(head.tempered(tf.constant([[0.0, 0.0, -5.0]]), 1e-6))
    np.testing.assert_allclose(scale, 0.1, rtol=1e-5)


def test_numbers_of_numpy_are_numbers():
    dist = tfar.MADE([2], [4], head=heads.Categorical(3), jit_compile=False)
    sharp = dist.with_temperature(np.float32(0.5)).with_top_p(np.float32(0.5)).with_top_k(np.int64(2))
    assert (sharp.temperature, sharp.top_p, sharp.top_k) == (0.5, 0.5, 2)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan, True, "cold", None])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="Expected `temperature` to be a positive number"):
        tfar.MADE([2], [4], jit_compile=False).with_temperature(temperature)


def test_a_head_without_temperature_is_refused():
    class Own(heads.Bernoulli):
        _tempered = heads.Head._tempered

    with pytest.raises(ValueError, match="a head that defines `tempered`; Own does not"):
        tfar.MADE([2], [4], head=Own(), jit_compile=False).with_temperature(0.5)


@pytest.mark.parametrize(
    "wrap",
    [heads.Standardized, lambda head: heads.PerSite([heads.Bernoulli(), head]), lambda head: heads.Atoms([0.0], head)],
)
def test_a_head_around_one_without_temperature_is_refused(wrap):
    head = wrap(heads.GaussianScaleMixture(2, 2, 2, num_inputs=3))
    with pytest.raises(ValueError, match="a head that defines `tempered`; GaussianScaleMixture does not"):
        tfar.MADE([2], [4], head=head, jit_compile=False).with_temperature(0.5)


# Models --------------------------------------------------------------------------------------------------------------

MODELS = {
    "MADE-orders": lambda: tfar.MADE(
        [4], [16], head=heads.Categorical(3), order="random", num_masks=2, seed=1, jit_compile=False
    ),
    "RNADE": lambda: tfar.RNADE([2], 8, head=heads.NormalMixture(2), loc=0.0, seed=1, jit_compile=False),
    "PixelCNNPlusPlus": lambda: tfar.PixelCNNPlusPlus(
        [2, 2, 1], num_blocks=1, num_levels=1, filters=4, num_components=2, high=3, jit_compile=False
    ),
}


@pytest.mark.parametrize(
    "name",
    ["MADE-orders", *[pytest.param(name, marks=pytest.mark.slow(ci=True)) for name in ("RNADE", "PixelCNNPlusPlus")]],
)
def test_a_tempered_model_is_a_density_that_its_samples_follow(name):
    dist = randomize(MODELS[name]()).with_temperature(0.5)
    assert dist.temperature == 0.5
    testing.check_normalized(dist)
    testing.check_samples(dist, num_samples=4000, seed=3)
    testing.check_samplers_agree(dist, num_samples=50, seed=4)


def test_its_conditionals_are_the_powers_of_the_models():
    dist = randomize(tfar.MADE([4], [16], head=heads.Categorical(3), jit_compile=False))
    x = RNG.integers(3, size=(20, 4)).astype(np.float32)
    power = np.asarray(dist.head.probs(dist.network(x)), np.float64) ** 2
    chosen = np.take_along_axis(power, x.astype(int)[..., None], -1)[..., 0]
    expected = np.log(chosen / power.sum(-1))
    cold = dist.with_temperature(0.5)
    np.testing.assert_allclose(cold.site_log_probs(x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cold.log_prob(x), expected.sum(-1), rtol=1e-4, atol=1e-4)
    assert cold.network is dist.network and cold.head is dist.head
    np.testing.assert_allclose(cold.with_temperature(1.0).log_prob(x), dist.log_prob(x), rtol=1e-6)


def test_copies_keep_the_temperature():
    dist = tfar.OrderlessNADE([4], [8], conditional_shape=[2], jit_compile=False).with_temperature(0.5)
    copies = [
        dist.with_order("reverse"),
        dist.with_orders(3),
        dist.given(np.zeros(2, np.float32)),
        dist.copy(name="cold"),
    ]
    assert [copied.temperature for copied in copies] == [0.5] * 4


@pytest.mark.parametrize("head", [heads.Categorical(4), heads.LaplaceMixture(2)], ids=["categorical", "laplaces"])
def test_everything_else_is_that_of_tempered_parameters(head):
    params = RNG.normal(0, 1, (20, head.params_size)).astype(np.float32)
    tempered, cold = Tempered(head, 0.5), head.tempered(params, 0.5)
    x, uniform = head.sample(cold, np.full((20, head.noise_size), 0.7)), np.full((20, head.noise_size), 0.3)
    np.testing.assert_array_equal(tempered.sample(params, np.full((20, head.noise_size), 0.7)), x)
    np.testing.assert_array_equal(tempered.noise(params, x, uniform), head.noise(cold, x, uniform))
    np.testing.assert_array_equal(tempered.cdf(params, x), head.cdf(cold, x))
    np.testing.assert_array_equal(tempered.interval_prob(params, x, x + 1.0), head.interval_prob(cold, x, x + 1.0))
    np.testing.assert_array_equal(tempered.training_log_prob(params, x), head.log_prob(cold, x))
    found, expected = tempered.distribution(params), head.distribution(cold)
    for method in ("mean", "variance", "entropy", "mode"):
        np.testing.assert_array_equal(getattr(found, method)(), getattr(expected, method)())
    np.testing.assert_array_equal(found.quantile(0.3), expected.quantile(0.3))
