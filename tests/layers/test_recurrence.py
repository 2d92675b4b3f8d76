"""The recurrences of the PixelRNNs and of the spatial LSTM against loops: passes, gradients, steps, dependences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tests.reference import pixel_rnn, spatial_lstm
from tfar.layers import DiagonalRecurrence, RowRecurrence, SpatialRecurrence
from tfar.layers.lstm_scan import lstm_scan

ROWS, HEIGHT, WIDTH, FEATURES, IMAGE = 2, 3, 4, 6, 3
CASES = {
    "row": lambda: RowRecurrence(FEATURES),
    "diagonal": lambda: DiagonalRecurrence(FEATURES, image_channels=IMAGE),
    "spatial": lambda: SpatialRecurrence(FEATURES),
    "row of colours": lambda: RowRecurrence(FEATURES, 3, kernel_size=4),
    "diagonal of colours": lambda: DiagonalRecurrence(FEATURES, 3),
    "spatial of colours": lambda: SpatialRecurrence(FEATURES, 3),
    "row of one pixel": lambda: RowRecurrence(FEATURES, 2, kernel_size=1),
}


@pytest.fixture(params=few_by_default(CASES, count=3))
def layer(request):
    layer = CASES[request.param]()
    layer.build((None, None, None, num_inputs(layer)))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return layer


def num_inputs(layer):
    return (5 if isinstance(layer, SpatialRecurrence) else 4) * FEATURES * layer.num_directions


def inputs_of(layer):
    rng = np.random.default_rng(0)
    channels = [num_inputs(layer)] + [IMAGE] * bool(getattr(layer, "image_channels", 0))
    return [rng.normal(size=(ROWS, HEIGHT, WIDTH, count)).astype(np.float32) for count in channels]


def expected(layer, inputs, weights=None):
    weights = {v.name: np.asarray(v, np.float64) for v in layer.weights} if weights is None else weights
    weights = {f"layer/{name}": value for name, value in weights.items()}
    if isinstance(layer, SpatialRecurrence):
        inputs = inputs[0].astype(np.float64)
        return np.stack([spatial_lstm.recurrence(weights, "layer", x, layer.num_groups) for x in inputs])
    images = inputs[1] if len(inputs) > 1 else [None] * ROWS
    diagonal = layer.num_directions == 2
    return np.stack(
        [
            pixel_rnn.recurrence(weights, "layer", x.astype(np.float64), image, layer.num_groups, diagonal)
            for x, image in zip(inputs[0], images, strict=True)
        ]
    )


def test_the_pass_equals_the_loops(layer):
    inputs = inputs_of(layer)
    for call in (layer, tf.function(layer, jit_compile=True)):
        np.testing.assert_allclose(call(*inputs), expected(layer, inputs), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(inputs[0].shape) == (ROWS, HEIGHT, WIDTH, FEATURES)


def test_gradients_are_those_of_the_loops(layer):
    """Of a weighted sum of the outputs, in a random direction of each input and weight."""
    inputs, rng = inputs_of(layer), np.random.default_rng(2)
    mix = rng.normal(size=(ROWS, HEIGHT, WIDTH, FEATURES))
    tensors, names = [tf.constant(x) for x in inputs], [v.name for v in layer.weights]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = tf.reduce_sum(layer(*tensors) * mix.astype(np.float32))
    found = tape.gradient(total, [*tensors, *(v.value for v in layer.trainable_variables)])
    values = [*(x.astype(np.float64) for x in inputs), *(np.asarray(v, np.float64) for v in layer.weights)]
    for number, gradient in enumerate(found):
        direction, ends = rng.normal(size=gradient.shape), []
        for step in (1e-5, -1e-5):
            moved = [*values[:number], values[number] + step * direction, *values[number + 1 :]]
            weights = dict(zip(names, moved[len(inputs) :], strict=True))
            ends.append((expected(layer, moved[: len(inputs)], weights) * mix).sum())
        slope = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-4, atol=1e-4)


def test_steps_equal_the_pass(layer):
    """Row by row and group by group: each step gets one group, and a row what the rows above contribute."""
    inputs, groups = inputs_of(layer), layer.num_groups
    weights, found = layer.step_weights(), np.zeros((ROWS, HEIGHT, WIDTH, FEATURES), np.float32)
    rows = tf.zeros([ROWS, 1, WIDTH, layer.kept_channels])
    image = tf.zeros([ROWS, 1, WIDTH, IMAGE])
    for r in range(HEIGHT):
        above = tf.concat([rows, image], axis=-1) if len(inputs) > 1 else rows
        parts = tf.reshape(layer.read_rows(above, tf.constant(r), weights), [ROWS, WIDTH * groups, -1])
        cache, kept = layer.start(ROWS), []
        for site in range(WIDTH * groups):
            x = tf.split(inputs[0][:, r, site // groups], groups, axis=-1)[site % groups]
            output, cache, record = layer.step(cache, x, tf.constant(site), weights, parts[:, site])
            own = slice(site % groups * FEATURES // groups, (site % groups + 1) * FEATURES // groups)
            found[:, r, site // groups, own] = output
            cache = cache if layer.start(ROWS) is not None else None
            kept = [*kept[: site // groups], record]  # The last group completes the record of a pixel.
        rows = tf.stack(kept, axis=1)[:, None]
        image = inputs[-1][:, r : r + 1]
    np.testing.assert_allclose(found, layer(*inputs), rtol=1e-5, atol=1e-5)


def test_reach_is_what_changes(layer):
    inputs, groups = inputs_of(layer), layer.num_groups
    before = np.asarray(layer(*inputs)).reshape(ROWS, HEIGHT * WIDTH * groups, -1)
    asked = np.eye(HEIGHT * WIDTH * groups, dtype=bool).reshape(-1, HEIGHT, WIDTH, groups)
    for number, reach in enumerate((layer.reach, layer.reach_above)[: len(inputs)]):
        declared = reach(asked, (HEIGHT, WIDTH)).reshape(len(asked), -1)
        for r, c, group in np.ndindex(HEIGHT, WIDTH, groups):
            moved = [x.copy() for x in inputs]
            size = moved[number].shape[-1] // groups
            moved[number][:, r, c, group * size : (group + 1) * size] += 1.0
            changed = np.asarray(layer(*moved)).reshape(before.shape) != before
            site = (r * WIDTH + c) * groups + group
            np.testing.assert_array_equal(changed.any(axis=(0, 2)), declared[:, site])


def test_steps_of_several_layers_share_a_loop():
    """Layers with weights of their own get what they would get alone."""
    layers = [DiagonalRecurrence(FEATURES, 2, image_channels=channels) for channels in (2, 0)]
    rng, rows = np.random.default_rng(0), []
    for layer in layers:
        layer.build((None, None, None, 8 * FEATURES))
        for variable in layer.trainable_variables:
            variable.assign(rng.normal(0.0, 0.5, variable.shape))
        shape = (ROWS, 1, WIDTH, layer.kept_channels + layer.image_channels)
        rows.append(tf.constant(rng.normal(size=shape), tf.float32))
    weights = [layer.step_weights() for layer in layers]
    for index in (0, 2):
        both = DiagonalRecurrence.read_rows_of(layers, rows, tf.constant(index), weights)
        for layer, own, weight, part in zip(layers, rows, weights, both, strict=True):
            np.testing.assert_allclose(layer.read_rows(own, tf.constant(index), weight), part, rtol=1e-5, atol=1e-6)


@pytest.mark.slow(ci=True)
def test_the_memory_of_a_gradient_is_linear_in_the_number_of_steps():
    """The largest array of the compiled program doubles with the steps; with a copy of all states per step, it grows fourfold."""

    def planned(num_steps):
        @tf.function(jit_compile=True)
        def gradient(inputs, kernel):
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                total = tf.reduce_sum(lstm_scan(inputs, kernel, tf.zeros([1, 2, 8]), (0,)) ** 2)
            return tape.gradient(total, kernel)

        arguments = tf.zeros([num_steps, 1, 2, 16, 32]), tf.zeros([1, 8, 32])
        text = gradient.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
        shapes = [part.split("]")[0] for part in text.split("f32[")[1:]]
        return max(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes)

    assert planned(60) <= 2 * planned(30)


def test_config_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    if not again.built:
        again.build((None, None, None, layer.in_channels))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(*inputs_of(layer)), layer(*inputs_of(layer)))


def test_half_precision_computes_states_in_float32(layer):
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    half.build((None, None, None, layer.in_channels))
    half.set_weights(layer.get_weights())
    found = half(*inputs_of(layer))
    assert found.dtype == tf.bfloat16 and all(v.dtype == "float32" for v in half.variables)
    np.testing.assert_allclose(tf.cast(found, tf.float32), layer(*inputs_of(layer)), atol=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RowRecurrence(4, 3), "Expected `filters` to be a positive multiple of `num_groups`; received 4 and 3"),
        (lambda: RowRecurrence(4, kernel_size=0), "Expected `kernel_size` of at least 1; received 0"),
        (lambda: DiagonalRecurrence(2).build((None, 3, 3, 8)), "in 2 direction.s., 16 channels"),
    ],
)
def test_bad_arguments_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
