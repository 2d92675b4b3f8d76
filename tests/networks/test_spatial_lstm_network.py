"""The spatial LSTM: what it sees, its sizes, its initial prediction, faults that others have made, arguments."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_models as models
from tests.conformance.facts import Facts
from tests.parameters import few_by_default
from tests.reference import scale_mixtures
from tests.registry import BY_NAME
from tfar.heads import GaussianScaleMixture
from tfar.layers import SpatialRecurrence, lstm_scan


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 3)])
def test_config_round_trip(shape):
    network = tfar.SpatialLSTM(shape, 4, num_layers=2).network
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(a, b)  # The initial weights follow from the seed.


def test_the_sizes_are_those_of_the_paper():
    """Twelve pixels and whether each is inside, five gates of 64 units twice, then 32 components, 4 scales and 32 features."""
    dist = tfar.SpatialLSTM([8, 8])
    shapes = {v.path.split("/", 1)[1]: tuple(v.shape) for v in dist.network.trainable_variables}
    assert shapes["input_to_state_1/kernel"] == (5, 5, 2, 5 * 64) and shapes["input_to_state_2/kernel"] == (
        1,
        1,
        64,
        5 * 64,
    )
    assert shapes["recurrence_1/kernel"] == shapes["recurrence_2/kernel"] == (2 * 64, 5 * 64)
    assert dist.network.linear.group_mask.sum() == 12
    dist.head.build()
    head = {v.name: tuple(v.shape) for v in dist.head.trainable_variables}
    assert head["loc_kernel"] == (64, 32, 1) and head["features"] == (64, 32)
    assert head["feature_scales"] == (32, 32) and head["log_precision"] == head["logits"] == (32, 4)


def test_all_gates_are_half_open_at_first():
    biases = [np.asarray(layer.bias) for layer in tfar.SpatialLSTM([4, 4], 4).network.input_to_state]
    assert len(biases) == 2 and not np.any(biases)


def test_it_sees_the_upper_left_and_a_band_to_the_right():
    """Of 4 x 9 pixels: in the rows above, two columns to the right, which a neighbourhood of 5 pixels reaches.

    There are no more columns in higher rows, because states pass to the right and down only.
    """
    expected = """
        111111100
        111111100
        111111100
        111100000
    """
    rows = [[character == "1" for character in line] for line in expected.split()]
    np.testing.assert_array_equal(tfar.SpatialLSTM([4, 9], 2).receptive_field(3, 4), rows)


# The linear prediction -----------------------------------------------------------------------------------------------


def texture(rows, shape, seed=0):
    """Images whose pixels are a linear function of their neighbours to the left and above, plus noise."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(rows, *shape))
    for r, c in np.ndindex(shape[:2]):
        if r > 0:
            images[:, r, c] += 0.6 * images[:, r - 1, c]
        if c > 0:
            images[:, r, c] += 0.3 * images[:, r, c - 1]
    return (50.0 + 10.0 * images).astype(np.float32)


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 3)])
def test_the_initial_prediction_is_that_of_least_squares(shape):
    dist, images = tfar.SpatialLSTM(shape, 4, neighbourhood=3), texture(100, shape)
    dist.initialize(images)
    assert not dist.awaits_data
    loc, scale = (float(unit) for unit in (dist.head.units.loc, dist.head.units.scale))
    values = ((images.astype(np.float64) - loc) / scale).reshape(100, *shape[:2], -1)
    channels = values.shape[-1]
    inputs, targets = [], []
    for image in values:
        for r, c in np.ndindex(shape[:2]):
            row = []
            for a, b in ((-1, -1), (-1, 0), (-1, 1), (0, -1)):
                inside = r + a >= 0 and 0 <= c + b < shape[1]
                row += [*(image[r + a, c + b] if inside else np.zeros(channels)), float(inside)]
            inputs.append([*row, 1.0])
            targets.append(image[r, c])
    solution = np.linalg.lstsq(np.array(inputs), np.array(targets), rcond=None)[0]
    x = tf.constant(((images - loc) / scale).astype(np.float32))
    found = np.asarray(dist.network(x))[..., -channels:].reshape(-1, channels)
    np.testing.assert_allclose(found, np.array(inputs) @ solution, atol=2e-3)


def test_the_initial_prediction_is_worth_its_bits():
    """Noise of deviation 10 has 3.7 nats a pixel; the pixels have a deviation of 14, which is 0.3 nats more."""
    head = tfar.heads.Standardized(GaussianScaleMixture(4, 4, 2, num_inputs=4))
    dist, images = tfar.SpatialLSTM([5, 5], 4, num_layers=1, head=head), texture(500, (5, 5))
    assert dist.awaits_data
    dist.initialize(images)
    predicted = -np.mean(dist.law.log_prob(tf.constant(images))) / 25
    for variable in dist.network.linear.weights:
        variable.assign(tf.zeros_like(variable))
    assert predicted < -np.mean(dist.law.log_prob(tf.constant(images))) / 25 - 0.1


# The whole picture ---------------------------------------------------------------------------------------------------


def test_the_first_pixel_follows_the_mixture_of_an_empty_neighbourhood():
    """Its density is part of log_prob, and does not depend on the picture."""
    dist = BY_NAME["SpatialLSTM-real"].make()
    x = BY_NAME["SpatialLSTM-real"].values(2)
    network = dist.network
    params = np.asarray(network(tf.constant(x)))[:, 0]
    np.testing.assert_array_equal(params[0], params[1])
    h, m = np.split(params[0].astype(float), [4])
    expected = scale_mixtures.log_prob(scale_mixtures.weights_of(dist.head), h, m, x[1, 0, 0])
    np.testing.assert_allclose(dist.law.site_log_probs(tf.constant(x))[1, 0], expected, rtol=1e-4)


def test_an_ensemble_averages_the_probabilities_of_mirror_images():
    """Of an image of 3 x 4 pixels and two channels decided in turn, by copies of the weights in a model of one member."""
    four, one = (
        tfar.SpatialLSTM([3, 4, 2], 4, num_layers=1, num_symmetries=count, head=tfar.heads.NormalMixture(2))
        for count in (4, 1)
    )
    for a, b in zip(one.network.weights, four.network.weights, strict=True):
        a.assign(b)
    x = np.random.default_rng(0).normal(size=(3, 3, 4, 2)).astype(np.float32)
    views = [x, x[:, :, ::-1], x[:, ::-1], x[:, ::-1, ::-1]]
    members = [np.asarray(one.law.log_prob(tf.constant(view)), np.float64) for view in views]
    assert np.ptp(members, axis=0).min() > 1e-3
    expected = np.log(np.mean(np.exp(members), axis=0))
    np.testing.assert_allclose(four.law.log_prob(tf.constant(x)), expected, rtol=1e-5)


# Faults --------------------------------------------------------------------------------------------------------------


def graves(sums, cells, num_groups=1):
    """With the output gate outside the tanh, as in other LSTMs."""
    o, f, k, i, g = (tf.sigmoid(gate) for gate in lstm_scan.by_gate(sums, 5, num_groups))
    c = f * cells[0] + k * cells[1] + i * (2.0 * g - 1.0)
    return o * tf.tanh(c), c


def swapped(sums, cells, num_groups=1):
    return lstm_scan.spatial_lstm(sums, cells[::-1], num_groups)


def inner_pixels_alone(self, params, x, site):
    """Scores a pixel only if its neighbourhood is inside the image of 2 x 3 pixels."""
    log_prob = right(self, params, x, site)
    return tf.where(tf.equal(site, 4), log_prob, tf.zeros_like(log_prob))


right = GaussianScaleMixture._log_prob


def cell(step):
    return lambda: mock.patch.object(SpatialRecurrence, "cell", lstm_scan.SPATIAL_LSTM._replace(step=step))


FAULTS = {
    "the output gate is outside the tanh": cell(graves),
    "the forget gates are swapped": cell(swapped),
    "the border is not scored": lambda: mock.patch.object(GaussianScaleMixture, "_log_prob", inner_pixels_alone),
    "the cell state is that of the pixel to the left alone": cell(
        lambda sums, cells, groups=1: lstm_scan.spatial_lstm(sums, [cells[0]] * 2, groups)
    ),
}


@pytest.mark.parametrize("fault", few_by_default(FAULTS, count=3))
def test_faults_are_found_by_the_conformance_tests(fault):
    with FAULTS[fault](), pytest.raises(AssertionError):
        models.test_log_prob_equals_the_paper(Facts(BY_NAME["SpatialLSTM-real"]))


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_shape": [4]}, r"Expected `event_shape` to be \[H, W\] or \[H, W, C\]; received \[4\]"),
        ({"neighbourhood": 4}, "Expected `neighbourhood` to be odd; received 4"),
        ({"neighbourhood": 1}, "Expected `neighbourhood` to be an int of at least 3; received 1"),
        ({"num_layers": -1}, "Expected `num_layers` to be an int of at least 0; received -1"),
        (
            {"units": 5, "head": tfar.heads.Bernoulli(), "event_shape": [2, 2, 3]},
            "Expected `units` to be a multiple of 3",
        ),
        ({"num_symmetries": 3}, r"one of \(1, 2, 4, 8\) for square images; received 3"),
        (
            {"num_symmetries": 8, "event_shape": [4, 5]},
            "images of 4 x 5 pixels, which cannot be transposed; received 8",
        ),
        ({"head": GaussianScaleMixture()}, r"Make it with `GaussianScaleMixture\(..., num_inputs=6\)`"),
        (
            {"head": GaussianScaleMixture(num_inputs=6), "event_shape": [2, 2, 3]},
            r"Make it with `GaussianScaleMixture\(..., num_channels=3\)`",
        ),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.SpatialLSTM(**{"event_shape": [4, 4], "units": 6, **arguments})


def test_a_head_with_weights_has_no_temperature():
    with pytest.raises(ValueError, match="Expected a head that defines `tempered`; GaussianScaleMixture does not"):
        tfar.SpatialLSTM([3, 3], 4, head=GaussianScaleMixture(2, num_inputs=4)).with_temperature(0.5)


def test_the_influence_check_is_not_misled_by_saturated_states():
    """With weights of about 1, cell states double with each step along the diagonal, and hidden states are 1."""
    tfar.testing.check_autoregressive(tfar.SpatialLSTM([4, 5], 2, num_layers=1, jit_compile=False))
