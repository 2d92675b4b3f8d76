"""The product by blocks is the product with the masked kernel, forwards and backwards."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar import testing
from tfar.layers import MaskedDense, staircase

DEGREES = {
    "each once": (np.arange(1, 41), np.arange(1, 41)),
    "units share degrees": (np.arange(1, 21), np.repeat(np.arange(1, 20), 3)),
    "inputs share degrees": (np.repeat(np.arange(1, 12), 3), np.arange(1, 30)),
    "few degrees": (np.array([1, 1, 2, 5, 5]), np.array([1, 1, 1, 1, 4, 4, 5, 5, 9, 9, 9])),
    "fewer units than blocks": (np.arange(1, 7), np.array([2, 4])),
    "all in common": (np.repeat([1, 2], 16), np.repeat([1, 2], 20)),
    "none for the first": (np.arange(2, 42), np.arange(1, 41)),
}


@pytest.fixture
def small_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staircase, "WEIGHTS_PER_BLOCK", 1)


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
    for product in (
        lambda: staircase.matmul(x, staircase.split(kernel, blocks), blocks),
        lambda: x @ (kernel * mask),
        lambda: x @ (staircase.join(staircase.split(kernel, blocks), blocks, len(inputs)) * mask),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = product()
            loss = tf.reduce_sum(y * upstream)
        results.append([y, *tape.gradient(loss, [x, kernel])])
    for found, expected, joined in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(joined, expected, rtol=1e-5, atol=1e-5)


def twice(x: tf.Tensor, product: Any) -> tf.Tensor:
    """The derivative of a norm of the gradient."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf.sin(product(x)))
        norm = tf.reduce_sum(inner.gradient(y, x) ** 2)
    return outer.gradient(norm, x)


def forwards(x: tf.Tensor, product: Any) -> tf.Tensor:
    """The derivative in one direction."""
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = product(x)
    return accumulator.jvp(y)


def by_row(x: tf.Tensor, product: Any) -> tf.Tensor:
    """The Jacobian of each row."""

    def jacobian(row: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(row)
            y = product(row[None])[0]
        return tape.jacobian(y, row)

    return tf.vectorized_map(jacobian, x)


@pytest.mark.parametrize("derivative", [twice, forwards, by_row])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_kind_of_derivative_is_that_of_the_masked_product(
    small_kernels_too: None, derivative: Any, jit_compile: bool
) -> None:
    inputs, units = DEGREES["inputs share degrees"]
    blocks = staircase.find(inputs, units, strict=False)
    rng = np.random.default_rng(1)
    kernel = tf.constant(rng.normal(size=(len(inputs), len(units))) / 8, tf.float32)
    masked, parts = kernel * (inputs[:, None] <= units[None]), staircase.split(kernel, blocks)
    x = tf.constant(rng.normal(size=(3, len(inputs))), tf.float32)
    found, expected = (
        tf.function(lambda x, product=product: derivative(x, product), jit_compile=jit_compile)(x)
        for product in (lambda x: staircase.matmul(x, parts, blocks), lambda x: x @ masked)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_leading_axes_are_kept(small_kernels_too: None, lead: tuple[int, ...]) -> None:
    blocks = staircase.find(range(20), range(30), strict=False)
    x, parts = np.ones([*lead, 20], np.float32), staircase.split(tf.ones([20, 30]), blocks)
    assert staircase.matmul(tf.constant(x), parts, blocks).shape == (*lead, 30)


def test_only_sorted_degrees_and_large_kernels_have_blocks() -> None:
    size = -(-2 * staircase.WEIGHTS_PER_BLOCK // 256)
    assert staircase.find(range(256), range(size), strict=False)
    assert staircase.find(range(256), range(size - 1), strict=False) == ()
    assert staircase.find(range(256)[::-1], range(size), strict=False) == ()
    assert staircase.find(range(256), range(size)[::-1], strict=False) == ()


@pytest.mark.parametrize(("units", "number"), [(100, 0), (234, 0), (235, 2), (400, 3), (500, 4), (768, 5), (4096, 5)])
def test_a_larger_kernel_has_more_blocks(units: int, number: int) -> None:
    assert len(staircase.find(range(256), range(units), strict=False)) == number


def test_blocks_skip_what_the_mask_leaves_empty() -> None:
    blocks = staircase.find(range(1, 785), range(1, 785), strict=True)
    assert [block.num_common for block in blocks] == [0, 144, 304, 464, 624]
    assert [block.edge_shape for block in blocks] == [(160, 157), (176, 157), (176, 157), (176, 156), (159, 157)]


def test_inputs_that_no_unit_sees_are_left_out() -> None:
    blocks = staircase.find(range(1, 513), range(1, 512), strict=True)
    assert max(block.num_inputs for block in blocks) == 510


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("degrees", DEGREES.values(), ids=DEGREES)
def test_what_is_not_masked_is_seen_by_all_units_of_a_block(
    small_kernels_too: None, degrees: Any, strict: bool
) -> None:
    inputs, units = degrees
    mask = inputs[:, None] < units[None] if strict else inputs[:, None] <= units[None]
    for block in staircase.find(inputs, units, strict=strict):
        assert mask[: block.num_common, block.units].all()
        assert not mask[block.num_inputs :, block.units].any()


@pytest.mark.parametrize("count", [392, 500, 512, 784, 1000])
def test_units_of_a_block_fill_their_last_tile(count: int) -> None:
    widths = [block.edge_shape[1] for block in staircase.find(range(784), range(count), strict=False)]
    assert sum(widths) == count
    assert len(widths) == staircase.BLOCKS
    assert all(-width % staircase.TILE < staircase.TILE // 2 for width in widths)
    assert max(widths) - min(widths) < 2 * staircase.TILE


def layers(monkeypatch: pytest.MonkeyPatch, **kwargs: Any) -> list[MaskedDense]:
    """A layer whose kernel comes in blocks, and one with a single variable."""
    degrees, made = np.arange(1, 33), []
    for weights in (1, 10**9):
        monkeypatch.setattr(staircase, "WEIGHTS_PER_BLOCK", weights)
        made.append(MaskedDense(32, degrees, degrees, strict=True, one_mask=True, **kwargs))
        made[-1].build((None, 32))
        assert bool(made[-1].blocks) == (weights == 1)
    return made


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_layer_in_blocks_equals_one_without(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    blocks, whole = layers(monkeypatch, dtype=dtype, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    found, expected = blocks(x), whole(x)
    assert found.dtype == expected.dtype
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    np.testing.assert_allclose(
        tf.cast(found, tf.float32), tf.cast(expected, tf.float32), rtol=tolerance, atol=tolerance
    )
    np.testing.assert_array_equal(blocks.kernel, whole.kernel)
    assert blocks.full_kernel.dtype == "float32"
    assert [tuple(v.shape) for v in blocks.trainable_variables] == [
        (16, 9),
        (16, 2),
        (16, 3),
        (16 * 9 + 17 * 9 + 10 * 9 + 12 * 2 + 15 * 3,),
        (32,),
    ]


@pytest.mark.parametrize(
    "kwargs", [{"kernel_regularizer": "l2"}, {"kernel_constraint": "max_norm"}], ids=["regulariser", "constraint"]
)
def test_a_kernel_with_a_regulariser_or_a_constraint_stays_whole(small_kernels_too: None, kwargs: Any) -> None:
    """Both concern all weights of a unit."""
    layer = MaskedDense(32, range(32), range(32), one_mask=True, **kwargs)
    layer.build((None, 32))
    assert not layer.blocks
    assert [tuple(v.shape) for v in layer.trainable_variables] == [(32, 32), (32,)]


def test_checkpoints_hold_every_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layer, _ = layers(monkeypatch)
    names = [name for name, _ in tf.train.list_variables(tf.train.Checkpoint(layer=layer).save(tmp_path / "layer"))]
    assert [name.split("/")[1] for name in names if name.startswith("layer")] == [
        "bias",
        "kernel_1",
        "kernel_2",
        "kernel_3",
        "kernel_edge",
    ]


def test_one_mask_takes_no_other_degrees(monkeypatch: pytest.MonkeyPatch) -> None:
    for layer in layers(monkeypatch):
        with pytest.raises(ValueError, match="Expected no other degrees, as `one_mask` is True"):
            layer(tf.ones([1, 32]), tf.range(32))


@pytest.mark.parametrize("order", few_by_default(["random", "natural"]))
@pytest.mark.parametrize("head", [tfar.heads.Bernoulli(), tfar.heads.Categorical(3)], ids=["bits", "classes"])
def test_made_by_blocks_is_autoregressive_and_steps_agree(small_kernels_too: None, order: str, head: Any) -> None:
    dist = tfar.MADE([9], [24, 18], head=head, order=order, seed=3, jit_compile=False)
    assert all(layer.blocks for layer in [*dist.network.hidden_layers, dist.network.output_layer])
    testing.check_autoregressive(dist)
    testing.check_steps(dist)
    testing.check_samplers_agree(dist, num_samples=50)
