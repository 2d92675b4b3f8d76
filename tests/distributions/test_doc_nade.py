"""DocNADE: what the probability of a document is, by enumeration; vectors, perplexities, orders, and what it refuses."""

import itertools
import math
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.reference import doc_nade
from tests.reference.oracles.parts import weights_of
from tests.reference.oracles.text import of_order
from tests.registry import randomize
from tfar.laws.text import TextLaw
from tfar.networks import DocNADENetwork
from tfar.testing import support

SMALL = {"hidden_units": 4, "jit_compile": False}
IN_CI = pytest.mark.slow(ci=True)
NUM_ROWS, NUM_ORDERS = 1000, 6


def given(**kwargs):
    return randomize(tfar.DocNADE(3, **{**SMALL, **kwargs}), scale=1.0)


def ending(max_length=3, **kwargs):
    return given(length="eos", max_length=max_length, **kwargs)


def documents(num_words, vocabulary=3):
    return np.array(list(itertools.product(range(vocabulary), repeat=num_words)), np.float32)


def padded(x, length):
    """Documents with values that are no words behind them, and which entries are words."""
    padding = np.full([len(x), length - x.shape[1]], 99.0, np.float32)
    return np.concatenate([x, padding], axis=1), np.arange(length) < x.shape[1]


# The probability of a document ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_length", "num_words"), few_by_default([(None, 3), (4, 3), (None, 1)]))
def test_given_the_number_of_words_the_documents_sum_to_one(max_length, num_words):
    x, observed = padded(documents(num_words), 4)
    total = tf.reduce_sum(given(max_length=max_length).prob(x, observed=observed))
    assert float(total) == pytest.approx(1.0, abs=1e-5)


@IN_CI
def test_documents_that_end_sum_to_one_over_all_numbers_of_words():
    dist, total, count = ending(), 0.0, 0
    for number in range(4):
        words = [x for x in documents(number) if (x > 0).all()]
        rows = np.zeros([len(words), 3], np.float32)
        rows[:, :number] = np.reshape(words, [len(words), number])
        total, count = total + float(tf.reduce_sum(dist.prob(rows))), count + len(words)
    assert count == 1 + 2 + 4 + 8
    assert total == pytest.approx(1.0, abs=1e-5)


def test_a_document_that_fills_the_event_has_no_end():
    dist = ending(2)
    shares = np.asarray(dist.site_log_probs([[1.0, 2.0], [1.0, 0.0], [0.0, 0.0]]))
    assert (shares[:2] < 0.0).all()
    assert shares[2, 1] == 0.0, "what follows the end is certain"
    assert float(dist.log_prob([1.0, 0.0])) != float(ending(3).log_prob([1.0, 2.0, 0.0]))


@IN_CI
def test_a_word_after_the_end_is_refused_and_is_nan_in_a_graph():
    dist, x = ending(), np.float32([[1, 2, 0], [1, 0, 2], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"received 2\.0 at row 1, site 2, after the 0 that ends the sequence"):
        dist.log_prob(x)
    log_prob = tf.function(dist.log_prob, autograph=False)(tf.constant(x))
    np.testing.assert_array_equal(np.isnan(log_prob), [False, True, False])
    model = tfar.training.DensityModel(dist)
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match="row 1, site 2"):
        model.fit(x, verbose=0)


@IN_CI
@pytest.mark.parametrize("make", [given, ending])
def test_the_vector_of_a_bag_is_that_of_its_words(make):
    dist = make()
    words = np.float32([[2, 1, 2], [1, 1, 0], [2, 0, 0]])
    lengths = [3, 2, 1]
    observed = None if dist.network.ends else np.arange(3) < np.array(lengths)[:, None]
    counts = np.stack([np.bincount(row[:n].astype(int), minlength=3) for row, n in zip(words, lengths, strict=True)])
    np.testing.assert_allclose(dist.encode_bag(counts), dist.encode(words, observed=observed), rtol=1e-5)
    for wrong in ([0, 1.5, 0], [0, -1, 2], [0, np.inf, 0], [0, np.nan, 1]):
        with pytest.raises(ValueError, match="Expected `counts` to be whole numbers of at least 0"):
            dist.encode_bag(wrong)
    found = dist.law.encode_bag(tf.constant([[0.0, 0.5, 0.0], [0.0, 1.0, 0.0]]))
    assert np.isnan(found).all(axis=1).tolist() == [True, False]


def bags(num_words):
    return [
        np.bincount(np.array(c, int), minlength=3) for c in itertools.combinations_with_replacement(range(3), num_words)
    ]


def mean_over_orders(dist, words):
    """log of the mean probability over all orders, by the loops of the paper."""
    ends = dist.parameters["length"] == "eos"
    return np.log(np.mean([math.exp(of_order(dist, order)) for order in doc_nade.orders(words, ends)]))


def mean_over_draws(log_probs):
    """log of the mean over rows of estimates, each of its own orders."""
    return np.log(np.mean(np.exp(np.asarray(log_probs, np.float64)), axis=0))


@IN_CI
@pytest.mark.parametrize("make", [given, ending])
def test_a_bag_has_the_probability_of_all_its_orders(make):
    dist = make()
    counts = np.array([[0, 2, 1], [0, 0, 1], [0, 0, 0]] if make is ending else [[1, 2, 0], [0, 1, 0], [0, 0, 0]])
    found = mean_over_draws(dist.bag_log_prob(np.tile(counts, [NUM_ROWS, 1, 1]), NUM_ORDERS))
    for bag, one in zip(counts, found, strict=True):
        words = np.repeat(np.arange(3), bag).tolist()
        orders = {tuple(order) for order in itertools.permutations(words)}
        rest = [0] * (3 - len(words)) if make is ending else []
        expected = math.log(sum(math.exp(of_order(dist, [*order, *rest])) for order in orders))
        assert one == pytest.approx(expected, abs=0.03)


@IN_CI
@pytest.mark.parametrize("make", [given, ending])
def test_bags_sum_to_one(make):
    """Over bags of three words, or over those of at most three words that end."""
    ended = [bag for number in range(4) for bag in bags(number) if bag[0] == 0]
    counts = np.tile(ended if make is ending else bags(3), [NUM_ROWS, 1, 1])
    total = np.exp(mean_over_draws(make().bag_log_prob(counts, NUM_ORDERS))).sum()
    assert total == pytest.approx(1.0, abs=0.03)


@IN_CI
def test_documents_without_words_have_the_probability_one():
    for dist in (given(max_length=None), given(max_length=None, tree="balanced")):
        np.testing.assert_allclose(dist.bag_log_prob([0, 0, 0]), 0.0, atol=1e-6)  # a mean over orders in float32
        np.testing.assert_array_equal(dist.log_prob(np.zeros([2, 0])), [0.0, 0.0])
        np.testing.assert_array_equal(dist.perplexity(np.zeros([2, 0])), [1.0, 1.0])
        np.testing.assert_allclose(dist.encode(np.zeros([0])), dist.encode_bag([0, 0, 0]), rtol=1e-6)
    language_model = tfar.DocNADELanguageModel(3, 4, jit_compile=False)
    np.testing.assert_array_equal(language_model.log_prob(np.zeros([2, 0])), [0.0, 0.0])


@IN_CI
def test_orders_are_averaged_as_probabilities():
    """The mean of the logarithms is smaller, and so is that of the code of the paper."""
    dist, words = given(), [0, 1, 2, 2]
    own = [of_order(dist, order) for order in doc_nade.orders(words, False)]
    expected = mean_over_orders(dist, words)
    assert expected - np.mean(own) > 0.1, "the example must tell the two apart"
    found = dist.order_averaged_log_prob(np.tile(np.float32(words), [NUM_ROWS, 1]), NUM_ORDERS)
    assert mean_over_draws(found) == pytest.approx(expected, abs=0.03)


@IN_CI
def test_more_orders_only_append_orders():
    dist, x = given(), np.float32([[0, 1, 2, 1]])
    one, two = (np.exp(dist.order_averaged_log_prob(x, num_orders=k, seed=3)) for k in (1, 2))
    singles = {round(math.exp(of_order(dist, order)), 6) for order in doc_nade.orders([0, 1, 2, 1], False)}
    assert round(float(one[0]), 6) in singles
    assert round(float(2 * two[0] - one[0]), 6) in singles


@IN_CI
def test_training_takes_the_words_of_a_prefix_in_all_orders():
    """Padding is no part of the order, whatever its value."""
    dist, words = given(), [0, 1, 2]
    x, observed = padded(np.float32([words]), 5)
    rows = np.repeat(x, 3000, axis=0)
    losses = np.asarray(dist.training_loss(rows, observed=observed, seed=1), np.float64)
    own = [of_order(dist, list(order)) for order in itertools.permutations(words)]
    assert set(np.round(-losses, 3)) == set(np.round(own, 3))
    assert -losses.mean() == pytest.approx(np.mean(own), abs=5 * np.std(own) / 3000**0.5)


@IN_CI
def test_the_language_model_keeps_the_order_of_words_in_training():
    dist = randomize(tfar.DocNADELanguageModel(3, context_size=3, **SMALL))
    x = np.float32([[0, 1, 2, 2]] * 5)
    np.testing.assert_allclose(dist.training_loss(x, seed=1), -dist.log_prob(x), rtol=1e-5)


# Vectors and perplexities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "words", "rest"), [(given, [1, 2, 0], []), (ending, [1, 2], [0])])
def test_the_vector_of_a_document_is_of_all_its_words(make, words, rest):
    """In any order: the hidden units that would predict the next word."""
    dist = make()
    expected = doc_nade.hidden(weights_of(dist.network), words, [])
    for order in itertools.permutations(words):
        np.testing.assert_allclose(dist.encode(np.float32([*order, *rest])), expected, rtol=1e-5)
    if make is given:
        x, observed = padded(np.float32([words]), 5)
        np.testing.assert_allclose(dist.encode(x, observed=observed)[0], expected, rtol=1e-5)


def test_perplexity_is_that_of_a_word():
    dist = given()
    x, observed = padded(np.float32([[1, 2, 0]]), 5)
    expected = math.exp(-of_order(dist, [1, 2, 0]) / 3)
    assert float(dist.perplexity(x, observed=observed)[0]) == pytest.approx(expected, rel=1e-5)
    assert float(dist.perplexity(x, observed=np.zeros(5, bool))[0]) == 1.0


@IN_CI
def test_the_end_counts_as_a_word_of_the_perplexity():
    dist = ending(3)
    for x, count in (([1, 2, 0], 3), ([1, 2, 2], 3), ([1, 0, 0], 2), ([0, 0, 0], 1)):
        expected = math.exp(-of_order(dist, x) / count)
        assert float(dist.perplexity(np.float32(x))) == pytest.approx(expected, rel=1e-5)


@IN_CI
def test_long_documents_equal_the_loops():
    """Longer than the blocks of the sums."""
    dist = randomize(tfar.DocNADE(9, tree="balanced", **SMALL), scale=0.3)
    x = np.random.default_rng(0).integers(9, size=[2, 75])
    expected = [of_order(dist, row.tolist()) for row in x]
    np.testing.assert_allclose(dist.log_prob(x), expected, rtol=1e-5)


# Draws ---------------------------------------------------------------------------------------------------------------


@IN_CI
def test_a_document_is_continued_and_streamed():
    dist, beginning = given(), np.float32([[2, 1, 2]])
    drawn = dist.complete(np.pad(beginning, [[0, 0], [0, 4]]), np.arange(7) < 3, seed=1)
    np.testing.assert_array_equal(drawn[:, :3], beginning)
    stream = dist.stream(seed=1, prefix=beginning, chunk=2)
    np.testing.assert_array_equal(tf.concat([next(stream), next(stream)], axis=1), drawn[:, 3:])
    np.testing.assert_array_equal(dist.sample(2, seed=5, length=9)[:, :4], dist.sample(2, seed=5, length=4))


@IN_CI
def test_draws_stay_at_the_end():
    x = np.asarray(given(length="eos").sample(200, seed=1, length=8))
    ended = np.cumsum(x == 0, axis=1) > 0
    assert ended.any() and not ended.all() and (x[ended] == 0).all()


@IN_CI
def test_a_temperature_leaves_the_end_absorbing():
    dist = ending().with_temperature(2.0)
    assert float(tf.reduce_sum(tf.exp(support.log_probs(dist, support.enumerate_events(dist), None, 0)))) == (
        pytest.approx(1.0, abs=1e-5)
    )


# Planted faults ------------------------------------------------------------------------------------------------------


def fails(test, *arguments):
    with pytest.raises(AssertionError):
        test(*arguments)


@IN_CI
def test_a_vector_without_the_last_word_is_seen():
    right = DocNADENetwork.encode

    def wrong(self, words, known, conditional_input=None):
        last = tf.reduce_sum(tf.cast(known, tf.int32), axis=1, keepdims=True) - 1
        return right(self, words, tf.logical_and(known, tf.range(tf.shape(words)[1]) < last), conditional_input)

    with mock.patch.object(DocNADENetwork, "encode", wrong):
        fails(test_the_vector_of_a_document_is_of_all_its_words, given, [1, 2, 0], [])


@IN_CI
def test_a_mean_of_logarithms_is_seen():
    def wrong(self, seeds, x, observed=None, num_orders=1):
        own = [tfar.random.derived_seeds(seeds, k, tfar.random.Stream.ORDER) for k in range(num_orders)]
        orders = [self.network.random_orders(one, x, observed) for one in own]
        return (
            tf.add_n([self.log_prob(tf.gather(x, o, axis=1, batch_dims=1), None, observed) for o in orders])
            / num_orders
        )

    with mock.patch.object(TextLaw, "order_averaged_log_prob", wrong):
        fails(test_orders_are_averaged_as_probabilities)


@IN_CI
def test_words_in_the_order_of_the_vocabulary_are_seen():
    def wrong(self, seeds, x, observed=None):
        keys = x if observed is None else tf.where(observed, x, 1e3)
        return tf.argsort(keys, axis=1, stable=True)

    with mock.patch.object(DocNADENetwork, "random_orders", wrong):
        fails(test_training_takes_the_words_of_a_prefix_in_all_orders)
        fails(test_a_bag_has_the_probability_of_all_its_orders, given)


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tfar.DocNADE(3, 4, length="fixed"), "'given', 'eos'"),
        (lambda: tfar.DocNADE(3, 4, max_length=0), "`max_length`"),
        (lambda: tfar.DocNADE(1, 4), "`num_classes`"),
        (lambda: tfar.DocNADE(3, []), "`hidden_units`"),
        (lambda: tfar.DocNADELanguageModel(3, 4, context_size=1), "`context_size`"),
        (lambda: given().bag_log_prob([[1, -1, 0]]), r"received \[ 1. -1.  0.\] at row 0"),
        (lambda: given(max_length=2).bag_log_prob([[1, 1, 1]]), "at most 2 in all"),
        (lambda: ending().bag_log_prob([[1, 1, 0]]), "0 of word 0"),
        (lambda: given().bag_log_prob([[1, 1]]), "`counts` to have shape"),
        (lambda: given().order_averaged_log_prob([0.0, 1.0], num_orders=0), "`num_orders`"),
        (lambda: given().encode([0.0, 3.0]), "received 3.0 at row 0, site 1"),
        (lambda: given().perplexity([[0.0, 1.0]], observed=[[False, True]]), "completed from its beginning"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@IN_CI
def test_a_wrong_bag_is_nan_in_a_graph():
    found = tf.function(given(max_length=2).bag_log_prob, autograph=False)(tf.constant([[1.0, 1, 1], [1, 1, 0]]))
    np.testing.assert_array_equal(np.isnan(found), [True, False])
