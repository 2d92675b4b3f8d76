"""Recurrent models of texts: codes, perplexities, sources, documents of sentences, tied vectors of words, pretrained encoders."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.reference import hierarchical_autoencoder, lstm
from tests.reference.oracles.text import HIERARCHICAL_AUTOENCODER, before_end, part_of
from tests.registry import randomize
from tfar.layers import SentenceAttention

IN_CI = pytest.mark.slow(ci=True)
SMALL = {"units": 3, "embedding_dim": 2, "jit_compile": False}
TEXTS = np.float32([[2, 1, 3, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 1, 2]])
DOCUMENTS = np.float32([[[2, 1], [3, 0], [0, 0]], [[1, 1], [2, 2], [3, 3]], [[0, 0], [0, 0], [0, 0]]])


def language_model(max_length=5, **kwargs):
    return randomize(tfar.RecurrentLanguageModel(4, max_length, **{**SMALL, **kwargs}))


def autoencoder(**kwargs):
    return randomize(tfar.SequenceAutoencoder(4, 5, **{**SMALL, **kwargs}))


def hierarchical(max_words=2, **kwargs):
    sizes = {"max_sentences": 3, "max_words": max_words}
    return randomize(tfar.HierarchicalAutoencoder(4, **sizes, **{**SMALL, **kwargs}))


def code(weights, words):
    return lstm.code(lstm.read_words(weights, words, lstm.zeros(weights, "lstm/")))


# Codes and perplexities ----------------------------------------------------------------------------------------------


def test_the_code_of_a_text_is_the_state_after_its_last_word():
    dist, coder = language_model(num_layers=2), autoencoder(tie_encoder=False)
    for found, weights in ((dist, part_of(dist, "reader")), (coder, part_of(coder, "encoder"))):
        expected = [code(weights, before_end(text)) for text in TEXTS]
        np.testing.assert_allclose(found.encode(TEXTS), expected, rtol=1e-5, atol=1e-6)
    observed = np.arange(5) < 2
    expected = [code(part_of(dist, "reader"), before_end(text)[:2]) for text in TEXTS]
    np.testing.assert_allclose(dist.encode(TEXTS, observed=observed), expected, rtol=1e-5, atol=1e-6)


def test_a_text_without_words_has_the_probability_one_and_the_first_state():
    dist = language_model(max_length=None, length="given", num_layers=2)
    np.testing.assert_array_equal(dist.log_prob(np.zeros([2, 0])), [0.0, 0.0])
    np.testing.assert_array_equal(dist.perplexity(np.zeros([2, 0])), [1.0, 1.0])
    np.testing.assert_array_equal(dist.encode(np.zeros([2, 0])), np.zeros([2, 12]))


def test_the_code_of_a_document_is_the_state_after_its_last_sentence():
    dist = hierarchical()
    parts = {name: part_of(dist, name) for name in ("word_encoder", "sentence_encoder")}
    expected = [lstm.code(hierarchical_autoencoder.encode(parts, document)[1]) for document in DOCUMENTS.astype(int)]
    np.testing.assert_allclose(dist.encode(DOCUMENTS), expected, rtol=1e-5, atol=1e-6)


@IN_CI
def test_perplexity_counts_the_ends_of_texts_sentences_and_documents():
    dist, nested = language_model(), hierarchical()
    expected = np.exp(-np.asarray(dist.log_prob(TEXTS)) / [4, 2, 1, 5])
    np.testing.assert_allclose(dist.perplexity(TEXTS), expected, rtol=1e-5)
    given = {"conditional_input": DOCUMENTS[::-1]}
    # Two words; a word and its end; the end of the document. Six words without ends. The end of the document alone.
    expected = np.exp(-np.asarray(nested.log_prob(DOCUMENTS, **given)) / [5, 6, 1])
    np.testing.assert_allclose(nested.perplexity(DOCUMENTS, **given), expected, rtol=1e-5)


@IN_CI
def test_a_stream_is_the_sample_of_the_same_seed():
    dist = language_model(None, length="given")
    stream = dist.stream(seed=3, num_samples=2, chunk=4)
    both = tf.concat([next(stream), next(stream)], axis=1)
    np.testing.assert_array_equal(both, dist.sample(2, seed=3, length=8))


# Sources -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "x"), [(autoencoder, TEXTS), pytest.param(hierarchical, DOCUMENTS, marks=IN_CI)])
def test_training_and_evaluation_take_a_text_as_its_own_source(make, x):
    dist = make()
    expected = dist.log_prob(x, conditional_input=x)
    np.testing.assert_allclose(dist.reconstruction_log_prob(x), expected, rtol=1e-6)
    np.testing.assert_allclose(-dist.training_loss(x, seed=1), expected, rtol=1e-5)
    np.testing.assert_allclose(-dist.evaluate(x)["nll"], expected, rtol=1e-5)
    others = np.roll(x, 1, axis=0)
    other = dist.log_prob(x, conditional_input=others)
    assert np.abs(np.asarray(other - expected)).min() > 1e-4
    np.testing.assert_allclose(-dist.training_loss(x, others, seed=1), other, rtol=1e-5)
    bound = dist.given(x[0])
    np.testing.assert_allclose(-bound.training_loss(x, seed=1), bound.log_prob(x), rtol=1e-5)
    with pytest.raises(ValueError, match="Expected a `conditional_input`"):
        dist.log_prob(x)
    with pytest.raises(ValueError, match="Expected no `conditional_input`"):
        dist.encode(x, conditional_input=x)


@IN_CI
def test_fit_takes_texts_alone_or_with_sources():
    dist, x = autoencoder(), TEXTS
    model = tfar.training.DensityModel(dist)
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    before = float(tf.reduce_mean(dist.reconstruction_log_prob(x)))
    model.fit(x, epochs=5, verbose=0)
    assert float(tf.reduce_mean(dist.reconstruction_log_prob(x))) > before
    model.fit({"value": x[1:], "conditional_input": x[:-1]}, verbose=0)
    with pytest.raises(ValueError, match=r"Expected whole numbers from 0 to 3 in `conditional_input`.*row 1"):
        model.fit({"value": x, "conditional_input": np.where(np.arange(len(x)) == 1, 4.0, x.T).T}, verbose=0)


@pytest.mark.parametrize(
    ("make", "x", "row"), [(autoencoder, TEXTS, 0), pytest.param(hierarchical, DOCUMENTS, 2, marks=IN_CI)]
)
def test_what_follows_the_end_of_a_source_is_ignored(make, x, row):
    dist, source = make(), x.copy()
    source[row, -1] = 3.0
    expected = dist.log_prob(x, conditional_input=x)
    np.testing.assert_array_equal(dist.log_prob(x, conditional_input=source), expected)
    source[row, 0] = 1.0
    assert float(dist.log_prob(x, conditional_input=source)[row]) != pytest.approx(float(expected[row]), abs=1e-4)


@pytest.mark.parametrize("bad", few_by_default([4.0, -1.0, 0.5, np.nan]))
def test_a_source_of_other_numbers_than_words_is_refused_and_is_nan_in_a_graph(bad):
    dist, source = autoencoder(), TEXTS.copy()
    source[1, 0] = bad
    with pytest.raises(ValueError, match=r"in `conditional_input`; received .* row 1"):
        dist.log_prob(TEXTS, conditional_input=source)
    found = tf.function(dist.log_prob, autograph=False)(TEXTS, conditional_input=source)
    np.testing.assert_array_equal(np.isnan(found), [False, True, False, False])


# Documents of sentences ----------------------------------------------------------------------------------------------


def test_documents_of_several_sentences_equal_the_paper():
    """Given sources of several sentences, to which the decoder attends from the second sentence on."""
    dist, documents = hierarchical(), DOCUMENTS[[1, 1, 0]]
    sources = np.float32([[[3, 1], [2, 0], [1, 2]], [[3, 1], [2, 0], [0, 0]], [[1, 3], [3, 2], [2, 1]]])
    expected = [HIERARCHICAL_AUTOENCODER.log_prob(dist, *row) for row in zip(documents, sources, strict=True)]
    np.testing.assert_allclose(dist.log_prob(documents, conditional_input=sources), expected, rtol=1e-6)


def test_a_word_after_the_end_of_a_sentence_or_a_document_is_refused():
    dist = hierarchical()
    for place in ((0, 2, 1), (2, 1, 0)):
        wrong = DOCUMENTS.copy()
        wrong[place] = 1.0
        with pytest.raises(ValueError, match=f"row {place[0]}, site {2 * place[1] + place[2]}, after the 0"):
            dist.reconstruction_log_prob(wrong)


@IN_CI
def test_sentences_of_one_word():
    dist, rng = hierarchical(1), np.random.default_rng(0)
    documents = np.float32([[[2], [0], [0]], [[1], [3], [2]], [[0], [0], [0]]])
    sources = rng.integers(0, 4, documents.shape).astype(np.float32)
    expected = [HIERARCHICAL_AUTOENCODER.log_prob(dist, *row) for row in zip(documents, sources, strict=True)]
    np.testing.assert_allclose(dist.log_prob(documents, conditional_input=sources), expected, rtol=1e-5)
    tfar.testing.check_steps(dist)
    samples = dist.sample(200, seed=1, conditional_input=sources[0])
    naive = dist.sample(200, seed=1, conditional_input=sources[0], method="naive")
    np.testing.assert_array_equal(samples, naive)


def test_attention_survives_large_scores_and_rows_without_sentences():
    layer, vectors = SentenceAttention(2), tf.constant([[[1.0, 2.0], [3.0, 5.0]]])
    both, first, none = (tf.constant([own]) for own in ([True, True], [True, False], [False, False]))
    layer(vectors, tf.ones([1, 2]), both)
    layer.set_weights([np.eye(2) * 9, np.eye(2), np.full([2, 1], 500.0)])
    query = tf.constant([[-9.0, -9.0]])  # the first score is about -1000 + 1000 tanh(9), the second one 1000
    np.testing.assert_allclose(layer(vectors, query, both), [[3.0, 5.0]])
    np.testing.assert_allclose(layer(vectors, query, first), [[1.0, 2.0]])
    np.testing.assert_array_equal(layer(vectors, query, none), [[0.0, 0.0]])


# Weights -------------------------------------------------------------------------------------------------------------


@IN_CI
@pytest.mark.parametrize("make", [language_model, autoencoder])
def test_tied_vectors_of_words_are_the_output_kernel_in_copies_and_files_too(make, tmp_path):
    dist, given = make(tie_embeddings=True), {} if make is language_model else {"conditional_input": TEXTS}
    assert len(dist.trainable_variables) == len(make().trainable_variables), "a projection in place of a kernel"
    expected = dist.log_prob(TEXTS, **given)
    tfar.training.DensityModel(dist).save(tmp_path / "tied.keras")
    loaded = tfar.load(tmp_path / "tied.keras")
    np.testing.assert_allclose(loaded.log_prob(TEXTS, **given), expected, rtol=1e-5)
    for own in (loaded, dist.copy(jit_compile=False)):
        embeddings = own.network.reader.embeddings
        embeddings.assign(embeddings + tf.reshape(tf.range(8.0), [4, 2]))
        assert np.abs(np.asarray(own.log_prob([0.0] * 5, **{k: v[0] for k, v in given.items()}) - expected[2])) > 1e-3
    with pytest.raises(ValueError, match="Expected no tree"):
        make(tie_embeddings=True, tree="balanced")
    with pytest.raises(ValueError, match="Expected a head without weights"):
        dist.head.head.tie_kernel(lambda: None)


def vector_of(weights, words, pooling):
    """The last hidden state after the last word, or the mean of those after each word."""
    after = [lstm.read_words(weights, words[: n + 1], lstm.zeros(weights, "lstm/"))[-1][0] for n in range(len(words))]
    if not after:
        return lstm.zeros(weights, "lstm/")[-1][0]
    return after[-1] if pooling == "last" else np.mean(after, axis=0)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("make", [language_model, pytest.param(autoencoder, marks=IN_CI)])
def test_a_pretrained_encoder_has_a_copy_of_the_weights(make, pooling):
    dist = make(num_layers=2)
    encoder, weights = dist.pretrained_encoder(pooling), part_of(dist, "reader")
    expected = [vector_of(weights, before_end(text), pooling) for text in TEXTS]
    np.testing.assert_allclose(encoder(TEXTS), expected, rtol=1e-5, atol=1e-6)
    same = keras.layers.deserialize(keras.layers.serialize(encoder))
    same(TEXTS)
    same.set_weights(encoder.get_weights())
    np.testing.assert_allclose(same(TEXTS), expected, rtol=1e-5, atol=1e-6)
    encoder.reader.embeddings.assign(encoder.reader.embeddings + 1.0)
    again = dist.pretrained_encoder(pooling)(TEXTS)
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-6)
    masked = tfar.layers.TextEncoder.of(dist.network.reader, ends=False, pooling=pooling)
    np.testing.assert_allclose(masked(TEXTS, mask=TEXTS > 0), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(masked(TEXTS)[3], expected[3], rtol=1e-5, atol=1e-6)


def test_a_pooling_without_a_meaning_is_an_error():
    with pytest.raises(ValueError, match="Expected a `pooling` out of"):
        language_model().pretrained_encoder("max")


@IN_CI
def test_a_classifier_trains_the_encoder():
    encoder = language_model().pretrained_encoder()
    classifier = keras.Sequential([encoder, keras.layers.Dense(1, activation="sigmoid")])
    classifier.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    before = [np.asarray(v) for v in encoder.weights]
    labels = np.float32([1, 0, 0, 1])
    losses = classifier.fit(TEXTS, labels, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all((np.asarray(v) != old).any() for v, old in zip(encoder.weights, before, strict=True))


def test_what_the_constructors_refuse():
    for wrong in ({"length": "none"}, {"units": 0}, {"dropout_rate": 1.0}, {"num_layers": 0}, {"embedding_dim": 0}):
        with pytest.raises(ValueError, match="Expected"):
            language_model(**wrong)
    for wrong in ({"max_words": 0}, {"seed": -1}, {"dropout_rate": -0.1}):
        with pytest.raises(ValueError, match="Expected"):
            hierarchical(**wrong)
    with pytest.raises(ValueError, match="Expected a model without a condition"):
        language_model(conditional_shape=[2]).pretrained_encoder()
    with pytest.raises(ValueError, match="row_length"):
        tfar.heads.Absorbing(tfar.heads.Categorical(3), row_length=0)
