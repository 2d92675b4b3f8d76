"""The network of a group of pixels in a multiscale model, given the groups of the same scale before it."""

from typing import Any

import keras
import tensorflow as tf

from tfar import private
from tfar.networks.inputs import seeded_initializer

KERNEL_SIZE = 3


@keras.saving.register_keras_serializable("tfar")
class GroupNetwork(keras.layers.Layer):
    """Residual blocks of convolutions without masks, because all inputs are known.

        h_0 = conv_3x3(known) + V c,    h_l = h_{l-1} + conv_3x3(relu(conv_3x3(relu(h_{l-1})))),    y = conv_1x1(relu(h_L))

    Args:
        in_channels: int. Channels of the known groups, one after the other.
        filters: int. Features between the layers.
        num_blocks: int. Number of residual blocks.
        out_channels: int. Channels of y.
        condition_size: int. Length of the vector c; 0 for none.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.

    Input shape: `[B, H, W, in_channels]`, and `[B, condition_size]`.
    Output shape: `[B, H, W, out_channels]`.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        num_blocks: int,
        out_channels: int,
        condition_size: int = 0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.in_channels, self.filters, self.num_blocks = in_channels, filters, num_blocks
        self.out_channels, self.condition_size = out_channels, condition_size
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self.first = self._convolution("first", in_channels, filters)
        self.blocks = [
            [self._convolution(f"block_{block}_{part}", filters, filters) for part in (1, 2)]
            for block in range(1, num_blocks + 1)
        ]
        self.outputs = self._convolution("outputs", filters, out_channels, 1)
        self.condition = None
        if condition_size:
            shared = {"kernel_initializer": self._seeded("condition"), "dtype": self.dtype_policy}
            self.condition = keras.layers.Dense(filters, use_bias=False, name="condition", **shared)
            self.condition.in_channels = condition_size

    @property
    def reach(self) -> int:
        """Number of rows or columns between an output and the furthest input that it depends on."""
        return (KERNEL_SIZE // 2) * (1 + 2 * self.num_blocks)

    def _convolution(self, name: str, inputs: int, filters: int, kernel_size: int = KERNEL_SIZE) -> Any:
        how = {"kernel_initializer": self._seeded(name), "dtype": self.dtype_policy}
        layer = keras.layers.Conv2D(filters, kernel_size, padding="same", name=name, **how)
        layer.in_channels = inputs
        return layer

    def _seeded(self, name: str) -> Any:
        """Returns the initializer with a seed of its own for each layer, by its name."""
        return seeded_initializer(self.kernel_initializer, self.seed, int.from_bytes(name.encode(), "big") % 2**31)

    def build(self, input_shape: Any = None, condition_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in private.layers_of(self, recursive=False):
            layer.build((None, None, None, layer.in_channels))
        self.built = True

    def call(self, known: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        features = self.first(known)
        if self.condition is not None:
            features = features + tf.cast(self.condition(condition), features.dtype)[:, None, None]
        for first, second in self.blocks:
            features = features + second(tf.nn.relu(first(tf.nn.relu(features))))
        return self.outputs(tf.nn.relu(features))

    def get_config(self) -> dict[str, Any]:
        names = ("in_channels", "filters", "num_blocks", "out_channels", "condition_size", "seed")
        own = {name: getattr(self, name) for name in names}
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), **own, "kernel_initializer": initializer}
