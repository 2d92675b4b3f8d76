"""Updates are a function of seed and iteration, in every mode of compilation and precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.training.models import FIT, assert_weights, make, weights


@pytest.mark.parametrize("num_masks", few_by_default([3, None, 1]))
def test_training_is_a_function_of_the_seed_and_the_iterations(num_masks, rows):
    runs = []
    for seed in (5, 5, 6):
        model = make(num_masks, seed=seed)
        tf.random.set_seed(len(runs))
        model.fit(rows, shuffle=False, **FIT)
        runs.append(weights(model))
    assert all((a == b).all() for a, b in zip(runs[0], runs[1], strict=True))
    differs = any((a != b).any() for a, b in zip(runs[0], runs[2], strict=True))
    assert differs == (num_masks != 1), "without masks to draw the seed decides the shuffle alone"


def test_every_update_has_the_masks_of_its_iteration(rows):
    model = make(num_masks=None, optimizer=keras.optimizers.SGD(0.0), seed=5)
    losses = model.fit(rows, **{**FIT, "epochs": 3, "batch_size": len(rows)}).history["loss"]
    expected = [np.mean(model.dist.training_loss(rows, seed=tf.constant([5, i]))) for i in range(3)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert np.ptp(losses) > 1e-4


def test_batches_of_one_update_have_masks_of_their_own(rows):
    """With accumulated gradients, two batches make an update."""
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    model = make(num_masks=None, optimizer=optimizer, seed=5)
    losses = model.fit(rows, **{**FIT, "epochs": 3, "batch_size": len(rows)}).history["loss"]
    assert optimizer.iterations == 1
    expected = [np.mean(model.dist.training_loss(rows, seed=tf.constant([5, i]))) for i in range(3)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_several_steps_a_call_give_the_same_training(rows):
    """Fresh masks at every update, which are those of its iteration; five batches of an epoch in calls of two."""
    one = make(num_masks=None)
    several = make(num_masks=None, steps_per_execution=2)
    losses = [model.fit(rows, **FIT).history["loss"] for model in (one, several)]
    assert one.optimizer.iterations == several.optimizer.iterations == 10
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert_weights(one, several)


def test_the_loss_of_training_is_under_the_masks_that_the_seed_draws(rows):
    dist = make(None).dist
    x = rows[:8]
    losses = [dist.training_loss(x, seed=s).numpy() for s in (1, 1, 2)]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert np.abs(losses[0] - losses[2]).max() > 1e-4
    one = tfar.MADE([6], [8], jit_compile=False)
    np.testing.assert_allclose(one.training_loss(x, seed=1), -one.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy, rows):
    keras.config.set_dtype_policy(policy)
    try:
        model = make(optimizer=keras.optimizers.Adam(0.03))
        history = model.fit(rows, **{**FIT, "epochs": 6}).history
        log_prob = model.dist.log_prob(rows)
        assert log_prob.dtype == tf.float32 and np.isfinite(log_prob).all()
        assert model.dist.network.hidden_layers[0].compute_dtype == policy.removeprefix("mixed_")
        assert model.dist.network.hidden_layers[0].full_kernel.dtype == "float32"
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
        assert history["loss"][-1] < history["loss"][0] - 0.3
    finally:
        keras.config.set_dtype_policy("float32")


def test_exponential_moving_averages(rows):
    """Keras averages inside the optimiser; SwapEMAWeights evaluates with the averages."""
    model = make(optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    trace = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: trace.append(weights(model)[0]))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    history = model.fit(rows, validation_data=rows, callbacks=[record, swap], **{**FIT, "epochs": 1}).history
    average = trace[0]  # Keras starts the average at the first step
    for kernel in trace[1:]:
        average = 0.5 * average + 0.5 * kernel
    np.testing.assert_allclose(weights(model)[0], average, atol=1e-5)
    assert np.abs(average - trace[-1]).max() > 1e-4
    np.testing.assert_allclose(history["val_nll"][0], -np.mean(model.dist.log_prob(rows)), rtol=0.05)


def test_regularizers_count_once(rows):
    network = keras.Sequential(
        [
            keras.Input((3,)),
            tfar.layers.MaskedDense(
                3, [1, 2, 3], [1, 2, 3], strict=True, kernel_regularizer=keras.regularizers.L2(0.5)
            ),
        ]
    )
    dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[3], jit_compile=False)
    model = make(dist=dist, optimizer=keras.optimizers.SGD(0.1))
    before = np.asarray(dist.variables[0])
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(dist.log_prob(rows[:, :3]))
    data_gradient = tape.gradient(loss, dist.variables[0])
    model.fit(rows[:, :3], epochs=1, verbose=0, batch_size=70)
    visible = np.triu(np.ones((3, 3)), 1)
    expected = before - 0.1 * (data_gradient + 2 * 0.5 * before * visible)
    np.testing.assert_allclose(np.asarray(dist.variables[0]) * visible, expected * visible, atol=1e-5)


def test_xla_gives_the_same_training(rows):
    plain, compiled = make(3), make(3, jit_compile=True)
    assert not plain.jit_compile and compiled.jit_compile
    for model in (plain, compiled):
        model.fit(rows[:64], **FIT)
    assert_weights(plain, compiled, 1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_compiles_if_eager_calls_do(jit_compile):
    assert make(dist=tfar.MADE([6], [8], jit_compile=jit_compile), jit_compile="auto").jit_compile == jit_compile
