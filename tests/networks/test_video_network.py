"""The network of the Video Pixel Network: what it sees, faults that others have made, conditions, context frames, arguments."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_models as models
from tests.conformance.facts import Facts
from tests.parameters import few_by_default
from tests.registry import BY_NAME, randomize
from tfar.layers import ConvLSTM
from tfar.networks import VideoNetwork, frame_decoder
from tfar.networks.frame_decoder import FrameDecoder

SMALL = {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "first_kernel_size": 3}


def make(event_shape=(3, 2, 3), **kwargs):
    return randomize(tfar.VideoPixelNetwork(event_shape, **{**SMALL, **kwargs}), scale=0.4)


def videos(dist, rows=2, seed=1):
    return np.random.default_rng(seed).integers(0, 2, (rows, *dist.event_shape)).astype(np.float32)


def test_config_round_trip():
    network = make(conditional_shape={"action": (3, 2)}, dilation_rates=[2, 1], num_encoder_blocks=2).network
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    fresh = tfar.VideoPixelNetwork((3, 2, 3), **SMALL, seed=4).network
    weights = [np.asarray(v) for v in fresh.variables if len(v.shape) > 1]
    assert len({w.tobytes() for w in weights}) == len(weights)  # Every kernel has a seed of its own.


def test_the_sizes_are_those_of_the_paper():
    """2 c between the blocks and c inside of them, dilations 1, 2, 4, 8 twice, and an LSTM of 2 c (sections 4 and 5.1)."""
    network = tfar.VideoPixelNetwork([3, 8, 8], filters=4).network
    assert [[layer.dilation_rate for layer in block] for block in network.encoder] == [
        [d] * 4 for d in [1, 2, 4, 8] * 2
    ]
    for block in network.encoder:
        assert [layer.kernel.shape for layer in block] == [(1, 1, 8, 4), (3, 3, 4, 16), (3, 3, 4, 16), (1, 1, 4, 8)]
    for block in network.decoder.blocks:
        shapes = [layer.full_kernel.shape for layer in block]
        assert shapes == [(1, 1, 8, 4), (3, 3, 4, 16), (3, 3, 4, 16), (1, 1, 4, 8)]
    assert (len(network.decoder.blocks), network.lstm.kernel.shape) == (12, (3, 3, 8, 32))


# What it sees --------------------------------------------------------------------------------------------------------


def test_a_pixel_sees_its_past_in_a_cone_and_its_frame_in_raster_order():
    """Without blocks in the encoder: one pixel around for each frame by the LSTM, one by the first layer of the encoder.

    In its own frame, the decoder sees two pixels further by each unit of its block, and the state at each of these pixels.
    """
    dist = tfar.VideoPixelNetwork((3, 9, 9), filters=2, num_encoder_blocks=0, num_decoder_blocks=1, first_kernel_size=3)
    seen = dist.network.influences([2 * 81 + 4 * 9 + 4]).reshape(3, 9, 9)
    assert not seen[2, 4, 4:].any() and not seen[2, 5:].any() and seen[2, 4, 1:4].all()
    rows = np.flatnonzero(seen[1].any(axis=1))
    assert (rows.min(), rows.max()) == (0, 6)  # Two rows up by the units and two by the encoder and the LSTM; two down.
    assert np.flatnonzero(seen[0].any(axis=1)).max() == 7
    first = dist.network.influences(np.arange(81)).reshape(81, 3, 81)
    assert not first[:, 1:].any() and (first[:, 0] <= np.tri(81, k=-1, dtype=bool)).all()


def test_two_stacks_see_what_the_decoder_of_the_paper_misses():
    """Masked convolutions miss pixels to the upper right, however many blocks there are."""
    before = np.tri(81, k=-1, dtype=bool)[4 * 9 + 4].reshape(9, 9)
    seen = {}
    for decoder in ("multiplicative", "gated"):
        dist = tfar.VideoPixelNetwork((2, 9, 9), filters=2, num_encoder_blocks=0, num_decoder_blocks=8, decoder=decoder)
        seen[decoder] = dist.network.influences([81 + 4 * 9 + 4]).reshape(2, 9, 9)
    np.testing.assert_array_equal(seen["gated"][1], before)
    missed = before & ~seen["multiplicative"][1]
    assert missed[3, 8] and not missed[:, :5].any()


def test_two_stacks_have_the_width_of_the_blocks_between_them():
    network = tfar.VideoPixelNetwork([3, 8, 8], filters=4, decoder="gated").network
    assert network.decoder.filters == 8
    assert network.decoder.num_blocks == 12
    assert network.decoder.output_filters == (8,)


# Faults --------------------------------------------------------------------------------------------------------------


class UnitWithMaskA(FrameDecoder):
    """A decoder whose first masked layer is the convolution inside of a multiplicative unit, without a residual connection."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.first.mask_type, self.blocks[0][1].mask_type = "B", "A"

    def flow(self, run, image, conditions):
        h = run(self.blocks[0][0], run(self.first, image))
        unit = frame_decoder.multiplicative_unit
        context = run.condition(conditions["condition_0"])
        return self._outputs(run, run(self.blocks[0][3], run(unit, run(self.blocks[0][1], h), h)) + context)


@pytest.mark.parametrize("has_identity", few_by_default([True, False]))
def test_the_identity_path_of_a_unit_leaks_through_mask_a(has_identity):
    """What a public implementation has to treat as a special case. The check of dependences finds it."""
    unit = frame_decoder.multiplicative_unit if has_identity else without_identity
    with (
        mock.patch.dict("tfar.networks.video.DECODERS", multiplicative=(UnitWithMaskA, 1)),
        mock.patch.object(frame_decoder, "multiplicative_unit", unit),
    ):
        dist = make((2, 1, 3), first_kernel_size=(1, 1))
        x = tf.constant(videos(dist, 1))
        with tf.GradientTape() as tape:
            tape.watch(x)
            params = tf.reshape(dist.network(x), [-1])
        own = np.diag(np.asarray(tape.jacobian(params, x)).reshape(6, 6))
        assert (own != 0.0).all() if has_identity else (own == 0.0).all()
        if has_identity:
            with pytest.raises(tfar.testing.CheckError):
                tfar.testing.check_autoregressive(dist)


def shifted(right):
    return lambda self, given: tf.roll(right(self, given), 1, axis=1)


def without_identity(sums, h, group_size=None):
    first, _, third, update = tf.split(sums, 4, axis=-1)
    return tf.sigmoid(first) * tf.tanh(tf.sigmoid(third) * tf.tanh(update))


def no_frame_before(self, batch_size, spatial=()):
    return tf.ones([batch_size, 2, *spatial, self.filters])


def the_frame_itself(right):
    """The state after the frame itself, where that after the frame before belongs."""

    def call(self, x, *args, **kwargs):
        moved = tf.concat([x[:, 1:], x[:, -1:]], axis=1)
        with mock.patch.object(
            type(self), "_inputs", lambda self, values, count: inputs(self, self._sites(moved), count)
        ):
            return right(self, x, *args, **kwargs)

    inputs = VideoNetwork._inputs
    return call


FAULTS = {
    "the state has seen the frame itself": (
        models.test_influences_equal_the_connectivity_of_the_case,
        "VideoPixelNetwork-binary",
        lambda: mock.patch.object(VideoNetwork, "call", the_frame_itself(VideoNetwork.call)),
    ),
    "actions of the frame before": (
        models.test_log_prob_equals_the_paper,
        "VideoPixelNetwork-actions",
        lambda: mock.patch.object(VideoNetwork, "_by_frame", shifted(VideoNetwork._by_frame)),
    ),
    "units without the identity path": (
        models.test_log_prob_equals_the_paper,
        "VideoPixelNetwork-binary",
        lambda: mock.patch("tfar.networks.frame_decoder.multiplicative_unit", without_identity),
    ),
    "the first state is not zeros": (
        models.test_log_prob_equals_the_paper,
        "VideoPixelNetwork-binary",
        lambda: mock.patch.object(ConvLSTM, "start", no_frame_before),
    ),
}


@pytest.mark.parametrize("fault", few_by_default(FAULTS, count=1))
def test_faults_of_other_implementations_are_found(fault):
    """Of public networks, and of what is easily missed: each would be found by the conformance tests."""
    check, case, plant = FAULTS[fault]
    with plant(), pytest.raises((AssertionError, tfar.testing.CheckError)):
        check(Facts(BY_NAME[case]))


# Conditions and context ----------------------------------------------------------------------------------------------


def test_an_action_reaches_its_frame_and_those_after_it_and_none_before():
    dist = make(conditional_shape=(3, 2))
    x, actions = tf.constant(videos(dist, 1)), np.zeros((1, 3, 2), np.float32)
    before = np.asarray(dist.network(x, tf.constant(actions))).reshape(3, -1)
    for t in range(3):
        moved = actions.copy()
        moved[0, t] += 1.0
        is_changed = np.asarray(dist.network(x, tf.constant(moved))).reshape(3, -1) != before
        assert not is_changed[:t].any() and is_changed[t:].all()


@pytest.mark.slow(ci=True)
def test_frames_of_context_count_nothing_in_the_loss():
    """The loss is the negative log-probability of the other frames given them, and has its gradient."""
    dist = make()
    x, is_given = videos(dist), np.broadcast_to(np.arange(3)[:, None, None] < 1, (3, 2, 3))
    weight = tf.constant(np.float32(~is_given).reshape(1, -1).repeat(2, 0))
    found = dist.law.training_loss(tf.constant(x), None, tf.constant([0, 1]), site_weight=weight)
    pattern = tf.constant(is_given.reshape(1, -1).repeat(2, 0))
    whole, context = dist.law.log_prob(tf.constant(x)), dist.law.log_prob(tf.constant(x), observed=pattern)
    np.testing.assert_allclose(found, context - whole, rtol=1e-4)
    assert (np.abs(context) > 0.1).all()


@pytest.mark.slow(ci=True)
def test_a_video_is_continued_from_its_first_frames():
    """The given frames stay, and the draws of the others are those of whole passes with the same noise."""
    dist = make()
    x, is_given = videos(dist, 40), np.broadcast_to(np.arange(3)[:, None, None] < 2, (3, 2, 3))
    seeds, pattern = tfar.random.row_seeds(2, 40), tf.constant(is_given.reshape(1, -1).repeat(40, 0))
    found = np.asarray(dist.law.complete(seeds, tf.constant(x), pattern))
    np.testing.assert_array_equal(found[:, :2], x[:, :2])
    assert len(np.unique(found[:, 2].reshape(40, -1), axis=0)) > 10
    noise = dist.law.uniform_noise(seeds)
    draws = np.asarray(dist.head.sample(dist.network(tf.constant(found)), noise)).reshape(found.shape)
    assert (draws[:, 2] == found[:, 2]).mean() > 0.999


def test_a_frame_is_encoded_once():
    """The number of encodings in the loop over steps does not depend on the number of pixels."""
    dist, calls = make(), []
    encode = VideoNetwork._encode
    with mock.patch.object(VideoNetwork, "_encode", lambda *args: calls.append(0) or encode(*args)):
        dist.network.step_weights()
        state, previous, count = dist.network.start(1), tf.zeros([1, 1]), len(calls)
        for index in range(18):
            for level, length in enumerate(dist.network.stages):
                if index % length == 0:
                    state = dist.network.start_stage(level, state, tf.constant(index // length), previous)
            _, state = dist.network.step(state, tf.constant(index), previous)
    assert len(calls) - count == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"event_shape": [4, 4]},
            r"Expected `event_shape` to be \[T, H, W\] or \[T, H, W, C\] of at least two frames; received",
        ),
        ({"event_shape": [1, 4, 4]}, "A single frame is an image, for which there is PixelCNN"),
        ({"event_shape": [2, 2, 2, 3]}, "Expected `filters` to be a multiple of 3"),
        ({"num_decoder_blocks": 0}, "Expected `num_decoder_blocks` to be an int of at least 1; received 0"),
        ({"num_encoder_blocks": -1}, "Expected `num_encoder_blocks`"),
        ({"dilation_rates": []}, "Expected `dilation_rates` to hold at least one int"),
        ({"lstm_filters": 0}, "Expected `lstm_filters` to be an int of at least 1; received 0"),
        (
            {"conditional_shape": [4, 2]},
            r"\[3, k\] of a vector for each frame, or a dict of such shapes; received \[4, 2\]",
        ),
        ({"first_kernel_size": 1}, "row 0, column 1, channel 0 sees none"),
        (
            {"decoder": "pixelcnn"},
            r"Expected `decoder` to be one of \['gated', 'multiplicative'\]; received 'pixelcnn'",
        ),
        (
            {"decoder": "gated", "first_kernel_size": [1, 3]},
            r"Expected `first_kernel_size` of height at least 2; received \(1, 3\)",
        ),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.VideoPixelNetwork(**{"event_shape": [3, 4, 4], **SMALL, **arguments})
