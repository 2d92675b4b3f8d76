"""The network of PixelCNN: what it sees, configurations, steps, arguments."""

import keras
import numpy as np
import pytest

import tfar
from tfar.networks import PixelCNNNetwork

CASES = {
    "plain": {"use_residual": False},
    "residual": {"output_filters": (4, 8)},
    "colours": {"event_shape": (3, 4, 2), "num_classes": 3, "one_hot": True, "params_size": 3},
    "scaled": {"num_classes": 5, "params_size": 5, "kernel_size": (5, 1)},
}
EACH = pytest.mark.parametrize("name", CASES)


def make(name="residual", **kwargs):
    arguments = {"event_shape": (4, 3), "filters": 8, "num_blocks": 2, "first_kernel_size": (5, 3)}
    network = PixelCNNNetwork(**{**arguments, **CASES[name], **kwargs})
    network.build()
    return network


def values(network, rows=3):
    levels = network.num_classes or 2
    return np.random.default_rng(1).integers(0, levels, (rows, *network.event_shape)).astype(np.float32)


@EACH
def test_config_round_trip(name):
    network = make(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(a, b)  # The initial weights follow from the seed.
    np.testing.assert_array_equal(again(values(network)), network(values(network)))


def test_initial_kernels_differ_and_follow_the_seed():
    kernels = [np.asarray(v) for s in (0, 1) for v in make("plain", seed=s).variables if v.shape == (3, 3, 8, 8)]
    assert len(kernels) == 4 and len({k.tobytes() for k in kernels}) == 4


def test_the_kernels_are_those_of_the_paper():
    """15 layers of h = 128: 7x7 to 2h, residual blocks of 2h, h, h, 2h, two 1x1 of 1024 and a softmax (table 1, figure 5)."""
    dist = tfar.PixelCNN(
        [32, 32, 3], 6 * 43, num_blocks=15, head=tfar.heads.Categorical(256), output_filters=[1023, 1023]
    )
    network = dist.network
    layers = [network.first, *[layer for block in network.blocks for layer in block], *network.outputs]
    shapes = [layer.full_kernel.shape for layer in layers]
    assert shapes[0] == (7, 7, 3, 258)
    assert shapes[1:4] == [(1, 1, 258, 129), (3, 3, 129, 129), (1, 1, 129, 258)]
    assert len(shapes) == 1 + 3 * 15 + 3
    assert shapes[-2:] == [(1, 1, 1023, 1023), (1, 1, 1023, 768)]


# What it sees --------------------------------------------------------------------------------------------------------


def test_the_receptive_field_grows_with_the_blocks_and_has_a_blind_spot():
    """From the bottom row of 8 x 9 pixels: a cone upwards that never bends to the right of its edge (Gated PixelCNN paper,
    figure 1); the missing pixels are no matter of depth."""
    expected = """
        111111111
        111111111
        111111110
        111111100
        111111000
        111100000
    """
    rows = [[character == "1" for character in line] for line in expected.split()]
    dist = tfar.PixelCNN([6, 9], filters=2, num_blocks=8, first_kernel_size=3)
    np.testing.assert_array_equal(dist.receptive_field(5, 4), rows)
    shallow = tfar.PixelCNN([6, 9], filters=2, num_blocks=1, first_kernel_size=3)
    seen = shallow.receptive_field(5, 4)
    assert seen.sum() == 5 + 4 + 2 and seen[3, 2:7].all() and seen[4, 2:6].all() and seen[5, 2:4].all()


def test_channels_see_the_channels_before_them():
    dist = tfar.PixelCNN([2, 2, 3], filters=6, num_blocks=1)
    for channel, expected in enumerate(([0, 0, 0], [1, 0, 0], [1, 1, 0])):
        seen = dist.receptive_field(1, 1, channel)
        np.testing.assert_array_equal(seen[1, 1], np.array(expected, bool))
        assert seen[0].all() and seen[1, 0].all()
    with pytest.raises(ValueError, match="Expected `channel` below 3; received 3"):
        dist.receptive_field(1, 1, 3)
    with pytest.raises(ValueError, match="Expected `row` to be an int of at least 0"):
        dist.receptive_field(-1, 1)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"first_kernel_size": 1}, "row 0, column 1, channel 0"),
        ({"first_kernel_size": [1, 3]}, "row 1, column 0, channel 0"),
        ({"first_kernel_size": [3, 1]}, "row 0, column 1, channel 0"),
        ({"event_shape": [3, 1], "first_kernel_size": [1, 7], "kernel_size": 1}, "row 1, column 0, channel 0"),
    ],
)
def test_kernels_that_leave_pixels_in_the_dark_are_errors(arguments, where):
    with pytest.raises(ValueError, match=f"every value but the first sees an earlier one; {where} sees none"):
        tfar.PixelCNN(**{"event_shape": [3, 3], "filters": 2, "num_blocks": 0, **arguments})


# Draws ---------------------------------------------------------------------------------------------------------------


@EACH
def test_steps_read_matrices(name):
    """With an axis for its one channel, a product of one image costs four times as much under XLA on a CPU."""
    network = make(name)
    taps = [tensor for key, tensor in network.step_weights().items() if key.endswith("/taps")]
    assert taps and {tensor.shape.rank for tensor in taps} == {3 if name == "colours" else 2}


def test_lower_halves_are_completed_and_other_patterns_are_errors():
    dist = tfar.PixelCNN([4, 4], filters=4, num_blocks=1, jit_compile=False)
    x = np.random.default_rng(0).integers(0, 2, (3, 4, 4)).astype(np.float32)
    observed = np.zeros([4, 4], bool)
    observed[:2], observed[2, :3] = True, True
    drawn = np.asarray(dist.complete(x, observed, seed=1))
    np.testing.assert_array_equal(drawn[:, observed], x[:, observed])
    with pytest.raises(ValueError, match=r"Expected the observed sites to come first.*Flip or rotate the images"):
        dist.complete(x, ~observed, seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_shape": [4]}, r"Expected `event_shape` to be \[H, W\] or \[H, W, C\]; received \[4\]"),
        ({"event_shape": [4, 0]}, "Expected `event_shape`"),
        ({"filters": 5}, "Expected `filters` to be a multiple of 2"),
        ({"filters": 4, "event_shape": [2, 2, 3]}, "Expected `filters` to be a multiple of 6"),
        ({"output_filters": [4], "event_shape": [2, 2, 3]}, "Expected `output_filters` to be a multiple of 3"),
        ({"num_blocks": -1}, "Expected `num_blocks` to be an int of at least 0; received -1"),
        ({"kernel_size": [3, 3, 3]}, "Expected `kernel_size` to be an int or two"),
        ({"first_kernel_size": 0}, "Expected `first_kernel_size`"),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.PixelCNN(**{"event_shape": [4, 4], "filters": 6, **arguments})
