"""Causal attention and the block of a transformer against loops; steps, masks, files and half precision."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.reference import any_order_transformer as reference
from tfar.layers import CausalAttention, TransformerBlock

HEADS, LENGTH, WIDTH = 2, 4, 3
ACTIVATION = np.tanh


def inputs(channels: int, rows: int = 2) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(rows, LENGTH, channels)).astype(np.float32)


def looped(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Attention of one row, over heads, positions and what they see."""
    queries, keys, values = x.astype(np.float64).reshape(LENGTH, 3, HEADS, WIDTH).transpose(1, 2, 0, 3)
    result = np.zeros([LENGTH, HEADS, WIDTH])
    for head in range(HEADS):
        for t in range(LENGTH):
            seen = [s for s in range(LENGTH) if mask[t, s]]
            weights = [math.exp(queries[head, t] @ keys[head, s] / math.sqrt(WIDTH)) for s in seen]
            for weight, s in zip(weights, seen, strict=True):
                result[t, head] += weight / sum(weights) * values[head, s]
    return result.reshape(LENGTH, -1)


def test_attention_equals_the_loops_under_any_mask() -> None:
    layer, x = CausalAttention(HEADS), inputs(3 * HEADS * WIDTH)
    causal = np.tri(LENGTH, dtype=bool)
    other = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
    for mask, expected in ((None, [causal] * 2), (other, [other] * 2), (np.stack([other, causal]), [other, causal])):
        found = layer(x, None if mask is None else tf.constant(mask))
        for row in range(2):
            np.testing.assert_allclose(found[row], looped(x[row], expected[row]), rtol=1e-5, atol=1e-5)


def test_a_position_that_is_not_seen_has_no_weight() -> None:
    """Not even a small one, whatever the scores: what comes later may be huge."""
    layer, x = CausalAttention(HEADS), inputs(3 * HEADS * WIDTH)
    later = x.copy()
    later[:, 2:] *= 1e6
    np.testing.assert_array_equal(layer(later)[:, :2], layer(x)[:, :2])


def made(**kwargs: object) -> TransformerBlock:
    block = TransformerBlock(5, HEADS, WIDTH, 7, activation="tanh", **kwargs)
    block.build((None, None, 5))
    generator = np.random.default_rng(4)
    for variable in block.trainable_variables:
        variable.assign(generator.normal(0.0, 0.7, size=variable.shape))
    return block


def weights_of(block: TransformerBlock) -> reference.Block:
    numpy = lambda *variables: [np.asarray(v, np.float64) for v in variables]  # noqa: E731
    by_head = numpy(block.project.kernel)[0].reshape(5, 3, HEADS, WIDTH).transpose(1, 2, 0, 3)
    norms = [reference.Norm(*numpy(norm.gamma, norm.beta)) for norm in (block.norm, block.mlp_norm)]
    mlp = numpy(block.expand.kernel, block.expand.bias, block.reduce.kernel, block.reduce.bias)
    return reference.Block(norms[0], *by_head, *numpy(block.join.kernel, block.join.bias), norms[1], *mlp)


def test_block_equals_the_loops() -> None:
    block, x = made(), inputs(5)
    found, weights = block(x), weights_of(block)
    for row in range(2):
        for t in range(LENGTH):
            tokens = [reference.normalised(weights.norm, token) for token in x[row, : t + 1].astype(np.float64)]
            after = x[row, t] + reference.attention(weights, tokens)
            units = np.tanh(reference.normalised(weights.mlp_norm, after) @ weights.expand + weights.expand_bias)
            np.testing.assert_allclose(
                found[row, t], after + units @ weights.reduce + weights.reduce_bias, rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("prefix", [0, 2])
def test_steps_equal_the_pass_after_any_prefix(prefix: int) -> None:
    """Entries of the cache from the step on are not read: they hold what `fill` made of other values."""
    block, x = made(), inputs(5)
    expected = block(x)
    _, cache = block.fill(np.where(np.arange(LENGTH)[:, None] < prefix, x, 100.0).astype(np.float32))
    for index in range(prefix, LENGTH):
        found, cache = block.step(cache, tf.constant(x[:, index]), tf.constant(index))
        np.testing.assert_allclose(found, expected[:, index], rtol=1e-5, atol=1e-5)
    for entry, filled in zip(cache, block.fill(x)[1], strict=True):
        np.testing.assert_allclose(entry, filled, rtol=1e-5, atol=1e-5)
        assert entry.shape == block.start(2, LENGTH)[0].shape


def test_dropout_is_applied_to_both_parts() -> None:
    block, x = made(), inputs(5)
    dropped = block.flow(x, block.attention, lambda part, found: 0.0 * found)
    np.testing.assert_allclose(dropped, x)
    first = block.flow(x, block.attention, lambda part, found: found * (part == 0))
    last = np.asarray(block(x) - first)
    assert np.abs(last).max() > 1e-2 and np.abs(first - x).max() > 1e-2


def test_config_round_trip_and_half_precision() -> None:
    for layer in (made(), CausalAttention(HEADS)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.get_config() == layer.get_config()
    half, x = made(dtype="mixed_bfloat16"), inputs(5)
    out = half(x)
    assert out.dtype == "bfloat16" and all(v.dtype == "float32" for v in half.variables)
    np.testing.assert_allclose(np.asarray(out, np.float32), made()(x), atol=0.2)
    assert made().compute_output_shape((None, 4, 5)) == (None, 4, 5)
    assert CausalAttention(HEADS).compute_output_shape((None, 4, 18)) == (None, 4, 6)


def test_bad_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match=r"Expected `num_heads` .* received 0"):
        CausalAttention(0)
    with pytest.raises(ValueError, match="a multiple of 6 channels; received 8"):
        CausalAttention(HEADS)(inputs(8))
    with pytest.raises(ValueError, match="Expected an input of 5 channels"):
        TransformerBlock(5, HEADS, WIDTH, 7)(inputs(6))
    assert tfar.layers.TransformerBlock is TransformerBlock
