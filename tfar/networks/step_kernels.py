"""Kernels of shifted convolutions as steps read them: whole rows, or the row of a pixel."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfar.layers import ShiftedConv2D
from tfar.networks.base import Weights


class Kernels:
    """Normalised kernels and biases of many convolutions, and what they do to a row or a pixel.

    Args:
        layers: the layers, always in the same order.
        weights: what `weights` was before, or None to compute it.

    Attributes:
        weights: a flat dict of tensors.
    """

    def __init__(self, layers: Sequence[Any], weights: Weights | None = None) -> None:
        self._numbers = {id(layer): number for number, layer in enumerate(layers)}
        if weights is None:
            kernels = {f"kernel_{n}": tf.cast(layer.kernel, tf.float32) for n, layer in enumerate(layers)}
            biases = {
                f"bias_{n}": tf.cast(tf.convert_to_tensor(layer.bias), tf.float32) for n, layer in enumerate(layers)
            }
            weights = {**kernels, **biases}
        self.weights = weights

    def kernel(self, layer: Any) -> tf.Tensor:
        """The kernel of a layer."""
        return self.weights[f"kernel_{self._numbers[id(layer)]}"]

    def bias(self, layer: Any) -> tf.Tensor:
        """The bias of a layer."""
        return self.weights[f"bias_{self._numbers[id(layer)]}"]

    def rows(self, layer: ShiftedConv2D, x: tf.Tensor, of_kernel: slice = slice(None)) -> tf.Tensor:
        """What rows of a kernel make of as many rows `[B, R, W, C]`: `[B, W / strides, filters]`, without the bias."""
        kernel, columns = self.kernel(layer)[of_kernel], layer.offsets[1]
        left, right = max(0, -columns[0]), max(0, columns[-1])
        x = tf.pad(x, [[0, 0], [0, 0], [left, right], [0, 0]])
        if columns[-1] < 0:
            x = x[:, :, : columns[-1]]
        return tf.nn.conv2d(x, kernel, [1, layer.strides], "VALID")[:, 0]

    def left(self, layer: ShiftedConv2D, x: tf.Tensor) -> tf.Tensor:
        """What the last row of a kernel makes of the pixels of that row, `[B, columns, C]`: `[B, filters]`, without the bias."""
        kernel = self.kernel(layer)[-1]
        columns, channels = kernel.shape[0], kernel.shape[1]
        return tf.matmul(tf.reshape(x, [-1, columns * channels]), tf.reshape(kernel, [columns * channels, -1]))

    def pixel(self, layer: ShiftedConv2D, x: tf.Tensor, channels: Sequence[slice] | None = None) -> tf.Tensor:
        """What a kernel of one pixel makes of `[..., C]`, or of some of its channels; without the bias."""
        kernel = self.kernel(layer)[0, 0]
        if channels is not None:
            kernel = tf.concat([kernel[part] for part in channels], axis=0)
        return tf.tensordot(x, kernel, 1) if x.shape.rank > 2 else tf.matmul(x, kernel)
