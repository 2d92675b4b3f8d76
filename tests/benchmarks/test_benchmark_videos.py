"""The benchmark of videos: bounds from the process, scores of predicted frames, the baseline, and the PyTorch peer."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from benchmarks import videos
from benchmarks.models import video_pixel_network
from benchmarks.peers import torch_video
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import log_prob_call, train_step_call
from tests.reference import made
from tests.reference import video_pixel_network as reference
from tests.registry import randomize
from tfar.data import wandering

# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "velocity"), [([9, 9], [1, -2]), ([0, 18], [-2, 1])])
def test_next_positions_are_those_of_the_process(position, velocity):
    """In the middle, and in a corner, where walls reflect."""
    found = videos.next_positions(np.array(position), np.array(velocity))
    assert sum(found.values()) == pytest.approx(1.0)
    rng, counts, num_draws = np.random.default_rng(0), {}, 40_000
    for _ in range(num_draws):
        step = rng.integers(-2, 3, 2) if rng.random() < wandering.REDRAW_PROBABILITY else np.array(velocity)
        end = tuple(wandering.moved(np.array(position), step)[0])
        counts[end] = counts.get(end, 0) + 1
    assert set(counts) == set(found)
    for end, count in counts.items():
        assert count / num_draws == pytest.approx(found[end], abs=0.01)


def test_the_entropies_of_a_step():
    """Of a single pixel in the middle: 25 positions, one of which has probability 0.76, are as many frames."""
    digits, p = np.zeros((1, 14, 14)), np.array([0.76] + [0.01] * 24)
    digits[0, 0, 0] = 1.0
    entropy, apart = videos._of_step(digits, np.array([[9, 9]]), np.array([[1, 0]]))
    assert entropy == pytest.approx(-(p * np.log(p)).sum())
    assert apart == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(), rel=1e-5)


def test_two_digits_cover_each_other():
    """A pixel is off if both are off."""
    digits = np.ones((2, 14, 14))
    _, apart = videos._of_step(digits, np.array([[9, 9], [9, 9]]), np.array([[0, 0], [0, 0]]))
    _, one = videos._of_step(digits[:1], np.array([[9, 9]]), np.array([[0, 0]]))
    is_on = np.zeros((32, 32))
    for (row, column), chance in videos.next_positions(np.array([9, 9]), np.array([0, 0])).items():
        is_on[row : row + 14, column : column + 14] += chance
    p = np.clip((1.0 - is_on) ** 2, 1e-12, 1.0 - 1e-12)
    assert apart == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(), rel=1e-5)
    assert apart != pytest.approx(one, rel=1e-3)


# Scores --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_only_predicted_frames_count():
    rows = np.random.default_rng(0).integers(0, 2, (3, 10, 2, 2)).astype(np.float32)
    splits = videos.VideoSplits("wandering_mnist_2", rows, rows, rows, "")
    for split, num_given in (("train", 2), ("valid", 5)):
        weight = splits.examples(split)["site_weight"][:, :, 0, 0]
        np.testing.assert_array_equal(weight, [[0] * num_given + [1] * (10 - num_given)] * 3)
    sizes = {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "first_kernel_size": 3}
    dist = randomize(tfar.VideoPixelNetwork([10, 2, 2], jit_compile=False, **sizes), scale=0.4)
    is_given = np.broadcast_to(np.arange(10)[:, None, None] < 5, (10, 2, 2))
    expected = (dist.log_prob(rows) - dist.log_prob(rows, observed=is_given)) / 5
    np.testing.assert_allclose(videos.predicted_log_prob(dist)(rows), expected, rtol=1e-4)


@pytest.mark.slow(ci=True)
def test_the_pixels_of_the_baseline_depend_on_past_frames_alone():
    sizes = {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "lstm_filters": 3}
    dist = randomize(video_pixel_network.factorized_video((3, 2, 2), seed=0, **sizes), scale=0.4)
    x = tf.constant(np.random.default_rng(0).integers(0, 2, (1, 3, 2, 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        params = tf.reshape(dist.network(x), [-1])
    depends = np.asarray(tape.jacobian(params, x)).reshape(12, 12) != 0.0
    frames = np.arange(12) // 4
    np.testing.assert_array_equal(depends, frames[:, None] > frames[None, :])


# Peer ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_torch_video_log_prob_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_video.make_network(2, 1, 2, 3)
    found = {name: np.asarray(v.detach(), np.float64) for name, v in network.named_parameters()}
    names = {"first": "encoder_first", "masked": "decoder/first", "outputs.1": "decoder/output_1"}
    names |= {"outputs.3": "decoder/params", "input": "lstm"}
    for prefix, ours, count in (("encoder", "encoder_", 1), ("decoder", "decoder/block_", 2)):
        for n in range(count):
            parts = {"0": "in", "1.gates": "unit_1", "2.gates": "unit_2", "3": "out"}
            names |= {f"{prefix}.{n}.{part}": f"{ours}{n + 1}_{name}" for part, name in parts.items()}
    weights = {}
    for theirs, name in names.items():
        weights[f"{name}/kernel"] = found[f"{theirs}.weight"].transpose(2, 3, 1, 0)
        weights[f"{name}/bias"] = found[f"{theirs}.bias"]
    weights["lstm/recurrent_kernel"] = found["state.weight"].transpose(2, 3, 1, 0)
    weights["decoder/condition_context/kernel"] = found["context.weight"][:, :, 0, 0].T
    x = random_bits(2, 3 * 4 * 5, seed=1).reshape(2, 3, 4, 5)
    params = [reference.parameters(weights, video[..., None].astype(np.float64), 1, [1])[..., 0] for video in x]
    expected = [
        sum(made.bernoulli([logit], bit) for logit, bit in zip(own.ravel(), video.ravel(), strict=True))
        for own, video in zip(params, x, strict=True)
    ]
    call = log_prob_call(functools.partial(torch_video.losses, network), x)
    np.testing.assert_allclose(call(), expected, rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_torch_video_trains_and_draws_a_pixel():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    sizes = {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "lstm_filters": 3}
    contestant = torch_video.build((2, 4, 5), 3, one_pixel="sample, one pixel", **sizes)
    network, rows = torch_video.make_network(**sizes), np.ones((3, 2, 4, 5), np.float32)
    step = train_step_call(network, functools.partial(torch_video.losses, network), rows, 3)
    losses = [step() for _ in range(150)]
    assert losses[-1] < 0.9 * losses[0]
    assert np.isfinite(contestant.operations["train_step"]["eager"]())
    frames = contestant.operations["sample, one pixel"]["eager"]()
    assert frames.shape == (3, 1, 4, 5) and set(np.unique(frames)) <= {0.0, 1.0}
    dist = tfar.VideoPixelNetwork([2, 4, 5], **sizes)
    assert contestant.parameters == sum(int(np.prod(v.shape)) for v in dist.trainable_variables)
