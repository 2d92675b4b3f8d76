"""SentenceVAE against its equations, and what training, dropped words and a decoder without words do."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.reference import sentence_vae as reference
from tests.reference.oracles.parts import weights_of
from tests.reference.oracles.text import before_end, recurrent_text
from tests.registry import randomize

SIZES = {"vocabulary_size": 5, "max_length": 4, "latent_dim": 2, "units": 3, "embedding_dim": 2}
TEXTS = np.array([[3, 1, 0, 0], [0, 0, 0, 0], [4, 2, 2, 1]], np.float32)


def make(**kwargs):
    return randomize(tfar.SentenceVAE(**{**SIZES, "jit_compile": False, **kwargs}), scale=0.8)


@pytest.fixture(scope="module")
def dropping():
    return make(word_keep_rate=0.3, dropout_rate=0.3, free_bits=5.0)


CASES = few_by_default([{}, {"word_keep_rate": 0.0, "num_layers": 2}, {"tie_embeddings": True, "tree": None}], count=1)


@pytest.mark.parametrize("arguments", CASES)
def test_the_terms_of_the_bound_are_those_of_the_paper(arguments):
    dist, seeds = make(**arguments), tfar.random.row_seeds(3, len(TEXTS))
    z, found = np.asarray(dist.law.encode(seeds, tf.constant(TEXTS)), np.float64), dist.evaluate(TEXTS, seed=3)
    encoder = {name.split("/", 1)[1]: w for name, w in weights_of(dist.encoder.network).items()}
    for row, words in enumerate(TEXTS):
        loc, scale = reference.encoded(encoder, before_end(words))
        np.testing.assert_allclose(found["latent_mean"][row], loc, rtol=1e-4, atol=1e-5)
        likelihood = recurrent_text(dist.decoder, words, z[row])
        np.testing.assert_allclose(found["reconstruction"][row], -likelihood, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["kl"][row], reference.divergence(z[row], loc, scale), rtol=1e-3, atol=1e-4)


def test_the_decoder_depends_on_the_latent_by_its_initial_state_and_at_every_word():
    """Of one text: without the one or the other, the log-probabilities of its first and its second word are others."""
    dist, z = make(), tf.constant([[0.7, -0.4]])
    x, network = tf.constant(TEXTS[2:]), dist.decoder.network
    right = np.asarray(dist.decoder.law.site_log_probs(x, z))[0]
    for kernel in (network.initial_state.kernel, network.reader.lstm.conditional_kernel):
        value = kernel.numpy()
        kernel.assign(0.0 * value)
        assert np.abs(np.asarray(dist.decoder.law.site_log_probs(x, z))[0] - right).min() > 1e-5
        kernel.assign(value)


# Training ------------------------------------------------------------------------------------------------------------


def test_words_and_units_are_dropped_in_training_alone(dropping):
    """The bound is that of a model with the same weights that drops nothing, and the training loss is not."""
    plain = make(free_bits=5.0)
    np.testing.assert_array_equal(*[dist.elbo(TEXTS, seed=1) for dist in (plain, dropping)])
    kept, dropped, again = (np.asarray(dist.training_loss(TEXTS, seed=1)) for dist in (plain, dropping, dropping))
    assert np.abs(dropped - kept)[[0, 2]].min() > 1e-2
    np.testing.assert_array_equal(dropped, again)


def test_a_word_is_read_with_the_keep_rate_in_training():
    """A text of two words has two losses: that of a second word after the first one, or after a vector of zeros."""
    dist = make(word_keep_rate=0.7, max_length=2)
    x, z = tf.constant([[3.0, 1.0]]), tf.constant([[0.5, -0.2]])
    kept = -float(dist.decoder.law.log_prob(x, z)[0])
    rows = 2000
    losses = np.asarray(
        dist.decoder.law.training_loss(tf.repeat(x, rows, 0), tf.repeat(z, rows, 0), tf.constant([0, 5]))
    )
    is_kept = np.abs(losses - kept) < 1e-5
    assert abs(is_kept.mean() - 0.7) < 5.0 * np.sqrt(0.7 * 0.3 / rows)
    assert np.ptp(losses[~is_kept]) < 1e-5 and abs(losses[~is_kept][0] - kept) > 1e-3


def test_without_words_the_words_are_independent_given_the_latent_and_the_end():
    dist, z = make(word_keep_rate=0.0), tf.constant([[0.5, -0.2]] * 2)
    x = tf.constant([[3.0, 1.0, 2.0, 0.0], [1.0, 4.0, 2.0, 0.0]])
    found = np.asarray(dist.decoder.law.site_log_probs(x, z))
    np.testing.assert_allclose(found[0, 2:], found[1, 2:], rtol=1e-6)
    assert not np.allclose(found[0, :2], found[1, :2])
    seeds = {"seed": 1, "step": 10_000}
    np.testing.assert_allclose(-dist.training_loss(TEXTS, **seeds), dist.elbo(TEXTS, seed=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"), [("linear", [0.01, 0.505, 1.0, 1.0]), ("logistic", [0.00669, 0.5, 0.99331, 1.0])]
)
def test_the_weight_of_the_kl_term_rises_to_one(kind, expected):
    dist = make(kl_annealing_steps=100, kl_annealing=kind)
    found = [float(dist.law.kl_weight_at(step)) for step in (0, 50, 100, 1000)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert float(make(kl_annealing_steps=1, kl_annealing=kind).law.kl_weight_at(0)) == 1.0


# Encodings -----------------------------------------------------------------------------------------------------------


def test_a_latent_depends_on_the_words_before_the_end_alone(dropping):
    """Rows whose end is followed by words are invalid as events, but not as conditions of the encoder."""
    dist = dropping
    padded = dist.encoder.law.conditional_params(tf.zeros([2, 2]), tf.constant([[3.0, 1, 0, 0], [3, 1, 0, 4]]))
    np.testing.assert_array_equal(padded[0], padded[1])
    other = dist.encoder.law.conditional_params(tf.zeros([1, 2]), tf.constant([[1.0, 3, 0, 0]]))
    assert np.abs(padded[0] - other[0]).min() > 1e-4


BAD = np.array([[3, 5, 0, 0], [3, -1, 0, 0], [3, 0, 1, 0], [1.5, 0, 0, 0], [np.nan, 0, 0, 0]], np.float32)


def test_a_row_that_is_no_text_is_nan_in_a_graph_and_refused_eagerly(dropping):
    x, right = (np.concatenate([TEXTS[:1], rows, TEXTS[2:]]) for rows in (BAD, np.repeat(TEXTS[1:2], len(BAD), 0)))
    losses = tf.function(lambda x: (dropping.elbo(x, seed=1), dropping.training_loss(x, seed=1)), autograph=False)
    for found, expected in zip(losses(x), losses(right), strict=True):
        assert np.isnan(found).tolist() == [False, *[True] * len(BAD), False]
        np.testing.assert_allclose(np.asarray(found)[[0, -1]], np.asarray(expected)[[0, -1]], rtol=1e-5)
    for row in BAD:
        with pytest.raises(ValueError, match="row 2, site"):
            dropping.elbo(np.concatenate([TEXTS[:2], [row]]), seed=1)


def test_the_encoder_refuses_values_that_are_no_words(dropping):
    with pytest.raises(ValueError, match="whole numbers from 0 to 4 in `conditional_input`"):
        dropping.encode([[3.0, 5.0, 0.0, 0.0]]).sample(seed=1)


def test_the_perplexity_counts_the_words_and_the_end(dropping):
    bound = np.asarray(dropping.importance_log_prob(TEXTS, 3, seed=1))
    found = dropping.perplexity(TEXTS[None], 3, seed=1)
    np.testing.assert_allclose(found, [np.exp(-bound / [3, 1, 4])], rtol=1e-5)


def test_initial_weights_are_a_function_of_the_seed():
    first, second, other = (tfar.SentenceVAE(**SIZES, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [np.ravel(v) for v in first.trainable_variables if v.shape.rank > 1]
    assert not any(np.array_equal(a, b) for i, a in enumerate(kernels) for b in kernels[:i])
    assert not np.array_equal(first.trainable_variables[0], other.trainable_variables[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 1}, "`num_classes`"),
        ({"max_length": None}, "`max_length`"),
        ({"latent_dim": 0}, "`latent_dim`"),
        ({"units": 0}, "`units`"),
        ({"word_keep_rate": 1.1}, r"`word_keep_rate` to be a number in \[0, 1\]; received 1.1"),
        ({"dropout_rate": 1.0}, "`dropout_rate`"),
        ({"free_bits": -1.0}, "`free_bits` to be a finite number"),
        ({"kl_annealing_steps": 0}, "`kl_annealing_steps`"),
        ({"kl_annealing": "sigmoid"}, "`kl_annealing` to be one of"),
        ({"tie_embeddings": True, "word_keep_rate": 0.0}, "reads no words has no vectors"),
        ({"tie_embeddings": True, "tree": "balanced"}, "no tree"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
