"""The discretised mixture of logistics against direct sums in float64, at the edges, and as a law that is sampled."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from scipy import stats

import tfar
from tests.reference import logistics
from tfar.heads import DiscretizedLogisticMixture

ALPHA = 1e-4
SIZES = pytest.mark.parametrize(
    ("num_components", "low", "high", "num_channels", "companding"),
    [
        (3, 0, 4, 1, None),
        (2, 0, 2, 3, None),
        (2, -1, 2, 2, None),
        (1, 3, 4, 3, None),
        (4, 0, 255, 1, None),
        (2, -1, 2, 2, 5.0),
        (3, 0, 254, 1, 255),
    ],
)


def make(num_components=2, low=0, high=3, num_channels=2, companding=None):
    return DiscretizedLogisticMixture(num_components, low, high, num_channels, companding=companding)


def count(head):
    return head.support().num_values


def all_values(head):
    levels = range(head.low, head.high + 1)
    return np.array(list(itertools.product(levels, repeat=head.num_channels)), np.float32)


def random_params(head, rows, scale=1.5, seed=0):
    return np.random.default_rng(seed).normal(0.0, scale, (rows, head.params_size)).astype(np.float32)


@SIZES
def test_log_prob_equals_direct_sums(num_components, low, high, num_channels, companding):
    head = make(num_components, low, high, num_channels, companding)
    params = random_params(head, 60)
    x = np.random.default_rng(1).integers(low, high + 1, (60, num_channels)).astype(np.float32)
    x[0], x[1] = low, high
    how = (num_components, low, high, np.exp(-7.0), companding)
    expected = [logistics.pixel_prob(p, v, *how) for p, v in zip(params, x, strict=True)]
    log_prob = head.log_prob(params, x)
    assert log_prob.dtype == tf.float32 and log_prob.shape == (60,)
    np.testing.assert_allclose(log_prob, np.log(expected), rtol=3e-5, atol=3e-6)


@SIZES
@pytest.mark.parametrize("scale", [0.5, 3.0, 30.0])
def test_probabilities_sum_to_one(num_components, low, high, num_channels, companding, scale):
    head = make(num_components, low, high, num_channels, companding)
    params = random_params(head, 30, scale)
    probs = head.probs(params).numpy()
    assert probs.shape == (30, count(head) ** num_channels)
    np.testing.assert_allclose(probs.astype(np.float64).sum(-1), 1.0, atol=1e-5)
    of_one = head.log_prob(np.repeat(params[:1], len(all_values(head)), 0), all_values(head))
    np.testing.assert_allclose(probs[0], np.exp(of_one), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("loc", [-1.3, -1.0, 0.1234567, 0.97, 1.0])
@pytest.mark.parametrize("raw_scale", [-200.0, -7.0, -2.0, 5.0, 200.0])
def test_a_channel_of_256_values_sums_to_one_at_every_scale(loc, raw_scale):
    head = make(1, 0, 255, 1)
    probs = head.probs(np.float32([[0.0, loc, raw_scale]])).numpy().astype(np.float64)
    assert abs(probs.sum() - 1.0) < 1e-5


@pytest.mark.parametrize("loc", [-1.0, -0.7, 0.0, 0.0012, 0.4, 0.999])
@pytest.mark.parametrize("raw_scale", [-20.0, -7.0, -3.0, 1.0])
def test_companded_audio_of_16_bits_is_exact_at_quiet_and_at_loud_values(loc, raw_scale):
    """Near the ends, where an interval of a value is 5e-6 wide, and around 0, where two values are far apart."""
    low, high = -32768, 32767
    head, params = make(1, low, high, 1, 255), np.float32([0.0, loc, raw_scale])
    middle = round(np.sign(loc) * np.expm1(abs(loc) * np.log(256)) / 255 * 32767.5)
    near = [min(max(middle + step, low), high) for step in (-400, -30, -2, -1, 0, 1, 2, 30, 400)]
    x = np.array([*near, low, low + 1, -20000, -1, 0, 1, 20000, high - 1, high], np.float32)[:, None]
    min_scale = np.exp(-7.0) * 255 / 65535
    expected = np.log([max(logistics.pixel_prob(params, v, 1, low, high, min_scale, 255), 1e-300) for v in x])
    found = head.log_prob(np.repeat(params[None], len(x), 0), x).numpy()
    likely = expected > -30.0
    # Edges and 1 + exp(raw_scale) are rounded to 6e-8, which is divided by the scale.
    rounding = 2e-7 / (np.log1p(np.exp(raw_scale)) + min_scale)
    np.testing.assert_allclose(found[likely], expected[likely], rtol=2e-5 + rounding, atol=3e-5 + rounding)
    assert float(tf.reduce_sum(tf.cast(head.probs(params[None]), tf.float64))) == pytest.approx(
        1.0, abs=3e-4 + rounding
    )


@pytest.mark.parametrize("extreme", [-200.0, 200.0])
def test_extreme_parameters_stay_finite_with_finite_gradients(extreme):
    head = make(3, 0, 255, 3)
    rng = np.random.default_rng(2)
    params = tf.Variable(rng.choice([extreme, -extreme, 1.0], (300, head.params_size)).astype(np.float32))
    x = rng.choice([0.0, 255.0, 100.0], (300, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, x)
    assert np.isfinite(log_prob).all() and np.isfinite(tape.gradient(log_prob, params)).all()
    for u in (2.0**-24, 1.0 - 2.0**-24):
        draws = head.sample(params, np.full((300, 4), u, np.float32))
        assert np.isfinite(head.log_prob(params, draws)).all()


def test_small_masses_keep_their_digits():
    """Far from the location the mass underflows, its logarithm must not: log F(-2000) is -2000."""
    head = make(1, 0, 255, 1)
    params = np.float32([[0.0, 1.0, -200.0]])  # scale exp(-7), far right
    log_prob = head.log_prob(params, [[0.0]])
    edge = (-1.0 + 1.0 / 255.0 - 1.0) * np.exp(7.0)
    np.testing.assert_allclose(log_prob, [edge], rtol=1e-5)


def test_tflite_gives_the_same_at_the_extremes():
    head = make(2, 0, 255, 3)
    rng = np.random.default_rng(3)
    params = rng.choice([-200.0, 200.0, 0.5], (50, head.params_size)).astype(np.float32)
    x = rng.choice([0.0, 255.0, 7.0], (50, 3)).astype(np.float32)
    noise = rng.uniform(0.01, 0.99, (50, 4)).astype(np.float32)
    specs = [tf.TensorSpec([None, *a.shape[1:]], tf.float32) for a in (params, x, noise)]
    both = tf.function(lambda p, v, u: {"log_prob": head.log_prob(p, v), "draw": head.sample(p, u)}, specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([both.get_concrete_function()])
    interpreter = Interpreter(model_content=converter.convert())
    for detail, array in zip(interpreter.get_input_details(), (params, x, noise), strict=True):
        interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), (params, x, noise), strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    found = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    log_prob, draw = sorted(found, key=np.ndim)
    np.testing.assert_allclose(log_prob, head.log_prob(params, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(draw, head.sample(params, noise))


@pytest.mark.parametrize(
    ("low", "high", "num_channels", "companding"), [(0, 6, 1, None), (0, 3, 2, None), (-1, 1, 3, None), (0, 4, 2, 20.0)]
)
def test_samples_follow_the_probabilities(low, high, num_channels, companding):
    head = make(3, low, high, num_channels, companding)
    params = random_params(head, 1, 0.8, seed=4)
    noise = np.random.default_rng(5).uniform(1e-6, 1.0 - 1e-6, (20_000, head.noise_size)).astype(np.float32)
    draws = head.sample(np.repeat(params, 20_000, 0), noise).numpy()
    assert np.asarray(head.in_support(draws)).all()
    codes = (draws - low) @ (count(head) ** np.arange(num_channels - 1, -1, -1))
    expected = head.probs(params).numpy()[0].astype(np.float64) * 20_000
    counts = np.bincount(codes.astype(int), minlength=len(expected))
    common = expected > 8.0
    folded = [np.append(v[common], v[~common].sum()) for v in (counts, expected)]
    folded = [v if folded[1][-1] > 1.0 else v[:-1] for v in folded]
    assert stats.chisquare(folded[0], folded[1] * folded[0].sum() / folded[1].sum()).pvalue > ALPHA


def test_a_draw_inverts_the_distribution_function_of_rounded_values():
    """u becomes the value whose interval of the distribution function holds it."""
    head = make(1, 0, 255, 1)
    params = np.float32([[0.0, 0.2, -1.5]])
    u = np.linspace(0.0005, 0.9995, 2001).astype(np.float32)
    draws = head.sample(np.repeat(params, len(u), 0), np.stack([np.full_like(u, 0.5), u], -1)).numpy()[:, 0]
    cdf = np.cumsum([logistics.pixel_prob(params[0], [k], 1, 0, 255) for k in range(256)])
    inverse = np.searchsorted(cdf[:-1], u, side="right")
    assert (inverse != draws).mean() < 2e-3 and np.abs(inverse - draws).max() <= 1.0


@pytest.mark.parametrize(("scale", "companding"), [(0.5, None), (3.0, None), (1.0, 20.0)])
def test_noise_of_draws_gives_them_back_and_is_uniform(scale, companding):
    """Of coupled channels: draws of probabilities in float64, not of the head."""
    head, rng = make(2, -1, 2, 2, companding), np.random.default_rng(7)
    params, values = random_params(head, 1, scale, seed=6), all_values(make(2, -1, 2, 2))
    probs = np.array([logistics.pixel_prob(params[0], v, 2, -1, 2, np.exp(-7.0), companding) for v in values])
    x = values[rng.choice(len(values), 20_000, p=probs / probs.sum())]
    uniform = rng.uniform(1e-6, 1.0 - 1e-6, (20_000, 3)).astype(np.float32)
    noise = head.noise(params, x, uniform)
    assert ((np.asarray(noise) > 0.0) & (np.asarray(noise) < 1.0)).all()
    np.testing.assert_array_equal(head.sample(np.repeat(params, 20_000, 0), noise), x)
    for column in np.asarray(noise, np.float64).T:
        assert stats.kstest(column, "uniform").pvalue > ALPHA
    cells = np.histogramdd(np.asarray(noise), bins=3, range=[[0, 1]] * 3)[0].ravel()
    assert stats.chisquare(cells).pvalue > ALPHA


def test_summaries_of_coupled_channels_are_sums_over_their_joint_values():
    head = make(2, -1, 2, 2)
    params, values = random_params(head, 5), all_values(make(2, -1, 2, 2))
    probs = np.array([[logistics.pixel_prob(p, v, 2, -1, 2) for v in values] for p in params])
    dist = head.distribution(params)
    mean = probs @ values
    np.testing.assert_allclose(dist.mean(), mean, rtol=1e-4, atol=1e-5)
    variance = (probs[..., None] * (values - mean[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(dist.variance(), variance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(dist.entropy(), stats.entropy(probs, axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(dist.mode(), values[np.argmax(probs, -1)])


def test_outside_the_support_is_nan_there_alone():
    head = make(2, -1, 2, 2)
    x = np.float32([[0, 0], [0, 3], [-2, 0], [0.5, 0], [np.nan, 0], [0, np.inf], [2, -1]])
    params = tf.Variable(random_params(head, len(x)))
    with tf.GradientTape() as tape:
        log_prob = head.log_prob(params, x)
        loss = tf.reduce_sum(tf.where(tf.math.is_nan(log_prob), 0.0, log_prob))
    assert np.isnan(log_prob).tolist() == [False, True, True, True, True, True, False]
    assert np.isfinite(tape.gradient(loss, params)).all()


def test_nan_parameters_are_not_hidden():
    head = make(1, 0, 3, 1)
    assert np.isnan(head.log_prob([[0.0, np.nan, 0.0]], [[1.0]])).all()


def test_shapes_config_and_lead_axes():
    head = make(5, 0, 255, 3, 30.0)
    assert (head.params_size, head.noise_size, head.site_shape, count(head)) == (5 * 10, 4, (3,), 256)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config() and again.params_size == head.params_size
    params, x = random_params(head, 6), np.zeros((6, 3), np.float32)
    lead = head.log_prob(params.reshape(2, 3, -1), x.reshape(2, 3, 3))
    np.testing.assert_array_equal(tf.reshape(lead, [-1]), head.log_prob(params, x))
    assert head.log_prob(params.astype(np.float16), x).dtype == tf.float32


def test_what_is_wrong_is_refused():
    for arguments in ((0, 0, 1, 1), (1, 0, 1, 0), (1, 1, 1, 1), (1, 2, 1, 1), (1, 0.5, 2, 1)):
        with pytest.raises(ValueError, match="Expected"):
            make(*arguments)
    for companding in (0.0, -1.0, np.inf, np.nan, "mu", True):
        with pytest.raises(ValueError, match="Expected `companding` to be a positive number or None"):
            make(companding=companding)
    head = make(2, 0, 255, 3)
    with pytest.raises(ValueError, match=r"256\*\*3"):
        head.probs(random_params(head, 2))
    with pytest.raises(ValueError, match=f"end with {head.params_size}"):
        head.log_prob(random_params(make(3), 2), np.zeros((2, 3)))


def test_components_of_a_site_without_inputs_get_different_gradients():
    """Components that start equal would stay equal there, so that the first site would have one component for ever."""
    dist = tfar.MADE([2, 1], [4], head=make(num_components=3, high=7, num_channels=1), jit_compile=False)
    rows = np.array([[0, 1], [7, 6], [3, 3], [0, 7]], np.float32)[..., None]
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(dist.log_prob(rows))
    bias = dist.network.output_layer.bias.value
    of_first_site = tf.reshape(tape.gradient(loss, bias), [2, 3, 3])[0].numpy()
    for name, column in zip(("logit", "location", "scale"), of_first_site.T, strict=True):
        gaps = np.abs(np.subtract.outer(column, column)[np.triu_indices(3, k=1)])
        assert gaps.min() > 1e-3, f"{name}: {column}"
