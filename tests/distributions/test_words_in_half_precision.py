"""The numbers of words under the mixed policies of Keras, where half precision would round them: bfloat16 from 256 on."""

import keras
import numpy as np
import pytest

import tfar

MODELS = {
    "DocNADE": lambda: tfar.DocNADE(3000, 4, max_length=3, jit_compile=False),
    "RecurrentLanguageModel": lambda: tfar.RecurrentLanguageModel(3000, 3, 4, embedding_dim=3, jit_compile=False),
    "SentenceVAE": lambda: tfar.SentenceVAE(3000, 3, 2, units=4, embedding_dim=3, jit_compile=False),
}


@pytest.fixture
def half():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("model", MODELS)
def test_a_word_is_read_as_it_is(model, half):
    """Texts that differ in their first word, the second of which rounds to the first, differ in the words after it."""
    dist = MODELS[model]()
    x = np.array([[2048, 5, 7], [2049, 5, 7]], np.float32)
    for variable in dist.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(0.0, 0.5, variable.shape))
    decoder = dist.decoder if dist.num_latents else dist
    latent = {"conditional_input": np.zeros([2, 2], np.float32)} if dist.num_latents else {}
    after = np.asarray(decoder.site_log_probs(x, **latent))[:, 1:]
    assert np.abs(after[0] - after[1]).max() > 1e-3
    if dist.num_latents:
        moments = np.asarray(dist.evaluate(x)["latent_mean"])
        assert np.abs(moments[0] - moments[1]).max() > 1e-3


def test_a_classifier_reads_a_word_as_it_is(half):
    encoder = tfar.layers.TextEncoder(3000, 4, 3)
    found = np.asarray(encoder(np.array([[2048, 5], [2049, 5]], np.float32)))
    assert np.abs(found[0] - found[1]).max() > 1e-4
