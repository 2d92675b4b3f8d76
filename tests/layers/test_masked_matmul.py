"""`masked_matmul` equals the product with the masked kernel, and so do its derivatives."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar import testing
from tfar.layers import MaskedDense, masked_matmul

DEGREES = {
    "each once": (np.arange(1, 41), np.arange(1, 41)),
    "units share degrees": (np.arange(1, 21), np.repeat(np.arange(1, 20), 3)),
    "inputs share degrees": (np.repeat(np.arange(1, 12), 3), np.arange(1, 30)),
    "few degrees": (np.array([1, 1, 2, 5, 5]), np.array([1, 1, 1, 1, 4, 4, 5, 5, 9, 9, 9])),
    "fewer units than slices": (np.arange(1, 7), np.array([2, 4])),
    "all inputs seen by all": (np.repeat([1, 2], 16), np.repeat([2, 3], 20)),
    "no input seen by the first slice": (np.arange(20, 60), np.arange(1, 41)),
    "not sorted": (np.array([3, 1, 2, 4]), np.array([1, 4, 2, 2, 3])),
}


@pytest.fixture
def slice_small_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked_matmul, "MIN_WEIGHTS", 1)


def plain_mask(inputs: np.ndarray, units: np.ndarray, strict: bool) -> np.ndarray:
    return inputs[:, None] < units[None] if strict else inputs[:, None] <= units[None]


def num_slices(inputs: np.ndarray, units: np.ndarray, strict: bool = False) -> int:
    return len(masked_matmul._slices(inputs, units, strict))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("degrees", DEGREES.values(), ids=DEGREES)
def test_equals_the_masked_product(slice_small_kernels: None, degrees: Any, strict: bool) -> None:
    inputs, units = degrees
    rng = np.random.default_rng(0)
    x, upstream = (tf.constant(rng.normal(size=(7, n)), tf.float32) for n in (len(inputs), len(units)))
    kernel = tf.constant(rng.normal(size=(len(inputs), len(units))), tf.float32)
    results = []
    for product in (
        lambda: masked_matmul.masked_matmul(x, kernel, inputs, units, strict=strict),
        lambda: x @ (kernel * plain_mask(inputs, units, strict)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = product()
            loss = tf.reduce_sum(y * upstream)
        results.append([y, *tape.gradient(loss, [x, kernel])])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def twice(x: tf.Tensor, kernel: tf.Tensor, product: Any) -> Any:
    """Derivatives of a norm of the gradients."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = tf.reduce_sum(tf.sin(product(x, kernel)))
        norm = sum(tf.reduce_sum(gradient**2) for gradient in inner.gradient(y, [x, kernel]))
    return outer.gradient(norm, [x, kernel])


def forwards(x: tf.Tensor, kernel: tf.Tensor, product: Any) -> Any:
    """The derivative in one direction."""
    with tf.autodiff.ForwardAccumulator([x, kernel], [tf.ones_like(x), tf.ones_like(kernel)]) as accumulator:
        y = product(x, kernel)
    return [accumulator.jvp(y)]


def by_row(x: tf.Tensor, kernel: tf.Tensor, product: Any) -> Any:
    """The Jacobian of each row."""

    def jacobian(row: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(row)
            y = product(row[None], kernel)[0]
        return tape.jacobian(y, row)

    return [tf.vectorized_map(jacobian, x)]


@pytest.mark.parametrize("derivative", [twice, forwards, by_row])
@pytest.mark.parametrize("mode", few_by_default(["XLA", "graph", "eager"]))
def test_every_kind_of_derivative_is_that_of_the_masked_product(
    slice_small_kernels: None, derivative: Any, mode: str
) -> None:
    inputs, units = DEGREES["inputs share degrees"]
    rng = np.random.default_rng(1)
    kernel = tf.constant(rng.normal(size=(len(inputs), len(units))) / 8, tf.float32)
    x = tf.constant(rng.normal(size=(3, len(inputs))), tf.float32)

    def sliced(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return masked_matmul.masked_matmul(x, kernel, inputs, units, strict=False)

    def plain(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return x @ (kernel * plain_mask(inputs, units, strict=False))

    results = []
    for product in (sliced, plain):
        call = lambda x, kernel, product=product: derivative(x, kernel, product)  # noqa: E731
        results.append((call if mode == "eager" else tf.function(call, jit_compile=mode == "XLA"))(x, kernel))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_leading_axes_are_kept(slice_small_kernels: None, lead: tuple[int, ...]) -> None:
    degrees = np.arange(20)
    x = np.random.default_rng(0).normal(size=[*lead, 20]).astype(np.float32)
    found = masked_matmul.masked_matmul(tf.constant(x), tf.ones([20, 20]), degrees, degrees, strict=False)
    assert found.shape == (*lead, 20)
    np.testing.assert_allclose(found, np.cumsum(x, -1), rtol=1e-5, atol=1e-5)


def test_only_large_kernels_with_sorted_degrees_are_sliced() -> None:
    size = masked_matmul.MIN_WEIGHTS // 256
    assert num_slices(np.arange(256), np.arange(size)) == masked_matmul.NUM_SLICES
    assert num_slices(np.arange(256), np.arange(size - 1)) == 1
    assert num_slices(np.arange(256)[::-1], np.arange(size)) == 1
    assert num_slices(np.arange(256), np.arange(size)[::-1]) == 1


def test_each_slice_takes_the_inputs_that_its_last_unit_sees() -> None:
    slices = masked_matmul._slices(np.arange(1, 785), np.arange(1, 785), True)
    assert [(end, units.start, units.stop) for end, units in slices] == [
        (195, 0, 196),
        (391, 196, 392),
        (587, 392, 588),
        (783, 588, 784),
    ]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_sliced_layer_keeps_one_kernel(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """The variables of a layer do not depend on the slices."""
    degrees, results, x = np.arange(1, 33), [], np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    for smallest in (1, 10**9):
        monkeypatch.setattr(masked_matmul, "MIN_WEIGHTS", smallest)
        layer = MaskedDense(32, degrees, degrees, strict=True, dtype=dtype, kernel_regularizer="l2")
        layer.build((None, 32))
        layer.full_kernel.assign(np.random.default_rng(1).normal(size=(32, 32)))
        assert [(v.name, tuple(v.shape)) for v in layer.variables] == [("kernel", (32, 32)), ("bias", (32,))]
        results.append(layer(x))
    assert results[0].dtype == results[1].dtype
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    np.testing.assert_allclose(
        *(tf.cast(result, tf.float32) for result in results), rtol=tolerance, atol=10 * tolerance
    )


@pytest.mark.parametrize("order", few_by_default(["random", "natural"]))
@pytest.mark.parametrize("head", [tfar.heads.Bernoulli(), tfar.heads.Categorical(3)], ids=["bits", "classes"])
def test_a_sliced_made_is_autoregressive_and_its_steps_agree(slice_small_kernels: None, order: str, head: Any) -> None:
    dist = tfar.MADE([9], [24, 18], head=head, order=order, seed=3, jit_compile=False)
    for layer in [*dist.network.hidden_layers, dist.network.output_layer]:
        assert num_slices(np.array(layer.in_degrees), np.array(layer.out_degrees), layer.strict) > 1
    testing.check_autoregressive(dist)
    testing.check_steps(dist)
    testing.check_samplers_agree(dist, num_samples=50)
