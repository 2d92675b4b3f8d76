"""Attention over vectors with a query, by a hidden layer."""

from typing import Any

import keras
import tensorflow as tf

from tfar.layers.causal import Weights, as_float
from tfar.layers.initializers import seeded_initializer

# The score of a vector that does not count: finite, so that a row without others has no NaN.
UNKNOWN = -1e9


@keras.saving.register_keras_serializable("tfar")
class SentenceAttention(keras.layers.Layer):
    """The mean of vectors, weighted by how well they fit a query.

        v_i = U . tanh(h_i W_1 + q W_2),    a = softmax(v) over the known vectors,    m = sum_i a_i h_i

    Args:
        units: int. Size of the hidden layer.
        seed: int. Determines the initial weights.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: vectors `[B, S, H]`, a query `[B, Q]` and bools `[B, S]`.
    Output shape: `[B, H]`; zeros for a row without known vectors.

    Example:
        >>> layer = SentenceAttention(4)
        >>> vectors = tf.constant([[[1.0, 2.0], [5.0, 5.0]]])
        >>> layer(vectors, tf.ones([1, 3]), tf.constant([[True, False]])).numpy()
        array([[1., 2.]], dtype=float32)

    References:
        Bahdanau, Cho and Bengio. Neural machine translation by jointly learning to align and translate. ICLR 2015,
        appendix A.1.2. https://arxiv.org/abs/1409.0473
    """

    def __init__(self, units: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.seed = int(units), int(seed)

    def build(self, vectors_shape: Any, query_shape: Any, known_shape: Any) -> None:
        shapes = {"kernel": vectors_shape[-1], "query_kernel": query_shape[-1], "score_kernel": None}
        for salt, (name, size) in enumerate(shapes.items()):
            initial = seeded_initializer(keras.initializers.get("glorot_uniform"), self.seed, salt)
            shape = (self.units, 1) if size is None else (size, self.units)
            setattr(self, name, self.add_weight(shape=shape, initializer=initial, name=name, autocast=False))
        self.built = True

    def compute_output_shape(self, vectors_shape: Any, query_shape: Any, known_shape: Any) -> tuple[Any, ...]:
        return (vectors_shape[0], vectors_shape[-1])

    def step_weights(self) -> Weights:
        """Returns float32 tensors that all queries use, computed once before a loop."""
        return {name: as_float(getattr(self, name)) for name in ("query_kernel", "score_kernel")}

    def keys(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns `h_i W_1` for vectors `[B, S, H]`, which all queries share."""
        return tf.matmul(as_float(vectors), as_float(self.kernel))

    def attend(
        self, vectors: tf.Tensor, keys: tf.Tensor, known: tf.Tensor, query: tf.Tensor, weights: Weights
    ) -> tf.Tensor:
        """Returns the weighted mean of vectors.

        Args:
            vectors: float32 `[B, S, H]`.
            keys: the result of the method `keys`.
            known: float32 `[B, S]`, 1 for vectors that count and 0 for others.
            query: float32 `[B, Q]`.
            weights: the result of `step_weights`.
        """
        hidden = tf.tanh(keys + tf.matmul(query, weights["query_kernel"])[:, None])
        scores = tf.where(known > 0.0, tf.matmul(hidden, weights["score_kernel"])[..., 0], UNKNOWN)
        shares = known * tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True)))
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=1, keepdims=True))
        return tf.reduce_sum(tf.expand_dims(shares, -1) * vectors, axis=1)

    def call(self, vectors: Any, query: Any, known: Any) -> tf.Tensor:
        known = tf.cast(known, tf.float32)
        return self.attend(as_float(vectors), self.keys(vectors), known, as_float(query), self.step_weights())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "seed": self.seed}
