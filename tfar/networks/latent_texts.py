"""The network of the encoder of SentenceVAE: from a text to the parameters of its latent."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers import TextEncoder
from tfar.networks.inputs import seeded_initializer


@keras.saving.register_keras_serializable("tfar")
class LatentTextEncoder(keras.layers.Layer):
    """LSTMs that read a text up to its end, and a dense layer from their last hidden state to parameters.

        params = A h_T + a

    Args:
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors of words.
        num_layers: int. Number of LSTMs.
        num_params: int. Number of parameters.
        seed: int. Determines the initial weights.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T]`, words.
    Output shape: `[B, num_params]`.
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        embedding_dim: int,
        num_layers: int,
        num_params: int,
        *,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.num_condition_values, self.num_params, self.seed = int(vocabulary_size), int(num_params), int(seed)
        sizes, dtype = (vocabulary_size, units, embedding_dim, num_layers), self.dtype_policy
        self.encoder = TextEncoder(*sizes, seed=self.seed, dtype=dtype, name="encoder")
        initializer = seeded_initializer(keras.initializers.get("glorot_uniform"), self.seed, 2000)
        self.dense = keras.layers.Dense(self.num_params, kernel_initializer=initializer, dtype=dtype, name="params")

    def build(self, input_shape: Any = None) -> None:
        self.encoder.build()
        self.dense.build((None, self.encoder.reader.units))
        self.built = True

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (input_shape[0], self.num_params)

    def call(self, words: Any) -> tf.Tensor:
        """Returns the parameters `[B, num_params]` of texts. A value that is no word, whose row becomes NaN, is clipped."""
        return self.dense(self.encoder(tf.clip_by_value(tf.cast(words, tf.int32), 0, self.num_condition_values - 1)))

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self.encoder.reader, name) for name in ("units", "embedding_dim", "num_layers")}
        own |= {"vocabulary_size": self.num_condition_values, "num_params": self.num_params, "seed": self.seed}
        return {**super().get_config(), **own}
