"""WaveNet as a distribution: conditions at their times, streams, forecasts, audio of 16 bits, and what it refuses."""

import copy
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import randomize
from tfar.networks import WaveNetNetwork
from tfar.testing.errors import CheckError

SMALL = {"filters": 3, "skip_filters": 4, "num_layers": 2, "num_stacks": 1, "jit_compile": False}
BOTH = {"conditional_shape": {"speaker": (2,), "features": (None, 2)}}


def wavenet(event_shape=(None,), head=None, **kwargs):
    return randomize(tfar.WaveNet(event_shape, head=head or tfar.heads.Categorical(5), **{**SMALL, **kwargs}))


def condition(num_rows, frames, seed=0):
    generator = np.random.default_rng(seed)
    speaker, features = generator.normal(size=(num_rows, 2)), generator.normal(size=(num_rows, frames, 2))
    return {"speaker": speaker.astype(np.float32), "features": features.astype(np.float32)}


# Conditions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hop_length", "upsampling"), [(1, "repeat"), (3, "repeat"), (2, "learned")])
def test_a_time_depends_on_its_own_frame_of_the_condition(hop_length, upsampling):
    dist = wavenet(hop_length=hop_length, upsampling=upsampling, **BOTH)
    if upsampling == "learned":
        dist.network.upsample["condition_features"].kernel.assign(
            np.broadcast_to(np.array([0.0, 1.0, 0.0])[:, None, None], [3, 2, 2])
        )
    x = np.ones([1, 12], np.float32)
    own, changed = condition(1, 12), condition(1, 12)
    frame = 2
    changed["features"][0, frame] += 1.0
    params = [dist.network(tf.constant(x), tf.nest.map_structure(tf.constant, c)) for c in (own, changed)]
    first = np.flatnonzero(np.abs(params[0] - params[1]).max(axis=(0, 2)) > 1e-7)
    # The second layer also reads the features of the first one two times earlier.
    times = np.arange(frame * hop_length, (frame + 1) * hop_length)
    np.testing.assert_array_equal(first, np.union1d(times, times + 2))


def test_a_condition_that_changes_at_every_time_is_the_same_in_pass_and_steps():
    dist = wavenet(**BOTH).with_length(6)
    tfar.testing.check_steps(dist)
    tfar.testing.check_samplers_agree(dist)


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_condition_that_steps_read_shifted_by_one_is_found(shift):
    right = WaveNetNetwork._at
    planted = lambda self, projected, index: right(self, projected, tf.maximum(index + shift, 0))  # noqa: E731
    dist = wavenet(**BOTH).with_length(6)
    with mock.patch.object(WaveNetNetwork, "_at", planted), pytest.raises(CheckError, match="steps to give"):
        tfar.testing.check_steps(dist)


def fitted(delay):
    """Bits a value after a short fit to random bits, with the bits themselves as features."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, size=(256, 8)).astype(np.float32)
    features = np.roll(x, delay, axis=1)
    features[:, :delay] = 0.0
    sizes = {**SMALL, "filters": 8, "skip_filters": 8, "jit_compile": True}
    dist = tfar.WaveNet([8], head=tfar.heads.Bernoulli(), conditional_shape=[8, 1], **sizes)
    model = tfar.training.DensityModel(dist)
    model.compile(keras.optimizers.Adam(0.05))
    data = {"value": x, "conditional_input": 2.0 * features[..., None] - 1.0}
    model.fit(data, epochs=12, batch_size=32, verbose=0)
    nll = -dist.log_prob(x, conditional_input=data["conditional_input"])
    return float(tf.reduce_mean(nll)) / 8 / np.log(2.0)


@pytest.mark.slow(ci=True)
def test_features_that_are_the_signal_leave_almost_no_bits():
    assert fitted(delay=0) < 0.02
    assert fitted(delay=1) > 0.8


@pytest.mark.parametrize("call", ["log_prob", "sample", "complete", "fixed_point"])
def test_too_few_frames_are_an_error_with_the_numbers(call):
    dist, x, c = wavenet(hop_length=3, **BOTH), np.zeros([2, 7], np.float32), condition(2, 2)
    calls = {
        "log_prob": lambda: dist.log_prob(x, conditional_input=c),
        "sample": lambda: dist.sample(seed=1, length=7, conditional_input=c),
        "complete": lambda: dist.complete(x, np.arange(7) < 2, conditional_input=c),
        "fixed_point": lambda: dist.sample(seed=1, length=7, conditional_input=c, method="fixed_point"),
    }
    with pytest.raises(ValueError, match="frames 2 x hop 3 = 6 < T = 7"):
        calls[call]()


def test_an_export_with_too_few_frames_gives_nan():
    dist = wavenet(hop_length=2, **BOTH)
    signature = tfar.serving.signatures.signatures(dist)["sample_from_noise"].concrete()
    for frames, expected in ((3, False), (2, True)):
        c = {f"conditional_{name}": tf.constant(part) for name, part in condition(2, frames).items()}
        found = signature(noise=tf.fill([2, 6, 1], 0.5), **c)["value"]
        assert np.isnan(found).all() == np.isnan(found).any() == expected


def test_more_frames_than_the_event_needs_are_cropped_at_the_end():
    dist, x, c = wavenet(hop_length=2, **BOTH), np.ones([2, 5], np.float32), condition(2, 5)
    short = {**c, "features": c["features"][:, :3]}
    np.testing.assert_array_equal(dist.log_prob(x, conditional_input=c), dist.log_prob(x, conditional_input=short))


# Streams and forecasts -----------------------------------------------------------------------------------------------


def test_chunks_of_a_stream_equal_the_sample():
    dist = wavenet(head=tfar.heads.NormalMixture(2))
    stream = dist.stream(seed=3, num_samples=2, chunk=4)
    np.testing.assert_array_equal(tf.concat([next(stream) for _ in range(3)], 1), dist.sample(2, seed=3, length=12))
    assert next(dist.stream(seed=3, chunk=4)).shape == (4,)


def test_a_stream_after_a_prefix_equals_the_completion():
    dist = wavenet(hop_length=2, **BOTH)
    x, c = dist.sample(seed=1, length=10, conditional_input=condition(3, 5)), condition(3, 5)
    expected = dist.complete(x, np.arange(10) < 3, seed=7, conditional_input=c)
    stream = dist.stream(seed=7, prefix=x[:, :3], conditional_input=c, chunk=4)
    parts = list(stream)  # It ends with the condition.
    assert [part.shape[1] for part in parts] == [4, 3]
    np.testing.assert_array_equal(tf.concat([x[:, :3], *parts], 1), expected)


def test_a_stream_of_a_copy_with_a_length_ends_there():
    dist = wavenet((None, 2), one_hot_inputs=False)
    parts = list(dist.with_length(5).stream(seed=2, num_samples=2, chunk=3))
    np.testing.assert_array_equal(tf.concat(parts, 1), dist.sample(2, seed=2, length=5))


def test_forecasts_follow_the_law_of_what_comes_next():
    dist, prefix = wavenet(head=tfar.heads.Categorical(3)), np.array([[0, 1, 2], [2, 2, 0]], np.float32)
    forecast = dist.forecast(prefix, 1, num_samples=4000, seed=1)
    assert forecast.samples.shape == (4000, 2, 1)
    for row in range(2):
        events = np.array([[*prefix[row], k] for k in range(3)], np.float32)
        probs = np.exp(dist.log_prob(events))
        counts = np.bincount(np.asarray(forecast.samples[:, row, 0], int), minlength=3)
        assert tfar.testing.samples.chi_square(counts, 4000 * probs / probs.sum())[2] > 1e-4
    np.testing.assert_allclose(forecast.mean(), np.mean(forecast.samples, axis=0), rtol=1e-6)
    found, expected = forecast.quantile([0.1, 0.9]), np.quantile(forecast.samples, [0.1, 0.9], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    with pytest.raises(ValueError, match=r"`q` in \[0, 1\]"):
        forecast.quantile(90)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wavenet((4,)).stream(seed=1), "any length for `stream`"),
        (lambda: wavenet((4,)).forecast([0.0], 2), "any length for `forecast`"),
        (lambda: wavenet().stream(seed=1, chunk=0), "`chunk`"),
        (lambda: wavenet().stream(seed=1, prefix=[0.5]), "site 0"),
        (lambda: wavenet().forecast([0.0], 0), "`horizon`"),
        (lambda: wavenet((2, 3, 4)), "`event_shape`"),
        (lambda: wavenet(kernel_size=1), "`kernel_size`"),
        (lambda: wavenet(upsampling="linear"), "`upsampling`"),
        (lambda: wavenet(head=tfar.heads.Bernoulli(), one_hot_inputs=True), "`one_hot_inputs`"),
        (lambda: wavenet(conditional_shape=[2, 3, 4]), "`conditional_shape`"),
        (lambda: wavenet(conditional_shape=[None]), "`conditional_shape`"),
        (lambda: wavenet((4096,), conditional_shape=[50, 2], hop_length=80), "frames 50 x hop 80 = 4000 < T = 4096"),
    ],
)
def test_wrong_arguments_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Sizes ---------------------------------------------------------------------------------------------------------------


def test_the_receptive_field_and_the_number_of_weights_of_the_benchmark():
    """10 x 3 layers of 32, 32 + 32 and 256 features; 9 x 2 layers see 1024 earlier samples."""
    assert tfar.WaveNet([None], **{**SMALL, "num_layers": 9, "num_stacks": 2}).receptive_field == 1024
    dist = tfar.WaveNet([None])
    kernels = 2 * 256 * 32 + 30 * 2 * 32 * 64 + 29 * 32 * 32 + 30 * 32 * 256 + 256 * 256 + 256 * 256
    biases = 32 + 30 * 64 + 29 * 32 + 256 + 256 + 256
    assert sum(v.shape.num_elements() for v in dist.variables) == kernels + biases


def test_audio_of_16_bits_resolves_single_levels():
    """The floor of the scale is below the distance of two levels, in scores and in draws."""
    head = tfar.heads.DiscretizedLogisticMixture(1, low=-32768, high=32767, num_channels=1)
    assert np.log(head.min_scale) < -np.log(65535)
    params = tf.constant([[0.0, 1.0 / 65535.0, -20.0]])  # at the level 0, at the floor
    assert float(tf.exp(head.log_prob(params, [[0.0]]))[0]) > 0.95
    draws = head.sample(tf.repeat(params, 100, axis=0), np.random.default_rng(0).uniform(0.001, 0.999, (100, 2)))
    assert (np.asarray(draws) == 0.0).mean() > 0.9
    assert float(tf.reduce_sum(head.probs(params))) == pytest.approx(1.0, abs=1e-5)
    dist = wavenet((None, 1), head=head)
    assert dist.sample(2, seed=1, length=4).shape == (2, 4, 1)


def test_copies_and_files(tmp_path):
    dist, x, c = wavenet(hop_length=2, **BOTH), np.ones([2, 6], np.float32), condition(2, 3)
    expected = dist.log_prob(x, conditional_input=c)
    tfar.training.DensityModel(dist).save(tmp_path / "wavenet.keras")
    for other in (copy.deepcopy(dist), tfar.load(tmp_path / "wavenet.keras")):
        np.testing.assert_allclose(other.log_prob(x, conditional_input=c), expected, rtol=1e-6)


def test_mixed_precision_scores_close_to_float32(dtype_policy):
    exact = wavenet()
    dtype_policy("mixed_bfloat16")
    half = wavenet()
    x = exact.sample(3, seed=1, length=8)
    assert half.log_prob(x).dtype == tf.float32
    np.testing.assert_allclose(half.log_prob(x), exact.log_prob(x), rtol=0.05, atol=0.2)
    assert half.sample(2, seed=1, length=8).shape == (2, 8)
