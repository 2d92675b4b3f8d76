"""Training: one step is the same on one device and on two; every weight learns; half precision scores in float32."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.registry import FEW, MAIN, Case
from tfar import testing
from tfar.training import DensityModel


def data(case: Case, num_rows: int) -> Any:
    """Rows with a weight each, as `fit` takes them."""
    parts = {"value": case.values(num_rows), "conditional_input": case.condition(num_rows)}
    weight = np.linspace(0.0, 2.0, num_rows).astype(np.float32)
    return {name: part for name, part in parts.items() if part is not None} | {"sample_weight": weight}


def fitted(case: Case, strategy: Any) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    """Losses and weights after two epochs of full batches under a strategy."""
    with strategy.scope():
        model = DensityModel(case.make(), seed=4)
        model.compile(optimizer=keras.optimizers.Adam(0.01))
    rows = tf.data.Dataset.from_tensor_slices(data(case, 16)).batch(8, drop_remainder=True)
    history = model.fit(rows, validation_data=rows, epochs=2, verbose=0).history
    return history, [v.numpy() for v in model.dist.trainable_variables]


@pytest.mark.by_default("MADE-bernoulli")
@pytest.mark.in_ci("OrderlessNADE-bernoulli")
def test_mirrored_strategy_equals_one_device(case: Case) -> None:
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    # TensorFlow's collectives on CPUs take the tensors of a second strategy of a process for those of the first.
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    one, two = fitted(case, tf.distribute.get_strategy()), fitted(case, strategy)
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-5, err_msg=name)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_every_weight_gets_a_gradient(case: Case, distributions: Any) -> None:
    """Over several seeds, as each draws other masks; a weight that is masked for every member has none to get."""
    dist = distributions(case, jit_compile=False)
    x, condition = case.values(32), case.condition(32)
    assert (
        len(dist.trainable_variables) == len(dist.network.trainable_variables) + len(dist.head.trainable_variables) > 0
    )
    alive = [False] * len(dist.trainable_variables)
    for seed in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(x, condition, seed=seed))
        for i, gradient in enumerate(tape.gradient(loss, dist.trainable_variables)):
            assert gradient is not None and np.isfinite(gradient).all(), dist.network.trainable_variables[i].path
            alive[i] |= bool(np.any(gradient))
    if dist.num_sites > 1:
        dead = [v.path for v, a in zip(dist.network.trainable_variables, alive, strict=False) if not a]
        assert not dead


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN)
def test_log_prob_has_its_true_gradient(case: Case) -> None:
    """The gradient along a random direction equals a finite difference."""
    dist, x = case.make().copy(jit_compile=False), case.values(4)
    condition = case.condition(4)
    generator = np.random.default_rng(0)
    directions = [generator.normal(size=v.shape).astype(np.float32) for v in dist.trainable_variables]
    length = np.sqrt(sum(np.sum(d**2) for d in directions))
    directions = [
        d / max(1.0, length / 20.0) for d in directions
    ]  # of many weights: a step as short as that of a few hundred

    def score() -> tf.Tensor:
        return tf.reduce_sum(dist.log_prob(x, conditional_input=condition))

    with tf.GradientTape() as tape:
        value = score()
    gradients = tape.gradient(value, dist.trainable_variables)
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    ends = []
    for step in (2e-3, -4e-3):
        for variable, direction in zip(dist.trainable_variables, directions, strict=True):
            variable.assign_add(step * direction)
        ends.append(float(score()))
    np.testing.assert_allclose((ends[0] - ends[1]) / 4e-3, slope, rtol=2e-2, atol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_scores_in_float32(case: Case, distributions: Any, dtype_policy: Any, policy: str) -> None:
    dtype_policy(policy)
    dist = case.make().copy(jit_compile=False)
    dtype_policy("float32")
    x, condition = case.values(8), case.condition(8)
    result = dist.log_prob(x, conditional_input=condition)
    assert result.dtype == tf.float32
    expected = distributions(case, jit_compile=False).log_prob(x, conditional_input=condition)
    np.testing.assert_allclose(result, expected, rtol=0.05, atol=0.2)
    assert not np.array_equal(result, expected) or dist.num_sites == 1
    with tf.GradientTape() as tape:
        loss = dist.training_loss(x, condition, seed=1)
    assert loss.dtype == tf.float32
    for gradient, variable in zip(tape.gradient(loss, dist.trainable_variables), dist.trainable_variables, strict=True):
        assert gradient.dtype == variable.dtype == tf.float32
    drawn = dist.sample(4, seed=1, conditional_input=testing.support.take(condition, 0))
    assert drawn.dtype == tf.float32 and np.isfinite(drawn).all()
