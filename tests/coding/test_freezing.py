"""Frozen models against whole numbers of Python, their bounds, the checks of every model, and what is refused."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.coding.models import CASES, events, labels, make
from tests.parameters import few_by_default
from tests.reference import frozen_made, gated_pixel_cnn, pixel_cnn, wavenet
from tests.reference.grid import Grid
from tests.reference.oracles.images import weights_of_gated
from tests.reference.oracles.parts import weights_of
from tfar.coding.freezing import check_frozen, is_frozen
from tfar.coding.steps import Steps
from tfar.networks.gates import gate
from tfar.networks.rounding import rounded_gate


def params_by_pass(dist, x, condition):
    return dist.conditionals(x, conditional_input=condition).params.numpy()


def params_by_steps(dist, x, condition):
    """The parameters of known events by steps, in raster order, `[N, num_sites, P]`."""
    steps, flat = Steps(dist, lambda params, _: params, len(x)), x.reshape(len(x), -1).astype(np.int32)
    if dist.head.params_size == 1:  # the table of a step has a column for each value
        steps = Steps(dist, lambda params, _: tf.concat([params, params], -1), len(x))
    found = np.zeros([len(x), dist.num_sites, dist.head.params_size], np.float32)

    def known(table, sites):
        found[:, sites] = table[..., : dist.head.params_size]
        return flat[:, sites]

    steps.run(known, condition)
    return found


def whole_numbers(dist, x, condition):
    """The parameters of an event in units of the products, by equations that have no rounding errors."""
    if isinstance(dist, tfar.MADE):
        return frozen_made.params(dist, x, condition)[0]
    bits, largest = dist.network.activation.bits, dist.network.activation.max_value
    found = float64_params(dist, x, Grid(bits, largest), condition)
    return (found * 4.0**bits).ravel()  # float64 adds these numbers exactly


def float64_params(dist, x, grid, condition=None):
    """The parameters of an event by the equations of its model in float64, rounded where a frozen model rounds."""
    weights, parts = weights_of(dist.network), {} if condition is None else {"condition": condition}
    if isinstance(dist, tfar.WaveNet):
        classes = dist.network.num_classes
        inputs = np.eye(classes)[x.astype(int)] if classes else 2.0 * x - 1.0
        return wavenet.parameters(weights, inputs.reshape(len(x), -1), dist.network.dilations, parts, 1, grid)
    if isinstance(dist, tfar.GatedPixelCNN):
        return gated_pixel_cnn.parameters(weights_of_gated(dist.network), *image_inputs(dist, x), parts, grid)
    return pixel_params(dist, x, grid.relu)


def image_inputs(dist, x):
    """The inputs `[H, W, C I]` of an image, and C."""
    values = x.reshape(*x.shape[:2], -1)
    inputs = np.eye(3)[values.astype(int)].reshape(*x.shape[:2], -1) if dist.network.one_hot else values
    return inputs.astype(np.float64), values.shape[-1]


def pixel_params(dist, x, relu):
    """The parameters of an image `[H, W, C P]` by the equations of PixelCNN in float64."""
    weights = weights_of(dist.network)
    layers = {
        name: pixel_cnn.Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])
        for name in {path.split("/")[0] for path in weights}
    }
    inputs, num_colours = image_inputs(dist, x)
    return pixel_cnn.parameters(layers, inputs, num_colours, relu=relu)


EXACT = [
    ("deep", None),
    ("pixels", 0.8),
    ("classes", 0.8),
    ("bits", 0.8),
    ("connectivity", None),
    ("condition", None),
    ("colours", None),
    ("gates", 0.8),
    ("gated colours", None),
    ("series", 0.8),
    ("series of bits", None),
]


OF_MADE = [name for name in CASES if isinstance(CASES[name](), tfar.MADE)]


@pytest.mark.parametrize("name, max_activation", few_by_default(EXACT, 2, in_ci=7))
def test_passes_and_steps_compute_the_whole_numbers(name, max_activation):
    dist = tfar.coding.freeze(make(name), 5, max_activation)
    x = events(dist)
    x = x[:: max(len(x) // 25, 1)]
    condition = labels(dist, len(x))
    rows = zip(x, [None] * len(x) if condition is None else condition, strict=True)
    expected = np.array([whole_numbers(dist, *row) for row in rows], np.float64)
    of_pass = params_by_pass(dist, x, condition)
    np.testing.assert_array_equal(of_pass.reshape(len(x), -1) * 4.0**5, expected)
    np.testing.assert_array_equal(params_by_steps(dist, x, condition), of_pass)
    one = None if condition is None else condition[:1]
    np.testing.assert_array_equal(params_by_pass(dist, x[:1], one), of_pass[:1])


@pytest.mark.parametrize("name", ["pixels", "colours"])
def test_no_partial_sum_of_a_convolution_exceeds_the_bound(name, monkeypatch):
    dist = tfar.coding.freeze(make(name), 5)
    bounds, seen, convolution = dist.network.largest_sums(), {}, pixel_cnn.convolution

    def noting(layer, image, mask, num_colours):
        terms = pixel_cnn.Layer(np.abs(layer.kernel), np.abs(layer.bias))
        sizes = convolution(terms, np.abs(image), mask, num_colours).max(axis=(0, 1))
        key = layer.kernel.tobytes()
        seen[key] = np.maximum(seen.get(key, 0.0), sizes)
        return convolution(layer, image, mask, num_colours)

    monkeypatch.setattr(pixel_cnn, "convolution", noting)
    x = events(dist)
    for event in x[:: max(len(x) // 25, 1)]:
        pixel_params(dist, event, lambda features: np.rint(np.maximum(features, 0.0) * 2**5) / 2**5)
    weights = weights_of(dist.network)
    assert len(seen) == len(bounds)
    for layer, bound in bounds.items():
        assert np.all(seen[weights[f"{layer}/kernel"].tobytes()] <= bound + 1e-9), layer
        assert np.all(bound < 64 * seen[weights[f"{layer}/kernel"].tobytes()]), layer


@pytest.mark.parametrize("name", ["gates", "gated colours", "series", "series of bits"])
def test_no_partial_sum_of_a_network_of_gates_exceeds_the_bound(name, monkeypatch):
    """The terms of a sum, all with the same sign, are those of the reference, whose conditions are left out."""
    dist = tfar.coding.freeze(make(name), 5, 0.8)
    bounds, weights, seen = dist.network.largest_sums(), weights_of(dist.network), {}

    def note(layer, sizes):
        seen[layer] = np.maximum(seen.get(layer, 0.0), sizes)

    def noting(function):
        def noted(layer, image, *others):
            terms = pixel_cnn.Layer(np.abs(layer.kernel), np.abs(layer.bias))
            name = next(path for path, kernel in weights.items() if kernel.tobytes() == layer.kernel.tobytes())
            note(name.split("/")[0], function(terms, np.abs(image), *others).max(axis=(0, 1)))
            return function(layer, image, *others)

        return noted

    def causal(weights, layer, x, t, dilation=1, plain=wavenet.causal):
        terms = {path: np.abs(weight) for path, weight in weights.items()}
        note(layer, plain(terms, layer, np.abs(x), t, dilation))
        return plain(weights, layer, x, t, dilation)

    monkeypatch.setattr(gated_pixel_cnn, "convolution", noting(gated_pixel_cnn.convolution))
    monkeypatch.setattr(gated_pixel_cnn, "vertical", noting(gated_pixel_cnn.vertical))
    monkeypatch.setattr(wavenet, "causal", causal)
    x = events(dist)
    for event in x[:: max(len(x) // 10, 1)]:
        float64_params(dist, event, Grid(5, 0.8), None if dist.conditional_shape is None else np.zeros(3))
    assert set(seen) >= {"vertical_1", "horizontal_1"} or set(seen) == {"first", *(f"dilated_{n}" for n in range(4))}
    for layer, sizes in seen.items():
        assert np.all(sizes <= bounds[layer] + 1e-9), layer


@pytest.mark.parametrize("bits", [1, 5, 8, 11])
def test_a_rounded_gate_is_the_rounded_gate_of_the_equations(bits):
    scale, rng = 2.0**bits, np.random.default_rng(bits)
    features = np.concatenate([rng.normal(0.0, 3.0, (500, 6)), rng.normal(0.0, 30.0, (50, 6)), np.zeros((1, 6))])
    features = np.float32(np.rint(features * scale**2) / scale**2)
    nearest = lambda x: np.rint(x * scale) / scale  # noqa: E731
    a, b = (nearest(part.astype(np.float64)) for part in np.split(features, 2, axis=-1))
    expected = nearest(nearest(np.tanh(a)) * nearest(1.0 / (1.0 + np.exp(-b))))
    np.testing.assert_array_equal(rounded_gate(tf.constant(features), bits=bits), expected)
    of_xla = tf.function(lambda x: rounded_gate(x, bits=bits), jit_compile=True)(tf.constant(features))
    np.testing.assert_array_equal(of_xla, expected)


def test_the_gradient_of_a_rounded_gate_is_that_of_the_gate():
    features = tf.constant(np.random.default_rng(0).normal(size=(5, 8)), tf.float32)
    found = []
    for function in (gate, functools.partial(rounded_gate, bits=6)):
        with tf.GradientTape() as tape:
            tape.watch(features)
            total = tf.reduce_sum(function(features))
        found.append(tape.gradient(total, features))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


@pytest.mark.parametrize("name", OF_MADE)
def test_no_partial_sum_exceeds_the_bound(name):
    dist = tfar.coding.freeze(make(name), 5)
    bounds, seen = dist.network.largest_sums(), {}
    for x in events(dist):
        for condition in [None] if dist.conditional_shape is None else np.eye(3):
            for layer, sizes in frozen_made.params(dist, x, condition)[1].items():
                seen[layer] = np.maximum(seen.get(layer, 0.0), np.array(sizes, np.float64) / 4.0**5)
    assert set(seen) == set(bounds)
    for layer, sizes in seen.items():
        assert np.all(sizes <= bounds[layer] + 1e-9), layer
    if name == "bits":  # an event of ones is the worst of a first layer of bits
        np.testing.assert_allclose(seen["hidden_1"], bounds["hidden_1"])


def test_a_bound_that_fails_names_the_layer_and_the_bits_that_fit():
    dist = make("deep", scale=9.0)
    with pytest.raises(ValueError, match=r"unit \d+ of the layer (hidden_2|output) can reach 2[*]{2}\d\d") as caught:
        tfar.coding.freeze(dist, bits=9)
    fitting = int(str(caught.value).split("bits=")[1].split()[0])
    assert tfar.coding.freeze(dist, fitting).network.activation.bits == fitting < 9
    with pytest.raises(ValueError, match="in units of 2"):
        tfar.coding.freeze(dist, fitting + 1)
    assert is_frozen(tfar.coding.freeze(dist, 9, max_activation=0.25))
    with pytest.raises(ValueError, match="No number of bits fits"):
        tfar.coding.freeze(make("deep", scale=1e4), bits=2)


def test_a_frozen_model_is_close_to_its_original():
    dist = make("deep")
    frozen, x = tfar.coding.freeze(dist), events(dist)
    assert type(frozen) is type(dist)
    assert 0.0 < np.abs(frozen.log_prob(x) - dist.log_prob(x)).max() < 0.1
    again = tfar.coding.freeze(frozen)
    np.testing.assert_array_equal(again.log_prob(x), frozen.log_prob(x))


def test_a_frozen_model_passes_the_checks_of_every_model():
    frozen = tfar.coding.freeze(make("deep"))
    tfar.testing.check_autoregressive(frozen)
    tfar.testing.check_normalized(frozen)
    tfar.testing.check_steps(frozen)
    tfar.testing.check_samplers_agree(frozen)
    tfar.testing.check_samples(frozen)


def test_a_frozen_model_is_restored_from_its_file(tmp_path):
    frozen = tfar.coding.freeze(make("classes"), 6, max_activation=2.0)
    model = tfar.training.DensityModel(frozen)
    model.compile()
    model.save(tmp_path / "frozen.keras")
    loaded, x = tfar.load(tmp_path / "frozen.keras"), events(frozen)
    check_frozen(loaded)
    assert loaded.network.activation.get_config() == {"bits": 6, "max_value": 2.0}
    np.testing.assert_array_equal(params_by_pass(loaded, x, None), params_by_pass(frozen, x, None))


def test_training_takes_a_model_off_the_grid():
    frozen = tfar.coding.freeze(make("bits"))
    check_frozen(frozen)
    variable = frozen.network.output_layer.bias
    variable.assign(variable + 1e-3)
    with pytest.raises(ValueError, match=r"output/bias has others, as after training. Freeze the model again"):
        check_frozen(frozen)
    variable.assign(tf.round(variable) + 300.0)
    with pytest.raises(ValueError, match="layer output can reach"):
        check_frozen(frozen)


@pytest.mark.parametrize(
    "refused, message",
    [
        (lambda: tfar.MADE([3], [4], activation="tanh"), "activation='relu'; received 'tanh'"),
        (
            lambda: tfar.MADE([3], [4], head=tfar.heads.NormalMixture(2)),
            "Bernoulli or Categorical; received NormalMixture",
        ),
        (lambda: tfar.MADE([3], [4], num_masks=2), "num_masks=1"),
        (lambda: tfar.MADE([3], [4], order="random", num_masks=None), "num_masks=1"),
        (lambda: tfar.MADE([3], [4], head=tfar.heads.Categorical(40)), "one_hot_inputs=True"),
        (lambda: tfar.MADE([3], [4]).with_temperature(0.5), "temperature 1 .* received temperature=0.5"),
        (lambda: tfar.NADE([3], 4), "activation='relu'; received 'sigmoid'"),
        (lambda: tfar.RowLSTM([3, 3], 4), "the argument `activation`, such as MADE; received RowLSTM"),
        (lambda: tfar.WaveNet([4], 4, head=tfar.heads.Categorical(3), one_hot_inputs=False), "one_hot_inputs=True"),
    ],
)
def test_other_models_are_refused(refused, message):
    with pytest.raises(ValueError, match=message):
        tfar.coding.freeze(refused())


@pytest.mark.parametrize("bits", [0, 12, 2.5, True])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match="Expected `bits` to be an int"):
        tfar.coding.freeze(make("bits"), bits)


def test_a_model_in_half_precision_is_frozen_in_float32(dtype_policy):
    dtype_policy("mixed_bfloat16")
    dist = tfar.MADE([4], [8], jit_compile=False)
    assert dist.network.compute_dtype == "bfloat16"
    assert tfar.coding.freeze(dist).network.compute_dtype == "float32"
