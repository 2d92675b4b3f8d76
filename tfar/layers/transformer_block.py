"""A block of a causal transformer: attention and a perceptron, each behind a normalisation and with a shortcut."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.causal_attention import Cache, CausalAttention

# Maps the number of a part, 0 for attention and 1 for the perceptron, and its result to the result after dropout.
Drop = Callable[[int, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable("tfar")
class TransformerBlock(keras.layers.Layer):
    """Causal self-attention and a perceptron with one hidden layer, with shortcuts and normalisation of their inputs.

        a = x + O attention(A norm(x)),    y = a + C g(B norm(a))

    The block maps a sequence in one pass or, with a cache, position by position; see `CausalAttention`.

    Args:
        units: int. Channels of the input and the output.
        num_heads: int. Number of heads of the attention.
        key_dim: int. Width of a head.
        mlp_units: int. Hidden units of the perceptron.
        activation: activation function of the perceptron.
        kernel_initializers: None for Glorot, or the initializers of A, O, B and C.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T, units]`.
    Output shape: `[B, T, units]`.

    Example:
        >>> block = tfar.layers.TransformerBlock(8, num_heads=2, key_dim=4, mlp_units=16)
        >>> block(tf.zeros([1, 5, 8])).shape
        TensorShape([1, 5, 8])

    References:
        Vaswani et al. Attention is all you need. NeurIPS 2017, section 3. https://arxiv.org/abs/1706.03762
        Xiong et al. On layer normalization in the transformer architecture. ICML 2020, section 3.
        https://arxiv.org/abs/2002.04745
    """

    def __init__(
        self,
        units: int,
        num_heads: int,
        key_dim: int,
        mlp_units: int,
        *,
        activation: Any = "relu",
        kernel_initializers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.num_heads, self.key_dim = int(units), int(num_heads), int(key_dim)
        self.mlp_units, self.activation = int(mlp_units), keras.activations.get(activation)
        given = kernel_initializers or ["glorot_uniform"] * 4
        self.kernel_initializers = [keras.initializers.get(initializer) for initializer in given]
        self.norm, self.mlp_norm = self._norm("norm"), self._norm("mlp_norm")
        # A bias of the keys would have no effect, as the softmax does not depend on a term that all scores share.
        self.project = self._dense("project", 3 * self.num_heads * self.key_dim, 0, use_bias=False)
        self.attention = CausalAttention(self.num_heads, dtype=self.dtype_policy, name="attention")
        self.join = self._dense("join", self.units, 1)
        self.expand = self._dense("expand", self.mlp_units, 2)
        self.reduce = self._dense("reduce", self.units, 3)

    def _norm(self, name: str) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name=name)

    def _dense(self, name: str, units: int, index: int, **kwargs: Any) -> keras.layers.Dense:
        shared = {"kernel_initializer": self.kernel_initializers[index], "dtype": self.dtype_policy}
        return keras.layers.Dense(units, name=name, **shared, **kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        if input_shape[-1] != self.units:
            raise ValueError(f"Expected an input of {self.units} channels; received shape {tuple(input_shape)}.")
        for layer in (self.norm, self.mlp_norm, self.project, self.expand):
            layer.build((None, self.units))
        self.attention.build((None, None, 3 * self.num_heads * self.key_dim))
        self.join.build((None, self.num_heads * self.key_dim))
        self.reduce.build((None, self.mlp_units))
        self.built = True

    def flow(self, x: tf.Tensor, attend: Callable[[tf.Tensor], tf.Tensor], drop: Drop | None = None) -> tf.Tensor:
        """Returns the output for features `[..., units]`.

        Args:
            x: the features.
            attend: maps queries, keys and values to the result of the attention.
            drop: None, or the dropout of training.
        """
        found = self.join(attend(self.project(self.norm(x))))
        x += found if drop is None else drop(0, found)
        found = self.reduce(self.activation(self.expand(self.mlp_norm(x))))
        return x + (found if drop is None else drop(1, found))

    def call(self, x: tf.Tensor, attention_mask: tf.Tensor | None = None) -> tf.Tensor:
        """Maps a whole sequence; for `attention_mask` see `CausalAttention`."""
        return self.flow(x, lambda found: self.attention(found, attention_mask))

    def compute_output_shape(self, input_shape: Sequence[Any], attention_mask: Any = None) -> tuple[Any, ...]:
        return tuple(input_shape)

    # In steps --------------------------------------------------------------------------------------------------------

    def start(self, batch_size: int | tf.Tensor, length: int) -> Cache:
        """Returns the cache before the first of at most `length` positions."""
        return self.attention.start(batch_size, length, 3 * self.num_heads * self.key_dim)

    def fill(self, x: tf.Tensor) -> tuple[tf.Tensor, Cache]:
        """Maps a whole sequence `[B, length, units]`; also returns the cache after it."""
        caches: list[Cache] = []

        def attend(found: tf.Tensor) -> tf.Tensor:
            caches.append(self.attention.fill(found))
            return self.attention(found)

        return self.flow(x, attend), caches[0]

    def step(self, cache: Cache, x: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, Cache]:
        """Maps position `index` of features `[B, units]`; also returns the new cache."""
        caches: list[Cache] = []

        def attend(projected: tf.Tensor) -> tf.Tensor:
            found, new = self.attention.step(cache, projected, index)
            caches.append(new)
            return tf.cast(found, projected.dtype)

        return self.flow(x, attend), caches[0]

    def get_config(self) -> dict[str, Any]:
        own = {
            "units": self.units,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "mlp_units": self.mlp_units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializers": [keras.initializers.serialize(i) for i in self.kernel_initializers],
        }
        return {**super().get_config(), **own}
