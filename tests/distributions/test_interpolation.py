"""Events on the line between the latents of two events, of models of bits, images and texts."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.latent_models import EVENTS, binary, gaussian
from tests.registry import randomize


@pytest.fixture(scope="module")
def dist():
    return randomize(tfar.SentenceVAE(5, 4, 2, units=3, embedding_dim=2, jit_compile=False), scale=0.9)


FIRST, SECOND = np.array([[3.0, 1, 0, 0], [1, 1, 1, 1]]), np.array([[2.0, 4, 4, 1], [0, 0, 0, 0]])


def test_a_line_has_draws_of_the_same_noise_at_even_distances(dist):
    means = [np.asarray(dist.evaluate(x)["latent_mean"]) for x in (FIRST, SECOND)]
    found = dist.interpolate(FIRST, SECOND, num_steps=5, seed=3)
    assert found.shape == (5, 2, 4)
    for step, share in enumerate([0.0, 0.25, 0.5, 0.75, 1.0]):
        latent = (1.0 - share) * means[0] + share * means[1]
        np.testing.assert_array_equal(found[step], dist.decode(latent.astype(np.float32)).sample(seed=3))
    np.testing.assert_array_equal(dist.interpolate(FIRST, FIRST, num_steps=3, seed=3), np.stack([found[0]] * 3))


def test_near_the_temperature_0_each_word_is_the_most_probable_one(dist):
    found = dist.interpolate(FIRST, SECOND, 2, seed=1, temperature=1e-4)
    np.testing.assert_array_equal(found, dist.interpolate(FIRST, SECOND, 2, seed=2, temperature=1e-4))
    latent = dist.evaluate(FIRST)["latent_mean"]
    scores = dist.decoder.law.site_log_probs
    right = np.asarray(scores(tf.constant(found[0]), latent))[:, 0]
    for word in range(5):
        other = np.where(np.arange(4) == 0, word, 0.0).astype(np.float32)
        assert np.all(right >= np.asarray(scores(tf.constant([other, other]), latent))[:, 0])


@pytest.mark.slow(ci=True)
def test_the_line_of_two_levels_of_latents_is_between_the_lower_ones():
    sizes = {"filters": 4, "num_blocks": 1, "encoder_filters": [3, 3], "condition": "upsample", "jit_compile": False}
    two = randomize(tfar.PixelVAE([4, 4], 2, num_levels=2, map_channels=2, **sizes), scale=0.3)
    x = np.random.default_rng(0).integers(2, size=(2, 4, 4)).astype(np.float32)
    latent = np.reshape(two.evaluate(x)["latent_mean"][:, :-2], [2, 2, 2, 2])
    np.testing.assert_array_equal(two.interpolate(x, x, 2, seed=1)[0], two.decode(latent).sample(seed=1))


def test_what_has_no_line_is_refused(dist):
    with pytest.raises(ValueError, match="Expected real latents"):
        binary().interpolate(EVENTS[0], EVENTS[1])
    with pytest.raises(ValueError, match="`num_steps`"):
        dist.interpolate(FIRST, SECOND, 1)
    with pytest.raises(ValueError, match="temperature"):
        dist.interpolate(FIRST, SECOND, temperature=0.0)
    with pytest.raises(ValueError, match="row 1, site 0"):
        dist.interpolate(FIRST, np.array([[2.0, 4, 4, 1], [5, 0, 0, 0]]), 2)
    assert gaussian().interpolate(EVENTS[0], EVENTS[1], 2, seed=1).shape == (2, 3)
