"""PixelVAE against its equations, and what its constructor and its steps do."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_latent_models
from tests.latent_cases import pixel_vae
from tests.parameters import few_by_default
from tests.reference import pixel_vae as reference
from tests.reference.oracles.parts import weights_of
from tests.registry import randomize
from tfar.laws import AutoregressiveLaw

SIZES = {"filters": 4, "num_blocks": 1, "first_kernel_size": 3, "kernel_size": 3, "encoder_filters": [3, 5]}


def make(event_shape=(5, 4), latent_dim=2, **kwargs):
    dist = tfar.PixelVAE(event_shape, latent_dim, **{**SIZES, "jit_compile": False, **kwargs})
    return randomize(dist, scale=0.3, positive_biases=True)


def pairs(network):
    """Kernels and biases of the layers of a Keras network, in their order."""
    values = [np.asarray(v, np.float64) for v in network.weights]
    return list(zip(values[::2], values[1::2], strict=True))


def decoder_weights(dist):
    """The weights of the decoder by the names of the reference."""
    found = weights_of(dist.decoder.network)
    found = {name.removesuffix("/v") + "/kernel" * name.endswith("/v"): v for name, v in found.items()}
    return {name: v[0, 0] if name.startswith("link") and v.ndim == 4 else v for name, v in found.items()}


CASES = few_by_default([{"condition": "bias"}, {"condition": "upsample"}, {"event_shape": (3, 4, 2)}])


@pytest.mark.parametrize("arguments", CASES)
def test_the_terms_of_the_bound_are_those_of_the_paper(arguments):
    dist = make(**arguments)
    shape = tuple(dist.event_shape)
    x = np.random.default_rng(0).integers(2, size=(2, *shape)).astype(np.float32)
    seeds = tfar.random.row_seeds(3, 2)
    z, found = np.asarray(dist.law.encode(seeds, tf.constant(x)), np.float64), dist.evaluate(x, seed=3)
    for row, image in enumerate(x.astype(np.float64).reshape(2, *shape[:2], -1)):
        loc, scale = reference.encoded(image, pairs(dist.encoder.network.network))
        latent = z[row]
        if dist.parameters["condition"] == "upsample":
            sizes = [tfar.networks.latent_images.halved(shape[:2], times) for times in (2, 1, 0)]
            network = dist.decoder.network.condition_network
            latent = reference.enlarged(latent, pairs(network), sizes)
            np.testing.assert_allclose(network(z[row : row + 1])[0], latent, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["latent_mean"][row], loc, rtol=1e-4, atol=1e-5)
        likelihood = reference.log_likelihood(decoder_weights(dist), image, latent)
        np.testing.assert_allclose(found["reconstruction"][row], -likelihood, rtol=1e-4)
        np.testing.assert_allclose(found["kl"][row], reference.divergence(z[row], loc, scale), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("condition", few_by_default(["bias", "upsample"]))
def test_every_gate_and_every_output_layer_depends_on_the_latent(condition):
    dist = make(condition=condition)
    x, z = tf.constant(np.ones([1, 5, 4], np.float32)), tf.constant([[0.4, -0.3]])
    layers = [*dist.decoder.network.condition["condition"], *dist.decoder.network.of_outputs.get("condition", [])]
    assert len(layers) == 2 + 2 * (condition == "bias")
    right = dist.decoder.law.log_prob(x, z)
    for layer in layers:
        kernel = layer.kernel.numpy()
        layer.kernel.assign(0.0 * kernel)
        assert abs(float((dist.decoder.law.log_prob(x, z) - right)[0])) > 1e-4, layer.name
        layer.kernel.assign(kernel)


@pytest.mark.parametrize("condition", few_by_default(["bias", "upsample"]))
def test_a_sample_computes_what_depends_on_the_latent_alone_once(condition):
    """In steps, a vector is projected at the start; of a map, each row is projected when the row starts."""
    network = make(condition=condition).decoder.network
    calls, right = [], keras.layers.Layer.__call__

    def counted(layer, *args, **kwargs):
        calls.append(layer)
        return right(layer, *args, **kwargs)

    with mock.patch.object(keras.layers.Layer, "__call__", counted):
        state = network.start(2, tf.ones([2, 2]))
        at_start, weights = len(calls), network.step_weights()
        previous = tf.zeros([2, 1])
        state = network.start_stage(0, state, tf.constant(0), previous, weights)
        of_row = [layer for layer in calls[at_start:] if isinstance(layer, keras.layers.Dense)]
        count = len(calls)
        for site in range(3):
            _, state = network.step(state, tf.constant(site), previous, weights)
    assert at_start > 0 and len(calls) == count
    assert len(of_row) == (0 if condition == "bias" else 2)


def test_the_first_steps_do_not_blow_up_the_map_of_the_latent():
    """They lower the probability of all pixels alike. A map that grew with it would saturate the gates, whatever the image is."""
    sizes = {**SIZES, "filters": 8, "encoder_filters": [32, 64], "kl_annealing_steps": 1000}
    dist = tfar.PixelVAE([8, 8], 4, **sizes, condition="upsample", jit_compile=False)
    model = tfar.training.DensityModel(dist, seed=0)
    model.compile(keras.optimizers.Adam(2e-3), jit_compile=False)
    model.fit(tfar.data.load("digits").arrays("train")[:640], batch_size=16, verbose=0)
    latents = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    assert np.abs(dist.decoder.network.condition_network(latents)).max() < 8.0


# Two levels ----------------------------------------------------------------------------------------------------------

TINY = pixel_vae("two-levels", seed=4, num_levels=2, map_channels=1, condition="upsample", encoder_filters=[3, 3])


@pytest.mark.slow(ci=True)
def test_two_levels_against_quadrature_over_both():
    test_latent_models.test_samples_follow_the_enumerated_marginal(TINY)
    test_latent_models.test_bounds_rise_to_the_log_probability(TINY)


@pytest.mark.slow(ci=True)
def test_the_training_loss_of_two_levels_weights_both_terms():
    """At the full weight it is the negative bound of both levels in expectation, and every variable gets a gradient."""
    dist = make((6, 6), num_levels=2, map_channels=2, condition="upsample", kl_annealing_steps=10)
    assert dist.latent_shape == (3, 3, 2) and dist.num_latents == 18 + 2
    x = tf.constant(np.random.default_rng(0).integers(2, size=[1, 6, 6]).repeat(400, axis=0), tf.float32)
    with tf.GradientTape() as tape:
        loss = dist.training_loss(x, seed=1, step=10)
    gradients = tape.gradient(loss, dist.trainable_variables)
    assert all(gradient is not None and np.any(gradient) for gradient in gradients)
    found = dist.evaluate(x, seed=2)
    error = np.hypot(np.std(loss), np.std(found["elbo"])) / 20.0
    assert abs(np.mean(loss) + np.mean(found["elbo"])) < 5.0 * error
    early = np.mean(dist.training_loss(x, seed=1, step=0))
    assert abs(early - np.mean(found["reconstruction"]) - 0.1 * np.mean(found["kl"])) < 5.0 * error


@pytest.mark.slow(ci=True)
def test_the_levels_draw_from_independent_noise():
    dist = make((6, 6), num_levels=2, map_channels=2, condition="upsample")
    seeds, drawn, right = tfar.random.row_seeds(1, 500), [], AutoregressiveLaw.uniform_noise

    def recorded(law, *args, **kwargs):
        drawn.append(right(law, *args, **kwargs))
        return drawn[-1]

    # The map and the vector of latents; with a sample also the image.
    calls = {20: lambda: dist.law.elbo(seeds, tf.zeros([500, 6, 6])), 56: lambda: dist.law.sample(seeds)}
    for size, call in calls.items():
        drawn.clear()
        with mock.patch.object(AutoregressiveLaw, "uniform_noise", recorded):
            call()
        noise = np.concatenate([np.reshape(part, [500, -1]) for part in drawn], axis=1)
        assert noise.shape[1] == size
        assert np.abs(np.corrcoef(noise.T) - np.eye(size)).max() < 0.25


# The constructor -----------------------------------------------------------------------------------------------------


def test_the_weight_of_the_kl_term_is_never_zero():
    dist = make(kl_annealing_steps=100)
    weights = [float(dist.law.kl_weight_at(step)) for step in (0, 50, 100, 1000)]
    np.testing.assert_allclose(weights, [0.01, 0.505, 1.0, 1.0], rtol=1e-5)
    assert float(make(kl_annealing_steps=1).law.kl_weight_at(0)) == 1.0


def test_initial_weights_are_a_function_of_the_seed():
    first, second, other = (tfar.PixelVAE([4, 4], 2, **SIZES, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [np.ravel(v) for v in first.trainable_variables if v.shape.rank > 1]
    assert not any(np.array_equal(a, b) for i, a in enumerate(kernels) for b in kernels[:i])
    assert not np.array_equal(first.trainable_variables[0], other.trainable_variables[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"condition": "concatenate"}, "`condition` to be one of"),
        ({"latent_dim": 0}, "`latent_dim`"),
        ({"event_shape": (4,)}, r"\[H, W\]"),
        ({"encoder_filters": []}, "`encoder_filters`"),
        ({"kl_annealing_steps": 0}, "`kl_annealing_steps`"),
        ({"event_shape": (2, 2, 3)}, "multiple of 3"),
        ({"seed": -1}, "`seed`"),
        ({"num_levels": 3}, "`num_levels`"),
        ({"num_levels": 2}, "condition='upsample'"),
        ({"num_levels": 2, "condition": "upsample", "encoder_filters": [3]}, "at least 2 stages"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
