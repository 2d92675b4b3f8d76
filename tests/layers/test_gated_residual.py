"""The gated residual block against loops; files and half precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference import pixel_cnn_plus_plus as reference
from tfar.layers import GatedResidualBlock
from tfar.layers.causal import Parallel


def made(activation="concat_elu", shortcut_filters=4, condition_size=3, shift="down_right", **kwargs):
    layer = GatedResidualBlock(
        2,
        (2, 3),
        shift,
        shortcut_filters=shortcut_filters,
        condition_size=condition_size,
        activation=activation,
        use_weight_norm=True,
        **kwargs,
    )
    layer.build((None, None, None, 2))
    for i, variable in enumerate(layer.trainable_variables):
        variable.assign(np.random.default_rng(i).normal(0.0, 0.7, size=variable.shape))
    return layer


def inputs(shortcut_filters=4, condition_size=3):
    rng = np.random.default_rng(5)
    shapes = [(2, 3, 4, 2), (2, 3, 4, shortcut_filters), (2, condition_size)]
    return [rng.normal(size=shape).astype(np.float32) if shape[-1] else None for shape in shapes]


@pytest.mark.parametrize("activation", ["concat_elu", "elu", "relu"])
@pytest.mark.parametrize(("shortcut_filters", "condition_size"), [(4, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("shift", ["down", "down_right"])
def test_block_equals_the_loops(activation, shortcut_filters, condition_size, shift):
    layer = made(activation, shortcut_filters, condition_size, shift)
    x, z, y = inputs(shortcut_filters, condition_size)
    out = layer(x, z, y)
    for row in range(2):
        expected = reference.gated_block(
            reference.weights_of_block(layer),
            x[row],
            None if z is None else z[row],
            None if y is None else y[row],
            activation,
            shift,
        )
        np.testing.assert_allclose(out[row], expected, rtol=1e-4, atol=1e-4)


def test_hidden_features_are_dropped():
    layer = made()
    x, z, y = inputs()
    all_dropped = layer.flow(Parallel(tf.zeros_like), tf.constant(x), tf.constant(z), layer.condition(y))
    both = np.asarray(layer.conv_2.bias) + np.asarray(layer.condition(y))
    expected = x + (both[:, :2] / (1.0 + np.exp(-both[:, 2:])))[:, None, None]
    np.testing.assert_allclose(all_dropped, expected, rtol=1e-5, atol=1e-5)


def test_config_round_trip_and_half_precision():
    layer = made()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    half = made(dtype="mixed_bfloat16")
    out = half(*inputs())
    assert out.dtype == "bfloat16" and all(v.dtype == "float32" for v in half.variables)
    np.testing.assert_allclose(np.asarray(out, np.float32), layer(*inputs()), atol=0.2)
    with pytest.raises(ValueError, match="Expected `activation`"):
        GatedResidualBlock(2, (2, 3), activation="tanh")
