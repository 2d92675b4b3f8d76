"""The network of Gated PixelCNN: what it sees, conditions and their dropping, configurations, arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.networks import GatedPixelCNNNetwork

CASES = {
    "plain": {},
    "vector": {"conditional_shape": (3,), "output_filters": (4, 8)},
    "both": {"event_shape": (3, 4, 2), "conditional_shape": {"class": (2,), "map": (3, 4, 1)}},
    "levels": {"num_classes": 5, "params_size": 5, "kernel_size": (5, 1)},
}
EACH = pytest.mark.parametrize("name", CASES)


def make(name="vector", **kwargs):
    arguments = {"event_shape": (4, 3), "filters": 8, "num_blocks": 2, "first_kernel_size": (5, 3)}
    network = GatedPixelCNNNetwork(**{**arguments, **CASES[name], **kwargs})
    network.build()
    return network


def values(network, rows=4):
    rng, shape = np.random.default_rng(1), network.conditional_shape
    x = rng.integers(0, network.num_classes or 2, (rows, *network.event_shape)).astype(np.float32)
    draw = lambda s: tf.constant(rng.normal(size=(rows, *s)), tf.float32)  # noqa: E731
    return x, {k: draw(s) for k, s in shape.items()} if isinstance(shape, dict) else shape and draw(shape)


@EACH
def test_config_round_trip(name):
    network = make(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(a, b)  # The initial weights follow from the seed.
    np.testing.assert_array_equal(again(*values(network)), network(*values(network)))


def test_initial_kernels_differ_and_follow_the_seed():
    kernels = [np.asarray(v) for s in (0, 1) for v in make(seed=s).variables if v.shape == (3, 32)]
    assert len(kernels) == 6 and len({k.tobytes() for k in kernels}) == 6


def test_there_is_no_blind_spot():
    """With enough blocks all earlier pixels are seen, and PixelCNN of the same kernels misses some."""
    sizes = {"filters": 2, "num_blocks": 8, "first_kernel_size": 3}
    gated, plain = tfar.GatedPixelCNN([6, 9], **sizes), tfar.PixelCNN([6, 9], **sizes)
    earlier = (np.arange(54) < 5 * 9 + 4).reshape(6, 9)
    np.testing.assert_array_equal(gated.receptive_field(5, 4), earlier)
    assert (earlier & ~plain.receptive_field(5, 4)).sum() == 1 + 2 + 3


def test_the_receptive_field_grows_with_the_blocks():
    field = lambda n: tfar.GatedPixelCNN([6, 9], 2, num_blocks=n, first_kernel_size=3).receptive_field(5, 4)  # noqa: E731
    assert [field(n).sum() for n in (0, 1)] == [3 + 1, 5 + 5 + 2]


def test_a_vector_reaches_every_pixel_and_a_map_nothing_above_its_place():
    network = make("both")
    x, condition = values(network, rows=1)
    before = np.asarray(network(x, condition)).reshape(3, 4, 2)
    other = np.asarray(network(x, {**condition, "class": condition["class"] + 1.0})).reshape(3, 4, 2)
    assert (before != other).all()
    moved = np.array(condition["map"])
    moved[0, 1, 2] += 1.0
    changed = np.asarray(network(x, {**condition, "map": moved})).reshape(3, 4, 2) != before
    assert changed[1, 2].all() and not changed[0].any()


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_training_drops_conditions_of_whole_images(rate):
    network = make("both", condition_dropout=rate)
    rows = 400
    x, condition = values(network, rows=1)
    x, condition = np.repeat(x, rows, 0), {k: tf.repeat(v, rows, 0) for k, v in condition.items()}
    with_it, without = network(x, condition)[0], network(x, tf.nest.map_structure(tf.zeros_like, condition))[0]
    params = network.training_pass(x, condition, tf.constant([0, 3])).params
    close = lambda other: np.abs(np.asarray(params - other)).max((1, 2)) < 1e-4  # noqa: E731
    dropped = close(without)
    assert (dropped ^ close(with_it)).all()
    assert abs(dropped.mean() - rate) < 0.1
    again = network.training_pass(x, condition, tf.constant([0, 3])).params
    np.testing.assert_array_equal(params, again)
    others = network.training_pass(x, condition, tf.constant([0, 4])).params
    assert rate == 0.0 or np.any(np.asarray(params != others))


def test_dropout_is_of_training_alone_and_a_function_of_the_seed():
    network, plain = make(dropout_rate=0.3), make()
    x, condition = values(network)
    np.testing.assert_array_equal(network(x, condition), plain(x, condition))
    first, again, other = (network.training_pass(x, condition, tf.constant([0, s])).params for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(np.asarray(first != other)) and np.any(np.asarray(first != plain(x, condition)))
    np.testing.assert_array_equal(plain.training_pass(x, condition, tf.constant([0, 3])).params, plain(x, condition))


def test_a_rate_may_be_a_number_of_numpy():
    dist = tfar.GatedPixelCNN([4, 4], 6, num_blocks=0, dropout_rate=np.float32(0.25))
    assert dist.get_config()["dropout_rate"] == 0.25
    with pytest.raises(ValueError, match=r"Expected `dropout_rate` to be a number in .*; received True"):
        tfar.GatedPixelCNN([4, 4], 6, dropout_rate=True)


def test_dropout_keeps_the_mean_of_what_is_behind_a_gate():
    """Without blocks, and with a relu that only sees positive numbers, parameters are linear in the features dropped."""
    network = make("plain", num_blocks=0, dropout_rate=0.25)
    skip = network.skip[0]
    skip.bias.assign(tf.fill(skip.bias.shape, 10.0))
    x = np.ones((4000, *network.event_shape), np.float32)
    params = np.asarray(network.training_pass(x, None, tf.constant([0, 1])).params)[..., 0]
    sees = network.influences().any(1)
    error = params.std(0)[sees] / np.sqrt(len(params))
    assert sees.sum() > 8 and (error > 0.0).all()
    assert (np.abs(params.mean(0) - np.asarray(network(x[:1]))[0, :, 0])[sees] < 5 * error).all()


def test_dropout_reaches_both_stacks():
    """Of one feature behind the last gate there are two values; what the vertical stack drops before it makes more."""
    network = make("plain", event_shape=(4, 4), filters=1, num_blocks=1, dropout_rate=0.5)
    for layer in (network.residual[0], network.skip[0], network.horizontal[1]):  # the rest of the horizontal stack
        layer.full_kernel.assign(tf.zeros_like(layer.full_kernel))
    x = np.ones((64, 4, 4), np.float32)
    params = np.asarray(network.training_pass(x, None, tf.constant([0, 1])).params)[..., 0]
    assert max(len(np.unique(values_of_pixel)) for values_of_pixel in params.T) > 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_shape": [4]}, r"Expected `event_shape` to be \[H, W\] or \[H, W, C\]; received \[4\]"),
        ({"filters": 4, "event_shape": [2, 2, 3]}, "Expected `filters` to be a multiple of 3"),
        ({"output_filters": [4], "event_shape": [2, 2, 3]}, "Expected `output_filters` to be a multiple of 3"),
        ({"num_blocks": -1}, "Expected `num_blocks` to be an int of at least 0; received -1"),
        ({"first_kernel_size": 1}, r"Expected `first_kernel_size` of height at least 2; received \(1, 1\)"),
        ({"first_kernel_size": [3, 1], "kernel_size": 1}, "row 0, column 1, channel 0 sees none"),
        ({"conditional_shape": [4, 4]}, r"Expected `conditional_shape` to be \[k\] of a vector, \[4, 4, k\] of a map"),
        ({"conditional_shape": {"a": [3, 4, 2]}}, r"Expected `conditional_shape` to be \[k\] of a vector"),
        ({"condition_dropout": 1.0}, r"Expected `condition_dropout` to be a number in \[0, 1\); received 1.0"),
        ({"dropout_rate": -0.1}, r"Expected `dropout_rate` to be a number in \[0, 1\); received -0.1"),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.GatedPixelCNN(**{"event_shape": [4, 4], "filters": 6, **arguments})
