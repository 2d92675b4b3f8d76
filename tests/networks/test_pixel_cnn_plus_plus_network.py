"""PixelCNN++ beside TensorFlow Probability's, its dropout, its initialisation by data, and what it refuses."""

import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfar
from tests.parameters import few_by_default
from tfar import random, testing
from tfar.networks import raster

SMALL = {"num_blocks": 1, "num_levels": 2, "filters": 4, "num_components": 2}
PEER = {"num_resnet": 1, "num_hierarchies": 2, "num_filters": 4, "num_logistic_mix": 2}


def images(shape, count=3, high=255, seed=0):
    return np.random.default_rng(seed).integers(0, high + 1, (count, *shape)).astype(np.float32)


# Beside TensorFlow Probability ----------------------------------------------------------------------------------------


def convolutions(network):
    """All convolutions in the order in which TensorFlow Probability makes them, each with its unmasked part there."""
    rows, columns = network.kernel_size
    half = columns // 2
    everything = (slice(None), slice(None))
    first = [
        (network.first_vertical, (slice(rows - 1), slice(None))),
        (network.first_up, (slice(1), slice(None))),
        (network.first_left, (slice(2), slice(half))),
    ]
    inner = {network.vertical: (slice(rows - 1), slice(None)), network.horizontal: (slice(2), slice(half + 1))}
    both, levels = (network.vertical, network.horizontal), network.num_levels
    found = list(first)

    def block(stack, layer):
        found.append((layer.conv_1, inner[stack]))
        if layer.shortcut is not None:
            found.append((layer.shortcut, everything))
        found.append((layer.conv_2, inner[stack]))

    for level in range(levels):
        for i in range(network.num_blocks):
            for stack in both:
                block(stack, stack.down[level][i])
        if level + 1 < levels:
            for stack in both:
                found.append((stack.contract[level], (slice(stack.kernel_size[0]), slice(stack.kernel_size[1]))))
    for level in reversed(range(levels)):
        for i in range(len(network.vertical.up[level])):
            for stack in both:
                block(stack, stack.up[level][i])
        if level:
            for stack in both:
                height, width = stack.kernel_size
                first_column = 0 if stack.shift == "down" else width - 2
                part = (slice(height - 2, 2 * height - 2), slice(first_column, first_column + width))
                found.append((stack.expand[level - 1], part))
    return [*found, (network.outputs, everything)]


def by_creation(layers, kind):
    chosen = [layer for layer in layers if type(layer).__name__ == kind]
    return sorted(chosen, key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or ["0"])[0]))


def shared_weights(peer, network, seed=0):
    """Gives both the same random numbers; the masked part of the peer's kernels is 0, as its optimiser would make it."""
    rng = np.random.default_rng(seed)
    layers = peer.network._network.layers
    wrapped = by_creation(layers, "WeightNorm")
    for wrapper, (layer, part) in zip(wrapped, convolutions(network), strict=True):
        kernel = rng.normal(0.0, 0.5, size=layer.v.shape).astype(np.float32)
        v = np.zeros(wrapper.v.shape, np.float32)
        if v.ndim == 2:
            v[:] = kernel[0, 0]
        else:
            v[part] = kernel
        g, bias = rng.uniform(0.3, 0.8, layer.filters), rng.normal(0.0, 0.2, layer.filters)
        for variable, value in ((wrapper.v, v), (wrapper.g, g), (wrapper.layer.bias, bias)):
            variable.assign(value)
        for variable, value in ((layer.v, kernel), (layer.g, g), (layer.bias, bias)):
            variable.assign(value)
        wrapper.initialized.assign(True)
    projections = by_creation(layers, "Dense")
    blocks = [b for stack in (network.vertical, network.horizontal) for b in stack.blocks() if b.condition is not None]
    for dense, block in zip(projections, in_order(network, blocks), strict=True):
        for variable, own in zip(dense.weights, block.condition.weights, strict=True):
            value = rng.normal(0.0, 0.5, size=own.shape)
            variable.assign(value)
            own.assign(value)


def in_order(network, blocks):
    """Blocks in the order in which TensorFlow Probability makes them."""
    layers = [layer for layer, _ in convolutions(network)]
    return sorted(blocks, key=lambda block: next(i for i, layer in enumerate(layers) if layer is block.conv_1))


@pytest.mark.parametrize(
    ("shape", "conditional_shape", "arguments"),
    few_by_default(
        [
            (
                (4, 4, 1),
                (2,),
                {"num_hierarchies": 1, "num_resnet": 2, "resnet_activation": "elu", "low": -3, "high": 12},
            ),
            ((6, 8, 3), None, {}),
            ((8, 4, 1), (), {"num_hierarchies": 3, "resnet_activation": "relu"}),
            ((8, 8, 2), None, {"receptive_field_dims": (4, 5)}),
        ],
        count=0,
        in_ci=1,
    ),
)
def test_log_prob_and_size_are_those_of_tensorflow_probability(shape, conditional_shape, arguments):
    arguments = {**PEER, **arguments}
    peer = tfp.distributions.PixelCNN(shape, conditional_shape, use_data_init=False, **arguments)
    dist = tfar.PixelCNNPlusPlus.from_tfp(shape, conditional_shape, use_data_init=False, jit_compile=False, **arguments)
    shared_weights(peer, dist.network)
    low, high = arguments.get("low", 0), arguments.get("high", 255)
    x = images(shape, high=high - low) + low
    condition = None
    if conditional_shape is not None:
        condition = np.random.default_rng(1).normal(size=(3, *conditional_shape)).astype(np.float32)
    expected = peer.log_prob(x, conditional_input=condition, training=False)
    np.testing.assert_allclose(dist.log_prob(x, conditional_input=condition), expected, rtol=2e-5)
    ours, theirs = dist.trainable_variables, peer.network.trainable_weights
    assert len(ours) == len(theirs)
    masked = sum(
        np.prod(w.v.shape) - np.prod(layer.v.shape)
        for w, (layer, _) in zip(
            by_creation(peer.network._network.layers, "WeightNorm"), convolutions(dist.network), strict=True
        )
    )
    assert size(ours) == size(theirs) - masked


def size(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


# Dropout --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_dropout_is_a_function_of_the_seed_and_of_training_alone():
    dist = tfar.PixelCNNPlusPlus((4, 5, 1), dropout_rate=0.4, jit_compile=False, **SMALL)
    x = images((4, 5, 1))
    losses = [np.asarray(dist.training_loss(x, seed=seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert (losses[0] != losses[2]).all()
    assert (-dist.log_prob(x) != losses[0]).numpy().all()
    np.testing.assert_array_equal(dist.log_prob(x), dist.log_prob(x))
    plain = tfar.PixelCNNPlusPlus((4, 5, 1), dropout_rate=0.0, jit_compile=False, **SMALL)
    np.testing.assert_allclose(plain.training_loss(x, seed=1), -plain.log_prob(x), rtol=1e-6)


def test_blocks_drop_apart_and_at_the_rate(monkeypatch):
    network = tfar.PixelCNNPlusPlus((8, 8, 1), dropout_rate=0.3, **SMALL).network
    original, seen = raster.dropped, []

    def dropped(features, *how):
        seen.append(np.asarray(original(tf.ones_like(features), *how)))
        return original(features, *how)

    monkeypatch.setattr(raster, "dropped", dropped)
    network.training_pass(images((8, 8, 1), 8), None, tf.constant([0, 3]))
    assert len(seen) == len(network.vertical.blocks()) + len(network.horizontal.blocks())
    assert not any(np.array_equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    dropped_shares = np.concatenate([kept.ravel() == 0.0 for kept in seen])
    assert abs(dropped_shares.mean() - 0.3) < 5.0 * np.sqrt(0.21 / dropped_shares.size)
    assert {round(float(v), 4) for kept in seen for v in np.unique(kept)} == {0.0, round(1.0 / 0.7, 4)}


def test_decisions_of_dropout_are_independent_and_a_row_is_its_own():
    seeds = random.row_seeds(4, 6)
    drawn = np.stack([random.kept(seeds, 4001, 0.25, part).numpy() for part in range(4)])
    dropped = (drawn == 0.0).astype(float)
    assert drawn.shape == (4, 6, 4001) and abs(dropped.mean() - 0.25) < 5.0 * np.sqrt(0.1875 / dropped.size)
    flat = dropped.reshape(24, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(24)).max() < 0.1
    of_low_bits, of_high_bits = flat[:, :2000].ravel(), flat[:, 2001:].ravel()  # a word decides two
    assert abs(np.corrcoef(of_low_bits, of_high_bits)[0, 1]) < 5.0 / np.sqrt(of_low_bits.size)
    np.testing.assert_array_equal(random.kept(seeds[2:3], 4001, 0.25), drawn[0, 2:3])
    assert (random.kept(seeds, 100, 0.0).numpy() == 1.0).all()


# Initialisation by data -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_initialisation_by_data_gives_parameters_mean_0_and_variance_1():
    dist = tfar.PixelCNNPlusPlus((5, 6, 1), jit_compile=False, **SMALL)
    assert dist.network.awaits_data
    testing.check_autoregressive(dist, randomize=False)
    x = images((5, 6, 1), 8)
    dist.initialize(x)
    params = np.asarray(dist.network(x)).reshape(-1, dist.network.params_size)
    np.testing.assert_allclose(params.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(params.std(0), 1.0, rtol=1e-3)
    assert not dist.network.awaits_data
    testing.check_autoregressive(dist, randomize=False)
    with pytest.raises(ValueError, match="support"):
        dist.initialize(x - 1.0)


@pytest.mark.slow
def test_fit_initialises_once_with_the_first_batch(tmp_path):
    x = images((4, 4, 1), 16)
    make = lambda **kwargs: tfar.PixelCNNPlusPlus((4, 4, 1), dropout_rate=0.0, **SMALL, **kwargs)  # noqa: E731
    dist = make()
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    model.fit(x, batch_size=8, epochs=1, shuffle=False, verbose=0)
    expected = make()
    expected.initialize(x[:8])
    for a, b in zip(dist.variables, expected.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = tfar.load(tmp_path / "model.keras")
    assert not again.network.awaits_data
    before = [np.array(v) for v in dist.variables]
    model.fit(tf.data.Dataset.from_tensor_slices(x[8:]).batch(8), epochs=1, verbose=0)
    for a, b in zip(before, dist.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    other = make(use_data_init=False)
    before = [np.array(v) for v in other.variables]
    model = tfar.training.DensityModel(other)
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    model.fit(x, batch_size=8, epochs=1, verbose=0)
    for a, b in zip(before, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_with_a_generator_asks_for_initialisation():
    model = tfar.training.DensityModel(tfar.PixelCNNPlusPlus((4, 4, 1), **SMALL))
    model.compile()
    with pytest.raises(ValueError, match=r"dist\.initialize"):
        model.fit((images((4, 4, 1)) for _ in range(2)), steps_per_epoch=1)


def test_other_models_have_nothing_to_initialise():
    for dist in (tfar.MADE([4], [8]), tfar.PixelCNNPlusPlus((4, 4, 1), use_weight_norm=False, **SMALL)):
        assert not dist.network.awaits_data
        with pytest.raises(ValueError, match="Expected"):
            dist.initialize(np.zeros((2, *dist.event_shape), np.float32))


# Steps ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_three_levels_fall_due_at_their_rows_and_columns():
    """An odd size at every level."""
    arguments = {**SMALL, "num_levels": 3, "filters": 2, "num_blocks": 2}
    dist = tfar.PixelCNNPlusPlus((7, 5, 2), high=3, dropout_rate=0.0, jit_compile=False, **arguments)
    rng = np.random.default_rng(0)
    for variable in dist.trainable_variables:
        variable.assign(rng.normal(0.0, 0.6, size=variable.shape))
    testing.check_steps(dist)


# Values and arguments -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_values_may_start_elsewhere_than_at_0():
    dist = tfar.PixelCNNPlusPlus((2, 2, 1), num_blocks=1, num_levels=2, filters=2, num_components=2, low=-1, high=1)
    rng = np.random.default_rng(0)
    for variable in dist.trainable_variables:
        variable.assign(rng.normal(0.0, 0.6, size=variable.shape))
    dist = dist.copy(jit_compile=False)
    testing.check_autoregressive(dist)
    testing.check_normalized(dist)
    testing.check_samples(dist, 4000)
    with pytest.raises(ValueError, match=r"-1 \.\. 1"):
        dist.log_prob(np.full((1, 2, 2, 1), 2.0, np.float32))


@pytest.mark.parametrize(
    "arguments",
    [
        {"event_shape": (4, 4)},
        {"event_shape": (4, 0, 1)},
        {"num_blocks": 0},
        {"num_levels": 0},
        {"filters": 1.5},
        {"num_components": 0},
        {"kernel_size": (3, 4)},
        {"kernel_size": (2, 3)},
        {"kernel_size": (3, 1)},
        {"kernel_size": 2},
        {"dropout_rate": 1.0},
        {"activation": "tanh"},
        {"high": 0},
        {"seed": -1},
    ],
    ids=str,
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="Expected"):
        tfar.PixelCNNPlusPlus(**{"event_shape": (4, 4, 1), **SMALL, **arguments})


def test_from_tfp_takes_the_arguments_of_tensorflow_probability():
    theirs = list(inspect.signature(tfp.distributions.PixelCNN).parameters.values())
    ours = list(inspect.signature(tfar.PixelCNNPlusPlus.from_tfp).parameters.values())[: len(theirs)]
    assert [p.name for p in ours] == [p.name for p in theirs]
    assert [p.default for p in ours[:-1]] == [p.default for p in theirs[:-1]]
    with pytest.raises(ValueError, match=r"Expected `dtype` to be tf\.float32"):
        tfar.PixelCNNPlusPlus.from_tfp((4, 4, 1), dtype=tf.float16)


def test_from_tfp_passes_every_argument_on():
    theirs = {
        "conditional_shape": (3,),
        "num_resnet": 2,
        "num_hierarchies": 1,
        "num_filters": 5,
        "num_logistic_mix": 3,
        "receptive_field_dims": (2, 5),
        "dropout_p": 0.1,
        "resnet_activation": "elu",
        "use_weight_norm": False,
        "use_data_init": False,
        "high": 9,
        "low": -3,
        "name": "Own",
    }
    ours = {
        "conditional_shape": (3,),
        "num_blocks": 2,
        "num_levels": 1,
        "filters": 5,
        "num_components": 3,
        "kernel_size": (2, 5),
        "dropout_rate": 0.1,
        "activation": "elu",
        "use_weight_norm": False,
        "use_data_init": False,
        "high": 9,
        "low": -3,
        "name": "Own",
        "seed": 4,
    }
    dist = tfar.PixelCNNPlusPlus.from_tfp((3, 4, 2), **theirs, seed=4)
    assert dist.get_config() == tfar.PixelCNNPlusPlus((3, 4, 2), **ours).get_config()


# What a pixel sees ----------------------------------------------------------------------------------------------------


def test_the_receptive_field_is_what_moves_the_parameters():
    dist = tfar.PixelCNNPlusPlus([4, 5, 2], high=3, **SMALL, jit_compile=False)
    row, column = 2, 3
    seen = dist.receptive_field(row, column)
    np.testing.assert_array_equal(seen, dist.receptive_field(row, column, 1))
    image = images([4, 5, 2], 1, high=2)
    moved = np.repeat(image, 20, axis=0).reshape(20, 20, 2)
    moved[np.arange(20), np.arange(20)] += 1.0
    rows = np.concatenate([image.reshape(1, 20, 2), moved]).reshape(-1, 4, 5, 2)  # one batch: another rounds otherwise
    before, *after = dist.network(rows)[:, row * 5 + column].numpy()
    np.testing.assert_array_equal(np.abs(np.stack(after) - before).max(-1) > 1e-6, seen[..., 0].reshape(-1))
    assert seen.any() and not seen.reshape(20, 2)[row * 5 + column :].any()


def test_pixels_of_weight_zero_do_not_keep_a_model_from_its_first_batch():
    """The initial weights follow from whole images; a weight of 0 is no pattern of what is observed."""
    dist = tfar.PixelCNNPlusPlus([4, 4, 1], 4, num_blocks=1, num_levels=1, num_components=1, high=3, jit_compile=False)
    model = tfar.training.DensityModel(dist)
    model.compile()
    site_weight = np.ones([4, 4, 4, 1], np.float32)
    site_weight[:, 0] = 0.0
    x = np.random.default_rng(0).integers(0, 4, [4, 4, 4, 1]).astype(np.float32)
    model.fit({"value": x, "site_weight": site_weight}, epochs=1, verbose=0)
    assert not dist.awaits_data
