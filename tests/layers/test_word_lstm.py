"""LSTMs over vectors and words against loops: passes, gradients, steps, prefixes, encodings and dropout."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tests.reference import lstm
from tfar import random
from tfar.layers import StackedLSTM, TextEncoder, WordLSTM
from tfar.layers.sequence_scan import lstm_sequence

ROWS, LENGTH, WORDS, UNITS, SIZE = 3, 5, 7, 4, 3
CASES = {
    "plain": {},
    "decoder of two layers with a projection": {"num_layers": 2, "conditional_size": 2, "output_size": 5},
    "decoder that reads no words": {"num_layers": 2, "conditional_size": 2, "word_dropout_rate": 1.0},
}
LENGTHS = np.array([2, 5, 1])


def randomized(layer):
    layer.build((None, None, SIZE))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 0.7, variable.shape))
    return layer


@pytest.fixture(params=CASES.values(), ids=CASES)
def layer(request):
    return randomized(WordLSTM(WORDS, UNITS, SIZE, **request.param))


def weights_of(layer):
    found = {variable.path.split("/", 1)[1]: np.asarray(variable, np.float64) for variable in layer.weights}
    return found if layer.word_dropout_rate < 1.0 else lstm.without_words(found, WORDS)


def inputs_of(layer):
    """Words, an initial state as a code, and z if the layer reads one."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(ROWS, layer.conditional_size)).astype(np.float32) if layer.conditional_size else None
    code = rng.normal(size=(ROWS, layer.state_size)).astype(np.float32)
    return rng.integers(0, WORDS, (ROWS, LENGTH)), code, z


def expected(layer, words, code, z):
    rows = [None] * ROWS if z is None else z.astype(np.float64)
    weights = weights_of(layer)
    found = zip(words, code, rows, strict=True)
    return np.stack(
        [lstm.features(weights, row, lstm.states_of(own, layer.num_layers), given) for row, own, given in found]
    )


def test_the_pass_equals_the_loops(layer):
    words, code, z = inputs_of(layer)
    calls = [layer, tf.function(lambda *given: layer(*given), jit_compile=True)]
    for call in calls:
        found = call(tf.constant(words), layer.state_of(code), None if z is None else tf.constant(z))
        np.testing.assert_allclose(found, expected(layer, words, code, z), rtol=1e-5, atol=1e-5)
    if z is None:
        np.testing.assert_allclose(layer(words), expected(layer, words, 0.0 * code, z), rtol=1e-5, atol=1e-5)


def test_an_encoding_is_the_state_after_the_last_known_word_whatever_the_padding(layer):
    words, _, z = inputs_of(layer)
    known = tf.sequence_mask(LENGTHS, LENGTH)
    weights, zero = weights_of(layer), lstm.zeros(weights_of(layer), "lstm/")
    for padding in (0, WORDS - 1):
        padded = np.where(known, words, padding)
        found = layer.code_of(layer.encode(padded, known, z))
        for row in range(ROWS):
            own = None if z is None else z[row].astype(np.float64)
            after = lstm.read_words(weights, words[row, : LENGTHS[row]], zero, own)
            np.testing.assert_allclose(found[row], lstm.code(after), rtol=1e-5, atol=1e-5)


def test_steps_equal_the_loops_for_rows_at_one_position_and_at_their_own(layer):
    words, code, z = inputs_of(layer)
    features, weights = expected(layer, words, code, z), layer.step_weights()
    state = layer.start(ROWS, layer.state_of(code), z)
    by_step = [state]
    for t in range(LENGTH):
        previous = tf.constant(words[:, max(t - 1, 0)], tf.int32)
        found, state = layer.step(by_step[-1], previous, tf.constant([t > 0]), weights)
        np.testing.assert_allclose(found, features[:, t], rtol=1e-5, atol=1e-5)
        by_step.append(state)
    rows = np.arange(ROWS)
    for length in (0, 3):
        filled = layer.fill(by_step[0], tf.constant(words, tf.int32), tf.constant(length))
        for name, value in by_step[length].items():
            np.testing.assert_allclose(filled[name], value, rtol=1e-5, atol=1e-6)
    filled = layer.fill(by_step[0], tf.constant(words, tf.int32), tf.constant(LENGTHS - 1))
    previous = tf.constant(words[rows, np.maximum(LENGTHS - 2, 0)], tf.int32)
    found, _ = layer.step(filled, previous, tf.constant(LENGTHS > 1), weights)
    np.testing.assert_allclose(found, features[rows, LENGTHS - 1], rtol=1e-5, atol=1e-5)


def test_features_depend_on_all_earlier_words(layer):
    asked, reads = np.eye(LENGTH, dtype=bool), layer.word_dropout_rate < 1.0
    np.testing.assert_array_equal(layer.reach(asked), reads * np.tri(LENGTH, k=-1, dtype=bool))
    np.testing.assert_array_equal(layer.lstm.reach(asked), np.tri(LENGTH, dtype=bool))


@pytest.mark.parametrize(("compiled", "masked"), few_by_default([(False, True), (True, False)], in_ci=1))
def test_gradients_of_the_recurrence_equal_autodiff_of_its_steps(compiled, masked):
    rng = np.random.default_rng(2)
    shapes = [(ROWS, LENGTH, 4 * UNITS), (UNITS, 4 * UNITS), (ROWS, UNITS), (ROWS, UNITS)]
    given = [tf.constant(rng.normal(size=shape), tf.float64) for shape in shapes]
    known = np.array(tf.sequence_mask(LENGTHS, LENGTH)) if masked else np.ones((ROWS, LENGTH), bool)
    scale = [rng.normal(size=shape) for shape in ((ROWS, LENGTH, UNITS), (ROWS, UNITS), (ROWS, UNITS))]

    def total(results):
        return sum(tf.reduce_sum(tf.cast(r, tf.float64) * s) for r, s in zip(results, scale, strict=True))

    def stepwise(inputs, kernel, h, c):
        hidden = []
        for t in range(LENGTH):
            o, f, i, g = tf.split(inputs[:, t] + h @ kernel, 4, axis=-1)
            new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            new_h = tf.sigmoid(o) * tf.tanh(new_c)
            h, c = (tf.where(known[:, t, None], a, b) for a, b in ((new_h, h), (new_c, c)))
            hidden.append(h)
        return tf.stack(hidden, axis=1), h, c

    def scan(inputs, kernel, h, c):
        hidden, last = lstm_sequence(inputs, kernel, (h, c), tf.constant(known) if masked else None)
        return hidden, *last

    def gradients(function, arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            result = total(function(*arguments))
        return tape.gradient(result, arguments)

    found = tf.function(gradients, jit_compile=compiled)(scan, [tf.cast(t, tf.float32) for t in given])
    for a, b in zip(found, gradients(stepwise, given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_second_derivatives_are_refused():
    layer = randomized(StackedLSTM(UNITS))
    x = tf.ones([1, 2, SIZE])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(layer(x))
        slope = inner.gradient(y, x)
    with pytest.raises(NotImplementedError, match="first derivatives of an LSTM"):
        outer.gradient(slope, x)


def test_without_words_there_are_no_weights_for_them_and_no_classifier():
    """With and without seeds: the layer is the same in training and after it."""
    layer = randomized(WordLSTM(WORDS, UNITS, SIZE, word_dropout_rate=1.0))
    assert sorted(v.name for v in layer.weights) == ["bias_0", "recurrent_kernel_0"]
    words = np.arange(6).reshape(2, 3)
    found = [layer(words), layer(words + 1, seeds=random.row_seeds(1, 2))]
    np.testing.assert_array_equal(*found)
    assert np.ptp(found[0], axis=1).min() > 1e-3
    with pytest.raises(ValueError, match="LSTMs that read words"):
        TextEncoder.of(layer, ends=True)


def test_dropped_words_are_vectors_of_zeros_at_the_given_rate():
    layer, seeds = randomized(WordLSTM(WORDS, UNITS, SIZE, word_dropout_rate=0.3)), random.row_seeds(1, 400)
    words = np.full((400, 2), 3)
    kept = np.asarray(layer(words[:1])[0, 1])
    layer.embeddings.assign(np.where(np.arange(WORDS)[:, None] == 3, layer.embeddings, 0.0))
    dropped = np.asarray(layer(words[:1] * 0)[0, 1])
    found = np.asarray(layer(words, seeds=seeds)[:, 1])
    is_kept, is_dropped = (np.abs(found - own).max(axis=1) < 1e-5 for own in (kept, dropped))
    assert np.all(is_kept != is_dropped)
    assert abs(is_dropped.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)
    np.testing.assert_array_equal(layer(words, seeds=seeds), layer(words, seeds=seeds))


def test_dropout_is_between_the_layers_and_has_a_mean_of_one():
    layer, seeds = randomized(StackedLSTM(UNITS, 2, dropout_rate=0.25)), random.row_seeds(1, 2000)
    x = np.tile(np.random.default_rng(0).normal(size=(1, 1, SIZE)), [2000, 1, 1]).astype(np.float32)
    found, plain = np.asarray(layer.read(x, seeds=seeds)[0][:, 0]), np.asarray(layer(x)[0, 0])
    assert abs((found == 0.0).mean() - 0.25) < 0.02
    inner = np.asarray(layer.read(x, seeds=seeds)[1]["h"])
    assert len(np.unique(inner[:, :UNITS].round(5), axis=0)) == 2**SIZE  # the dropped inputs of the first LSTM
    assert len(np.unique(inner[:, UNITS:].round(5), axis=0)) > 2**SIZE  # and of the second
    assert np.abs(plain).max() > 0.05
    other = StackedLSTM(UNITS, 2, dropout_rate=0.25, first_part=7)
    other.build((None, None, SIZE))
    other.set_weights(layer.get_weights())
    assert np.mean(np.asarray(other.read(x, seeds=seeds)[0][:, 0]) != found) > 0.2


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("length", [None, LENGTH])
def test_dropout_of_texts_of_any_length(length):
    layer = randomized(WordLSTM(WORDS, UNITS, SIZE, dropout_rate=0.5, word_dropout_rate=0.5))
    spec = [tf.TensorSpec([None, length], tf.int32), tf.TensorSpec([None, 2], tf.int32)]
    compiled = tf.function(lambda words, seeds: layer(words, seeds=seeds), input_signature=spec)
    words, seeds = tf.ones([ROWS, LENGTH], tf.int32), random.row_seeds(3, ROWS)
    np.testing.assert_allclose(compiled(words, seeds), layer(words, seeds=seeds), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [lambda **k: WordLSTM(WORDS, UNITS, SIZE, **k), lambda **k: StackedLSTM(UNITS, **k)])
def test_configuration_and_half_precision(make):
    layer = make(num_layers=2, conditional_size=2, seed=3, kernel_initializer="he_normal")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})
    for own in (layer, copy, half):
        own.build((None, None, SIZE))
    for a, b, c in zip(layer.weights, copy.weights, half.weights, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    given = (np.ones((1, 2), np.int32),) if isinstance(layer, WordLSTM) else (np.ones((1, 2, SIZE), np.float32),)
    np.testing.assert_array_equal(
        half(*given, conditional_input=np.ones((1, 2))), layer(*given, conditional_input=np.ones((1, 2)))
    )
    gates = np.split(np.asarray(layer.weights[-1 if isinstance(layer, StackedLSTM) else 1]), 4, axis=-1)
    assert not np.array_equal(gates[0], gates[1])


def test_bad_arguments_are_refused():
    for arguments in ({"units": 0}, {"num_layers": 0}, {"dropout_rate": 1.0}, {"conditional_size": -1}):
        with pytest.raises(ValueError, match="Expected"):
            StackedLSTM(**{"units": 2, **arguments})
    for arguments in ({"vocabulary_size": 0}, {"word_dropout_rate": 1.1}, {"output_size": -1}):
        with pytest.raises(ValueError, match="Expected"):
            WordLSTM(**{"vocabulary_size": 3, "units": 2, "embedding_dim": 2, **arguments})
    with pytest.raises(ValueError, match="Expected a conditional input of 2 numbers"):
        WordLSTM(3, 2, 2, conditional_size=2)(np.ones((1, 2)))
