"""Self-attention over a sequence in which a position sees itself and earlier positions."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Score of a position that is not seen. Its weight, the exponential of the difference from the largest score, is exactly 0.
_UNSEEN = -1e30

Cache = tuple[tf.Tensor, tf.Tensor]


@keras.saving.register_keras_serializable("tfar")
class CausalAttention(keras.layers.Layer):
    """Scaled dot-product attention with several heads, in which position t sees positions 0 .. t.

    The input holds the queries, keys and values of all heads, such as a dense layer computes them. For each head of width K,

        y_t = sum_{s <= t} a_ts v_s,    a_t = softmax_{s <= t}(q_t . k_s / sqrt(K))

    The layer has no weights. In steps, it keeps the keys and values of earlier positions in a cache of a fixed length: `start`
    creates the cache, `fill` computes it from a prefix, and `step` maps one position. A step writes its key and value before
    it reads the cache, so that XLA updates the cache in place.

    Args:
        num_heads: int. Number of heads.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T, 3 * num_heads * K]`: the queries of all heads, then their keys, then their values.
    Output shape: `[B, T, num_heads * K]`.

    Raises:
        ValueError: If the number of heads is not at least 1, or if the channels are not a multiple of `3 * num_heads`.

    Example:
        >>> tfar.layers.CausalAttention(num_heads=2)(tf.zeros([1, 5, 24])).shape
        TensorShape([1, 5, 8])

    References:
        Vaswani et al. Attention is all you need. NeurIPS 2017, section 3.2. https://arxiv.org/abs/1706.03762
    """

    def __init__(self, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = int(num_heads)
        if self.num_heads < 1:
            raise ValueError(f"Expected `num_heads` to be an int of at least 1; received {num_heads!r}.")

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._key_dim(input_shape[-1])
        self.built = True

    def _key_dim(self, channels: Any) -> int:
        """Returns the width of a head for an input of `channels` channels."""
        if not channels or channels % (3 * self.num_heads):
            raise ValueError(
                f"Expected the queries, keys and values of {self.num_heads} heads, a multiple of {3 * self.num_heads} "
                f"channels; received {channels}."
            )
        return channels // (3 * self.num_heads)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(self, x: tf.Tensor, attention_mask: tf.Tensor | None = None) -> tf.Tensor:
        """Maps a whole sequence.

        Args:
            x: queries, keys and values, `[B, T, 3 * num_heads * K]`.
            attention_mask: None, or bool `[T, T]` or `[B, T, T]`, which replaces the causal mask: entry `[t, s]` is True if
                position t sees position s. Each position must see at least one.
        """
        queries, keys, values = (self._by_head(part) for part in tf.split(x, 3, axis=-1))
        if attention_mask is None:
            places = tf.range(_length(x))
            attention_mask = tf.expand_dims(places, 0) <= tf.expand_dims(places, 1)
        elif attention_mask.shape.rank == 3:
            attention_mask = tf.expand_dims(attention_mask, 1)
        found = tf.transpose(_attend(queries, keys, values, attention_mask), [0, 2, 1, 3])
        return tf.reshape(found, [tf.shape(x)[0], _length(x), x.shape[-1] // 3])

    def _by_head(self, x: tf.Tensor) -> tf.Tensor:
        """Splits the channels of `[B, T, C]` by head: `[B, num_heads, T, K]`."""
        width = x.shape[-1] // self.num_heads
        shape = [tf.shape(x)[0], _length(x), self.num_heads, width]
        return tf.transpose(tf.reshape(x, shape), [0, 2, 1, 3])

    def compute_output_shape(self, input_shape: Sequence[Any], attention_mask: Any = None) -> tuple[Any, ...]:
        return (*input_shape[:-1], input_shape[-1] // 3)

    # In steps --------------------------------------------------------------------------------------------------------

    def start(self, batch_size: int | tf.Tensor, length: int, channels: int) -> Cache:
        """Returns the cache before the first position, for at most `length` positions of an input of `channels` channels.

        Returns:
            The keys and the values, float32 `[B, num_heads, length, K]` each.
        """
        shape = [batch_size, self.num_heads, length, self._key_dim(channels)]
        return tf.zeros(shape), tf.zeros(shape)

    def fill(self, x: tf.Tensor) -> Cache:
        """Returns the cache after the positions of `x`, `[B, length, 3 * num_heads * K]`."""
        _, keys, values = tf.split(tf.cast(x, tf.float32), 3, axis=-1)
        return self._by_head(keys), self._by_head(values)

    def step(self, cache: Cache, x: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, Cache]:
        """Maps one position.

        Args:
            cache: the cache that `start`, `fill` or the previous step returned. Its entries from `index` on are not read.
            x: query, key and value of the position, `[B, 3 * num_heads * K]`.
            index: int32 scalar. The position.

        Returns:
            The output `[B, num_heads * K]` and the new cache.
        """
        query, key, value = tf.split(tf.cast(x, tf.float32), 3, axis=-1)
        keys, values = (self._written(*pair, index) for pair in zip(cache, (key, value), strict=True))
        seen = tf.range(keys.shape[2]) <= index
        query = tf.reshape(query, [-1, self.num_heads, 1, keys.shape[3]])
        return tf.reshape(_attend(query, keys, values, seen), [-1, x.shape[-1] // 3]), (keys, values)

    def _written(self, cache: tf.Tensor, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Returns keys or values `[B, num_heads, length, K]` with those of position `index`, `[B, num_heads * K]`."""
        length, width = cache.shape[2:]
        rows = tf.range(tf.shape(x)[0] * self.num_heads)
        places = tf.stack([rows, tf.zeros_like(rows) + index], axis=1)
        flat = tf.reshape(cache, [-1, length, width])
        flat = tf.tensor_scatter_nd_update(flat, places, tf.reshape(x, [-1, width]))
        return tf.reshape(flat, [-1, self.num_heads, length, width])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}


def _length(x: tf.Tensor) -> Any:
    """Returns the number of positions of `[B, T, C]`, as an int if it is fixed."""
    return tf.shape(x)[1] if x.shape[1] is None else x.shape[1]


def _attend(queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    """Returns the means of the values `[..., S, K]` for queries `[..., T, K]`, over the positions that are seen.

    The softmax is computed in float32, from plain operations: a mask of half precision has no room for `_UNSEEN`.
    """
    scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32) * queries.shape[-1] ** -0.5
    scores = tf.where(seen, scores, _UNSEEN)
    weights = tf.exp(scores - tf.reduce_max(scores, axis=-1, keepdims=True))
    weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
    return tf.matmul(tf.cast(weights, values.dtype), values)
