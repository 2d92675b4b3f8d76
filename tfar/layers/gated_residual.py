"""The residual block of PixelCNN++: two shifted convolutions, a shortcut and a gate."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.causal import Parallel, Run
from tfar.layers.shifted_conv2d import ShiftedConv2D


def concat_elu(x: tf.Tensor) -> tf.Tensor:
    """Returns elu(x) and elu(-x) concatenated, `[..., 2 C]`."""
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "concat_elu": concat_elu,
    "elu": tf.nn.elu,
    "relu": tf.nn.relu,
}


@keras.saving.register_keras_serializable("tfar")
class GatedResidualBlock(keras.layers.Layer):
    """Residual block of two shifted convolutions, with an optional shortcut input and an optional condition.

        h = conv_1(f(x)) + shortcut(f(z))
        a, b = split(conv_2(drop(f(h))) + U y)
        out = x + a sigmoid(b)

    where z are features from another layer of the network and y is a condition; both are optional.

    Args:
        filters: int. Channels of the input and of the output.
        kernel_size: (height, width) of both convolutions.
        shift: "down" or "down_right"; see `ShiftedConv2D`.
        shortcut_filters: int. Channels of z, 0 for none.
        condition_size: int. Features of y, 0 for none.
        activation: f, "concat_elu", "elu" or "relu".
        use_weight_norm: bool. Normalise the kernels of the convolutions and of the shortcut.
        kernel_initializers: initialisers of conv_1, conv_2, the shortcut and U, or None for the defaults.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: x `[B, H, W, filters]`; z `[B, H, W, shortcut_filters]`; y `[B, condition_size]`.
    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If the activation or the shift is unknown.

    Example:
        >>> GatedResidualBlock(8, (2, 3))(tf.ones([4, 5, 7, 8])).shape
        TensorShape([4, 5, 7, 8])

    References:
        Salimans et al. PixelCNN++. ICLR 2017, section 2 and appendix. https://arxiv.org/abs/1701.05517
        van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, equation 4.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        shift: str = "down",
        *,
        shortcut_filters: int = 0,
        condition_size: int = 0,
        activation: str = "concat_elu",
        use_weight_norm: bool = False,
        kernel_initializers: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(f"Expected `activation` to be one of {tuple(ACTIVATIONS)}; received {activation!r}.")
        self.filters, self.kernel_size, self.shift = int(filters), tuple(int(n) for n in kernel_size), shift
        self.shortcut_filters, self.condition_size = int(shortcut_filters), int(condition_size)
        self.activation, self.use_weight_norm = activation, bool(use_weight_norm)
        given = kernel_initializers or ["glorot_uniform"] * 3 + ["random_normal"]
        self.kernel_initializers = [keras.initializers.get(initializer) for initializer in given]
        self.conv_1 = self._conv("conv_1", self.filters, kernel_size, 0)
        self.conv_2 = self._conv("conv_2", 2 * self.filters, kernel_size, 1)
        self.shortcut: Any = self._conv("shortcut", self.filters, (1, 1), 2) if self.shortcut_filters else None
        self.condition: Any = None
        if self.condition_size:
            initializer = self.kernel_initializers[3]
            self.condition = keras.layers.Dense(
                2 * self.filters, kernel_initializer=initializer, dtype=self.dtype_policy, name="condition"
            )

    def _conv(self, name: str, filters: int, kernel_size: Sequence[int], index: int) -> ShiftedConv2D:
        return ShiftedConv2D(
            filters,
            kernel_size,
            self.shift,
            use_weight_norm=self.use_weight_norm,
            kernel_initializer=self.kernel_initializers[index],
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Sequence[int | None], *others: Any, **shapes: Any) -> None:
        factor = 2 if self.activation == "concat_elu" else 1
        for layer in (self.conv_1, self.conv_2):
            layer.build((None, None, None, factor * self.filters))
        if self.shortcut is not None:
            self.shortcut.build((None, None, None, factor * self.shortcut_filters))
        if self.condition is not None:
            self.condition.build((None, self.condition_size))
        self.built = True

    def call(self, x: Any, z: Any = None, y: Any = None) -> tf.Tensor:
        """Applies the block to whole images."""
        return self.flow(Parallel(), x, z, None if self.condition is None else self.condition(y))

    def flow(self, run: Run, x: Any, z: Any = None, condition: Any = None) -> Any:
        """Describes the block for its input x, features z of the shortcut and a condition, which may be None; see `Run`."""
        f = ACTIVATIONS[self.activation]
        hidden = run(self.conv_1, run(f, x))
        if self.shortcut is not None:
            hidden = hidden + run(self.shortcut, run(f, z))
        both = run(self.conv_2, run.drop(run(f, hidden)))
        if condition is not None:
            both = both + tf.cast(run.condition(condition), both.dtype)
        return x + run(gated, both)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "shift", "shortcut_filters", "condition_size", "activation", "use_weight_norm")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "kernel_size": list(self.kernel_size),
            "kernel_initializers": [keras.initializers.serialize(i) for i in self.kernel_initializers],
        }


def gated(both: tf.Tensor) -> tf.Tensor:
    """Returns the first half of the channels times the sigmoid of the second half."""
    values, gate = tf.split(both, 2, axis=-1)
    return values * tf.sigmoid(gate)
