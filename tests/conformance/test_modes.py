"""Modes of execution by kind: eager, graph, XLA and vectorised maps agree; two replicas, compiled training, half precision."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import kinds
from tests.conformance.facts import tensors
from tests.conformance.stub import STUB
from tests.registry import BY_NAME, Case
from tfar import random, testing
from tfar.testing import support
from tfar.training import DensityModel


@kinds.over(default=kinds.DEFAULT[:1], in_ci=[*kinds.DEFAULT[1:], *kinds.IN_CI])
def test_log_prob_agrees(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case), case.values(5), case.condition(5)

    def score(value: Any, condition: Any) -> tf.Tensor:
        return dist.log_prob(value, conditional_input=condition)

    expected = np.asarray(dist.law.log_prob(tf.constant(x), tensors(condition)))
    found = {
        "eager": score(x, condition),
        "graph": tf.function(score)(x, condition),
        "XLA": tf.function(score, jit_compile=True)(tf.constant(x), tensors(condition)),
        "without XLA": dist.copy(jit_compile=False).log_prob(x, conditional_input=condition),
        "vectorized_map": tf.vectorized_map(lambda row: score(*row), (tf.constant(x), tensors(condition)))
        if condition is not None
        else tf.vectorized_map(lambda value: score(value, None), tf.constant(x)),
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@kinds.over(default=kinds.DEFAULT[:1], in_ci=[*kinds.DEFAULT[1:], *kinds.IN_CI])
def test_samples_agree(case: Case, distributions: Any) -> None:
    """Also a completion of nothing that is observed, which is a sample of a model of one order."""
    dist, count = distributions(case), 200
    condition = support.take(case.condition(1), 0)
    rows = support.take(case.condition(1), np.zeros(count, int))
    seeds = random.row_seeds(3, count)
    noise, member_noise = dist.law.uniform_noise(seeds), dist.law.member_noise(seeds)

    def draw() -> tf.Tensor:
        return dist.sample(count, seed=3, conditional_input=condition)

    eager = draw()
    found = {
        "graph": tf.function(draw)(),
        "XLA": tf.function(draw, jit_compile=True)(),
        "law": dist.law.sample(seeds, rows),
        "fixed_point": dist.sample(count, seed=3, conditional_input=condition, method="fixed_point"),
    }
    for name, other in found.items():
        assert testing.equal_samples(dist, eager, other, noise, rows, member_noise), name


@kinds.over(default=[STUB])
def test_a_compiled_train_step_equals_an_uncompiled_one(case: Case) -> None:
    data, results = rows_of(case, 12), []
    for jit_compile in (False, True):
        model = DensityModel(case.make(), seed=2)
        model.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=jit_compile)
        loss = model.fit(data, batch_size=6, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((loss, [v.numpy() for v in model.dist.trainable_variables]))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def rows_of(case: Case, num_rows: int) -> dict[str, Any]:
    """Rows with a weight each, as `fit` takes them."""
    parts = {"value": case.values(num_rows), "conditional_input": case.condition(num_rows)}
    weight = np.linspace(0.0, 2.0, num_rows).astype(np.float32)
    return {name: part for name, part in parts.items() if part is not None} | {"sample_weight": weight}


def fitted(case: Case, strategy: Any) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    """Losses and weights after two epochs of full batches under a strategy."""
    with strategy.scope():
        model = DensityModel(case.make(), seed=4)
        model.compile(optimizer=keras.optimizers.Adam(0.01))
    rows = tf.data.Dataset.from_tensor_slices(rows_of(case, 16)).batch(8, drop_remainder=True)
    history = model.fit(rows, validation_data=rows, epochs=2, verbose=0).history
    return history, [v.numpy() for v in model.dist.trainable_variables]


@kinds.over(
    default=[], in_ci=[BY_NAME[name] for name in ("MADE-bernoulli", "OrderlessNADE-bernoulli", "RNADE-normals")]
)
def test_two_replicas_equal_one_device(case: Case) -> None:
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    # TensorFlow's collectives on CPUs take the tensors of a second strategy of a process for those of the first.
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    one, two = fitted(case, tf.distribute.get_strategy()), fitted(case, strategy)
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-5, err_msg=name)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


# LSTMs over words compute in float32, whatever the policy, and these models have no other layers.
IN_FLOAT32 = ["SequenceAutoencoder-untied-encoder"]


@kinds.over(default=kinds.DEFAULT[1:])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_scores_in_float32(case: Case, dtype_policy: Any, policy: str) -> None:
    dtype_policy(policy)
    dist = case.make()
    dtype_policy("float32")
    x, condition = case.values(8), case.condition(8)
    result = dist.law.log_prob(tf.constant(x), tensors(condition))
    assert result.dtype == tf.float32
    expected = case.make().law.log_prob(tf.constant(x), tensors(condition))
    np.testing.assert_allclose(result, expected, rtol=0.05, atol=0.2)
    assert np.array_equal(result, expected) == (case.name in IN_FLOAT32)
    with tf.GradientTape() as tape:
        loss = dist.training_loss(x, condition, seed=1)
    assert loss.dtype == tf.float32
    for gradient, variable in zip(tape.gradient(loss, dist.trainable_variables), dist.trainable_variables, strict=True):
        assert gradient.dtype == variable.dtype == tf.float32
    drawn = dist.law.sample(random.row_seeds(1, 8), tensors(condition))
    assert drawn.dtype == tf.float32 and np.isfinite(drawn).all()
