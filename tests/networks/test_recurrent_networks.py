"""The networks of Row LSTM and Diagonal BiLSTM: what they see, faults that others have made, conditions, arguments."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_models as models
from tests.conformance.facts import Facts
from tests.parameters import few_by_default
from tests.registry import BY_NAME
from tfar.layers import DiagonalRecurrence, lstm_scan, pixel_recurrence
from tfar.networks import DiagonalBiLSTMNetwork, RowLSTMNetwork

KINDS = (RowLSTMNetwork, DiagonalBiLSTMNetwork)
CASES = {
    "plain": {},
    "both": {"event_shape": (3, 4, 2), "conditional_shape": {"class": (2,), "map": (3, 4, 1)}, "num_blocks": 2},
    "levels": {"num_classes": 5, "params_size": 5, "output_filters": (8,)},
}


def make(kind, name="plain", **kwargs):
    arguments = {"event_shape": (4, 3), "filters": 4, "num_blocks": 1, "first_kernel_size": (3, 3)}
    network = kind(**{**arguments, **CASES[name], **kwargs})
    network.build()
    return network


def values(network, rows=3):
    rng, shape = np.random.default_rng(1), network.conditional_shape
    x = rng.integers(0, network.num_classes or 2, (rows, *network.event_shape)).astype(np.float32)
    draw = lambda s: tf.constant(rng.normal(size=(rows, *s)), tf.float32)  # noqa: E731
    return x, {k: draw(s) for k, s in shape.items()} if shape else None


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_config_round_trip(kind, name):
    network = make(kind, name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(a, b)  # The initial weights follow from the seed.
    np.testing.assert_array_equal(again(*values(network)), network(*values(network)))


def test_initial_kernels_differ_and_follow_the_seed():
    kernels = [np.asarray(layer.kernel) for s in (0, 1) for layer in make(*KINDS[1:], num_blocks=2, seed=s).recurrence]
    assert len({kernel.tobytes() for kernel in kernels}) == 4


def test_the_kernels_are_those_of_the_paper():
    """7x7 to 2h, LSTMs of h with 2h between them, 1x1 of 32 and a sigmoid (table 1, figure 5); k = 3 along rows."""
    for dist, size in ((tfar.RowLSTM([28, 28], 16, 7, output_filters=[32]), (1, 3)), (diagonal(28, 16, 7), (1, 1))):
        network, gates = dist.network, dist.network.num_directions * 64
        neighbours = 3 if size == (1, 3) else 2
        assert network.first.full_kernel.shape == (7, 7, 1, 32)
        assert [layer.full_kernel.shape for layer in network.input_to_state] == [(*size, 32, gates)] * 7
        assert [layer.kernel.shape for layer in network.recurrence] == [(neighbours * 16, gates)] * 7
        assert [layer.full_kernel.shape for layer in network.block_output] == [(1, 1, 16, 32)] * 7
        assert [layer.full_kernel.shape for layer in network.outputs] == [(1, 1, 32, 32), (1, 1, 32, 1)]


def diagonal(size, filters, num_layers, **kwargs):
    return tfar.DiagonalBiLSTM([size, size], filters, num_layers, output_filters=[32], **kwargs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_forget_gates_are_open_at_first(kind):
    """With weights of zero, the cell state of a pixel decays by the factor sigmoid(1)."""
    bias = np.asarray(make(kind, "both").input_to_state[0].bias)
    assert bias.sum() == 4 * make(kind).num_directions
    layer = make(kind, **({} if kind is RowLSTMNetwork else {"close_blind_spot": False})).recurrence[0]
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    layer.initial_state.assign(tf.ones_like(layer.initial_state))
    bias = np.broadcast_to(make(kind).input_to_state[0].bias, (1, 2, 1, 16 * layer.num_directions))
    found = np.asarray(layer(tf.constant(bias)))[0, 1, 0, 0]
    forget = 1.0 / (1.0 + np.exp(-1.0))
    states = [0.5 * np.tanh(forget**2), 0.5 * np.tanh(forget)]  # A right state there is in the first row.
    np.testing.assert_allclose(found, states[0] if kind is RowLSTMNetwork else 2 * states[1], rtol=1e-5)


# What they see -------------------------------------------------------------------------------------------------------


def test_diagonal_bilstm_sees_all_earlier_values():
    for shape in ([7, 11], [5, 4, 3]):
        found = tfar.DiagonalBiLSTM(shape, 3, 1).network.influences()
        np.testing.assert_array_equal(found, np.tri(len(found), k=-1, dtype=bool))


@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_network_of_the_paper_misses_the_end_of_the_row_above(num_layers):
    """Pixels of which the first convolution, three columns to each side, does not reach the last column: at any depth."""
    size = 12
    found = diagonal(size, 2, num_layers, close_blind_spot=False).network.influences().reshape((size,) * 4)
    expected = np.tri(size * size, k=-1, dtype=bool).reshape((size,) * 4)
    for row in range(1, size):
        for column in range(size - 4):
            expected[row, column, row - 1, size - 1] = False
    np.testing.assert_array_equal(found, expected)


def test_row_lstm_sees_a_triangle_that_grows_with_the_layers():
    """Of the bottom row of 5 x 12 pixels: three to the left by the first convolution, of 3 x 7, and one by the LSTM.

    Of the row above: three to the right by the first convolution, and to the left one more by the states.
    """
    expected = """
        111111111111
        111111111111
        111111111110
        011111111100
        001111000000
    """
    rows = [[character == "1" for character in line] for line in expected.split()]
    dist = tfar.RowLSTM([5, 12], 2, first_kernel_size=(3, 7))
    np.testing.assert_array_equal(dist.receptive_field(4, 6), rows)
    left = [tfar.RowLSTM([5, 12], 2, count).receptive_field(4, 11)[4].sum() for count in (1, 2, 5)]
    assert left == [3 + 1, 3 + 2, 3 + 5]


# Faults --------------------------------------------------------------------------------------------------------------


def shifted_up(self, right):
    return tf.concat([right[:, 1:], tf.zeros_like(right[:, :1])], axis=1)


def looks_below(h, outside, offsets):
    return tf.concat([h, tf.concat([h[:, :, 1:], outside[:, :, :1]], axis=2)], axis=-1)


def sigmoid_content(sums, cells, num_groups=1):
    o, f, i, g = (tf.sigmoid(gate) for gate in lstm_scan.by_gate(sums, 4, num_groups))
    c = f * cells[0] + i * g
    return o * tf.tanh(c), c


def gates_by_rows(sums):
    return tf.split(tf.reshape(sums, tf.shape(tf.reshape(sums, [4, -1]))), 4, axis=0)


def split_by_rows(right):
    """Takes the gates from a map whose rows are split in four, so that they are those of other pixels."""

    def by_gate(sums, num_gates, num_groups):
        pairs = zip(gates_by_rows(sums), right(sums, num_gates, 1), strict=True)
        return [tf.reshape(gate, tf.shape(part)) for gate, part in pairs]

    return by_gate


def mirrored_after_the_skew(x):
    """Skews both directions alike, and mirrors the right one afterwards."""
    left, right = tf.split(skewed(x), 2, axis=0)
    return tf.concat([left, tf.reverse(right, [2])], axis=0)


skewed = pixel_recurrence.skewed
SIGMOID_CELL = lstm_scan.LSTM._replace(step=sigmoid_content)
FAULTS = {
    "the right direction is shifted up": (
        "influences",
        lambda: mock.patch.object(DiagonalRecurrence, "_shifted_down", shifted_up),
    ),
    "the right direction is not shifted": (
        "influences",
        lambda: mock.patch.object(DiagonalRecurrence, "_shifted_down", lambda self, right: right),
    ),
    "states see the row below": ("influences", lambda: mock.patch.object(lstm_scan, "_neighbours", looks_below)),
    "the content is a sigmoid": (
        "log_prob",
        lambda: mock.patch.object(DiagonalRecurrence, "cell", SIGMOID_CELL),
    ),
    "gates are rows": (
        "influences",
        lambda: mock.patch.object(lstm_scan, "by_gate", split_by_rows(lstm_scan.by_gate)),
    ),
    "the skewed map is mirrored": (
        "log_prob",
        lambda: mock.patch.object(pixel_recurrence, "skewed", mirrored_after_the_skew),
    ),
    "states outside the image run on": (
        "log_prob",
        lambda: mock.patch.object(pixel_recurrence, "has_begun", lambda h, w: np.ones((h + w - 1, h), bool)),
    ),
}
CHECKS = {
    "influences": models.test_influences_equal_the_connectivity_of_the_case,
    "log_prob": models.test_log_prob_equals_the_paper,
}


@pytest.mark.parametrize("fault", few_by_default(FAULTS, count=2))
def test_faults_of_other_implementations_are_found(fault):
    """Of public networks: each would be found by the conformance tests."""
    check, plant = FAULTS[fault]
    with plant(), pytest.raises(AssertionError):
        CHECKS[check](Facts(BY_NAME["DiagonalBiLSTM-one-layer"]))


# Conditions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_reaches_every_pixel_and_a_map_nothing_above_its_place(kind):
    network = make(kind, "both")
    x, condition = values(network, rows=1)
    before = np.asarray(network(x, condition)).reshape(3, 4, 2)
    other = np.asarray(network(x, {**condition, "class": condition["class"] + 1.0})).reshape(3, 4, 2)
    assert (before != other).all()
    moved = np.array(condition["map"])
    moved[0, 1, 2] += 1.0
    changed = np.asarray(network(x, {**condition, "map": moved})).reshape(3, 4, 2) != before
    assert changed[1, 2].all() and not changed[0].any() and not changed[1, :2].any()


@pytest.mark.parametrize("model", [tfar.RowLSTM, tfar.DiagonalBiLSTM])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_shape": [4]}, r"Expected `event_shape` to be \[H, W\] or \[H, W, C\]; received \[4\]"),
        ({"filters": 4, "event_shape": [2, 2, 3]}, "Expected `filters` to be a multiple of 3"),
        ({"output_filters": [4], "event_shape": [2, 2, 3]}, "Expected `output_filters` to be a multiple of 3"),
        ({"num_layers": 0}, "Expected `num_layers` to be an int of at least 1; received 0"),
        ({"first_kernel_size": 1}, "row 0, column 1, channel 0 sees none"),
        ({"conditional_shape": [4, 4]}, r"Expected `conditional_shape` to be \[k\] of a vector, \[4, 4, k\] of a map"),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**{"event_shape": [4, 4], "filters": 6, **arguments})


def test_the_width_of_row_lstm_is_checked():
    with pytest.raises(ValueError, match="Expected `kernel_size` to be an int of at least 1; received 0"):
        tfar.RowLSTM([4, 4], 4, kernel_size=0)
