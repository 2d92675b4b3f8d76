"""The product by blocks is the product with the masked kernel, forwards and backwards."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import testing
from tfar.layers import MaskedDense, staircase

DEGREES = {
    "each once": (np.arange(1, 41), np.arange(1, 41)),
    "units share degrees": (np.arange(1, 21), np.repeat(np.arange(1, 20), 3)),
    "inputs share degrees": (np.repeat(np.arange(1, 12), 3), np.arange(1, 30)),
    "few degrees": (np.array([1, 1, 2, 5, 5]), np.array([1, 1, 1, 1, 4, 4, 5, 5, 9, 9, 9])),
    "fewer units than blocks": (np.arange(1, 7), np.array([2, 4])),
}


@pytest.fixture
def small_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staircase, "SMALLEST", 1)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("degrees", DEGREES.values(), ids=DEGREES)
def test_equals_the_masked_product(small_kernels_too: None, degrees: Any, strict: bool) -> None:
    inputs, units = degrees
    blocks = staircase.find(inputs, units, strict=strict)
    assert blocks
    rng = np.random.default_rng(0)
    x, upstream = (tf.constant(rng.normal(size=(7, n)), tf.float32) for n in (len(inputs), len(units)))
    kernel = tf.constant(rng.normal(size=(len(inputs), len(units))), tf.float32)
    mask = inputs[:, None] < units[None] if strict else inputs[:, None] <= units[None]
    results = []
    for product in (lambda: staircase.matmul(x, kernel, blocks), lambda: x @ (kernel * mask)):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = product()
            loss = tf.reduce_sum(y * upstream)
        results.append([y, *tape.gradient(loss, [x, kernel])])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_leading_axes_are_kept(small_kernels_too: None, lead: tuple[int, ...]) -> None:
    blocks = staircase.find(range(20), range(30), strict=False)
    x, kernel = np.ones([*lead, 20], np.float32), np.ones([20, 30], np.float32)
    assert staircase.matmul(tf.constant(x), tf.constant(kernel), blocks).shape == (*lead, 30)


def test_only_sorted_degrees_and_large_kernels_have_blocks() -> None:
    size = int(staircase.SMALLEST**0.5)
    assert staircase.find(range(size), range(size), strict=False)
    assert staircase.find(range(size - 1), range(size), strict=False) is None
    assert staircase.find(range(size)[::-1], range(size), strict=False) is None
    assert staircase.find(range(size), range(size)[::-1], strict=False) is None


def test_blocks_skip_what_the_mask_leaves_empty() -> None:
    found = staircase.find(range(1, 785), range(1, 785), strict=True)
    for blocks, share in ((found.by_units, 0.6), (found.by_inputs, 0.76)):
        assert sum(len(b.in_degrees) * len(b.out_degrees) for b in blocks) < share * 784**2


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_layer_by_blocks_equals_one_without(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    degrees = np.arange(1, 33)
    outputs = []
    for smallest in (1, 10**9):
        monkeypatch.setattr(staircase, "SMALLEST", smallest)
        layer = MaskedDense(32, degrees, degrees, strict=True, dtype=dtype, kernel_initializer="ones")
        outputs.append(layer(tf.ones([4, 32])))
        assert bool(layer._staircase) == (smallest == 1)
    assert outputs[0].dtype == outputs[1].dtype
    np.testing.assert_allclose(tf.cast(outputs[0], tf.float32), tf.cast(outputs[1], tf.float32), rtol=1e-5)


@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize("head", [tfar.heads.Bernoulli(), tfar.heads.Categorical(3)], ids=["bits", "classes"])
def test_made_by_blocks_is_autoregressive_and_steps_agree(small_kernels_too: None, order: str, head: Any) -> None:
    dist = tfar.MADE([9], [24, 18], head=head, order=order, seed=3, jit_compile=False)
    assert all(layer._staircase for layer in [*dist.network.hidden_layers, dist.network.output_layer])
    testing.check_autoregressive(dist)
    testing.check_steps(dist)
    testing.check_samplers_agree(dist, num_samples=50)
