"""MaskedDense as a Keras layer, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfar.layers import MaskedDense

IN, OUT = [1, 2, 3], [1, 1, 2, 3, 2]


def mask(in_degrees, out_degrees, strict=False):
    return np.array([[float(a < b if strict else a <= b) for b in out_degrees] for a in in_degrees], np.float32)


def build(**kwargs):
    layer = MaskedDense(5, IN, OUT, bias_initializer="random_normal", **kwargs)
    layer.build((None, 3))
    return layer


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (3,)], ids=str)
def test_equals_numpy(strict, shape):
    layer = build(strict=strict, activation="tanh")
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    kernel = np.asarray(layer.full_kernel) * mask(IN, OUT, strict)
    expected = np.tanh(np.tensordot(x, kernel, 1) + np.asarray(layer.bias))
    if x.ndim > 1:
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
        assert layer.compute_output_shape(shape) == (*shape[:-1], 5)
    np.testing.assert_allclose(layer.kernel, kernel)


@pytest.mark.parametrize("rows", ["inputs", "units", "both"])
@pytest.mark.parametrize("use_connectivity_kernel", [False, True])
def test_degrees_for_each_row(rows, use_connectivity_kernel):
    generator = np.random.default_rng(2)
    layer, x = build(use_connectivity_kernel=use_connectivity_kernel), generator.normal(size=(4, 3)).astype(np.float32)
    if use_connectivity_kernel:
        layer.connectivity_kernel.assign(generator.normal(size=(3, 5)))
    inputs, units = generator.integers(1, 4, size=(4, 3)), generator.integers(1, 4, size=(4, 5))
    of_inputs = inputs if rows != "units" else np.tile(IN, (4, 1))
    of_units = units if rows != "inputs" else np.tile(OUT, (4, 1))
    found = layer(x, inputs if rows != "units" else None, units if rows != "inputs" else None)
    for i in range(4):
        expected = layer(x[i : i + 1], of_inputs[i], of_units[i])
        np.testing.assert_allclose(found[i : i + 1], expected, rtol=1e-5, atol=1e-6)


def test_connectivity_kernel_adds_what_the_mask_shows():
    layer = build(use_connectivity_kernel=True)
    assert np.all(np.asarray(layer.connectivity_kernel) == 0.0)
    weights = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    layer.connectivity_kernel.assign(weights)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    visible = mask(IN, OUT)
    expected = x @ (np.asarray(layer.full_kernel) * visible) + np.ones(3) @ (weights * visible) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_without_bias():
    layer = build(use_bias=False)
    np.testing.assert_allclose(layer(np.eye(3, dtype=np.float32)), layer.kernel)
    assert len(layer.trainable_variables) == 1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_degrees_given_to_call_replace_its_own(jit_compile):
    layer = build()
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    other_in, other_out = [3, 1, 2], [2, 3, 1, 1, 1]
    call = tf.function(lambda x, a, b: layer(x, a, b), jit_compile=jit_compile)
    expected = x @ (np.asarray(layer.full_kernel) * mask(other_in, other_out)) + np.asarray(layer.bias)
    np.testing.assert_allclose(call(x, tf.constant(other_in), tf.constant(other_out)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_mask_holds_before_and_after_training(optimizer):
    layer = MaskedDense(5, IN, OUT, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((3,)), layer])
    hidden = mask(IN, OUT) == 0.0

    def leaks():
        jacobian = np.stack(
            [layer(np.eye(3, dtype=np.float32)[i][None])[0] - layer(np.zeros((1, 3)))[0] for i in range(3)]
        )
        return np.any(jacobian[hidden] != 0.0) or np.any(np.asarray(layer.kernel)[hidden] != 0.0)

    assert not leaks()
    before = np.array(layer.full_kernel)
    model.compile(keras.optimizers.get(optimizer), "mse")
    rng = np.random.default_rng(0)
    during = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: leaks() and pytest.fail("leaks"))
    model.fit(rng.normal(size=(32, 3)), rng.normal(size=(32, 5)), epochs=2, batch_size=8, verbose=0, callbacks=[during])
    assert not leaks()
    after = np.array(layer.full_kernel)
    assert (after[~hidden] != before[~hidden]).all(), "what is connected learns"
    np.testing.assert_array_equal(after[hidden], before[hidden])


@pytest.mark.parametrize(
    "policy, compute",
    [("float32", "float32"), ("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16"), ("float64", "float64")],
)
def test_dtype_policies(policy, compute):
    layer = build(dtype=policy, use_connectivity_kernel=True)
    assert keras.backend.standardize_dtype(layer(np.ones((2, 3))).dtype) == compute
    assert layer.full_kernel.dtype == ("float64" if policy == "float64" else "float32")


def test_config_holds_every_argument_and_makes_the_same_layer():
    layer = build(strict=True, use_connectivity_kernel=True, activation="relu", kernel_regularizer="l2", name="masked")
    config = layer.get_config()
    assert config["in_degrees"] == IN and config["out_degrees"] == OUT and config["units"] == 5
    again = MaskedDense.from_config(config)
    assert again.get_config() == config


def test_a_functional_model_comes_back_from_a_keras_file(tmp_path):
    inputs = keras.Input((3,))
    hidden = MaskedDense(5, IN, OUT, activation="relu", use_connectivity_kernel=True)(inputs)
    model = keras.Model(inputs, MaskedDense(3, OUT, IN, strict=True)(hidden))
    model.layers[1].connectivity_kernel.assign(np.random.default_rng(2).normal(size=(3, 5)))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "model.keras").predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_files_keep_the_weights_that_the_mask_hides(tmp_path):
    """Other degrees, given to a call, may show them."""
    model = keras.Sequential([keras.Input((3,)), MaskedDense(5, IN, OUT)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.layers[0].full_kernel, model.layers[0].full_kernel)


def test_numpy_degrees_are_taken_and_saved_as_ints():
    layer = MaskedDense(2, np.array([1, 2], np.int32), np.array([1, 2], np.int32))
    assert all(type(d) is int for d in layer.get_config()["in_degrees"])


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="for each unit: 4; received 5"):
        MaskedDense(4, IN, OUT)
    with pytest.raises(ValueError, match="3 entries"):
        MaskedDense(5, IN, OUT).build((None, 4))
