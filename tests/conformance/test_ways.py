"""The ways through a network and the samplers agree; so do eager calls, graphs, XLA and vectorised maps."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.registry import FEW, MAIN, Case
from tfar import random, testing
from tfar.training import DensityModel

LARGE = "MADE-large"  # the one whose kernels are sliced
pytestmark = pytest.mark.in_ci(LARGE)


@pytest.mark.in_ci
def test_steps_equal_the_parallel_pass(case: Case, distributions: Any) -> None:
    testing.check_steps(distributions(case))


def test_samplers_agree(case: Case, distributions: Any) -> None:
    testing.check_samplers_agree(distributions(case, jit_compile=False))


@pytest.mark.by_default("MADE-bernoulli")
@pytest.mark.in_ci("PixelCNN-binary", LARGE)
def test_samplers_agree_compiled(case: Case, distributions: Any) -> None:
    testing.check_samplers_agree(distributions(case))


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN, LARGE)
def test_log_prob_eager_graph_xla_and_vectorized_map_agree(case: Case, distributions: Any) -> None:
    dist, x, condition = distributions(case), case.values(5), case.condition(5)

    def score(value: Any, condition: Any) -> tf.Tensor:
        return dist.log_prob(value, conditional_input=condition)

    expected = np.asarray(dist.density.log_prob(tf.constant(x), tensors(condition)))
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


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN, LARGE)
def test_samples_eager_graph_and_xla_agree(case: Case, distributions: Any) -> None:
    dist, count = distributions(case), 200
    condition = testing.support.take(case.condition(1), 0)
    rows = None if condition is None else tf.nest.map_structure(lambda t: np.repeat(t[None], count, 0), condition)
    seeds = random.row_seeds(3, count)
    noise, member_noise = dist.density.noise(seeds), dist.density.member_noise(seeds)

    def draw() -> tf.Tensor:
        return dist.sample(count, seed=3, conditional_input=condition)

    eager = draw()
    for other in (tf.function(draw)(), tf.function(draw, jit_compile=True)(), dist.density.sample(seeds, rows)):
        assert testing.equal_samples(dist, eager, other, noise, rows, member_noise)


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN, LARGE)
def test_rows_of_a_sample_come_from_row_seeds(case: Case, distributions: Any) -> None:
    """A longer sample starts with a shorter one, as row i depends on the seed and i alone."""
    dist = distributions(case, jit_compile=False)
    condition = testing.support.take(case.condition(1), 0)
    short, long = (np.asarray(dist.sample(n, seed=9, conditional_input=condition)) for n in (3, 7))
    np.testing.assert_allclose(short, long[:3], rtol=1e-5, atol=1e-5)


@pytest.mark.by_default(*FEW)
@pytest.mark.in_ci(*MAIN, LARGE)
def test_train_step_compiled_equals_uncompiled(case: Case) -> None:
    x, condition = case.values(12), case.condition(12)
    data = {"value": x} if condition is None else {"value": x, "conditional_input": condition}
    results = []
    for jit_compile in (False, True):
        model = DensityModel(case.make(), seed=2)
        model.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=jit_compile)
        loss = model.fit(data, batch_size=6, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((loss, [v.numpy() for v in model.dist.trainable_variables]))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_leading_axes(case: Case, distributions: Any, lead: tuple[int, ...]) -> None:
    dist, count = distributions(case, jit_compile=False), int(np.prod(lead))
    x, condition = case.values(count), case.condition(count)
    shaped = x.reshape(*lead, *case.event_shape)
    reshape = lambda t: t.reshape(*lead, *t.shape[1:])  # noqa: E731
    bound = None if condition is None else tf.nest.map_structure(reshape, condition)
    result = dist.log_prob(shaped, conditional_input=bound)
    assert result.shape == lead
    flat = dist.log_prob(x, conditional_input=condition)
    np.testing.assert_allclose(tf.reshape(result, [-1]), flat, rtol=1e-6, atol=1e-6)


def tensors(condition: Any) -> Any:
    """A condition as tensors; None stays None."""
    return None if condition is None else tf.nest.map_structure(tf.constant, condition)
