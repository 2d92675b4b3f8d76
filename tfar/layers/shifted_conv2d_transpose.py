"""Transposed convolution of stride 2 that gives to what is below, or below and to the right."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.shifted_conv2d import check_kernel
from tfar.layers.weight_normalized import WeightNormalized

STRIDES = 2


@keras.saving.register_keras_serializable("tfar")
class ShiftedConv2DTranspose(WeightNormalized):
    """Transposed 2D convolution that doubles an image, and whose outputs see nothing below them, or to their right.

        y[i, j] = bias + sum kernel[a, b] x[r, c]    over all a, b, r, c with i = 2 r + a, j = 2 c + first + b

    Shift "down" centres the columns, first = -(w // 2); "down_right" begins at the pixel itself, first = 0. After a
    `ShiftedConv2D` with strides 2 it is causal: x[r, c] saw rows up to 2 r (and columns up to 2 c) and gives to those from there.

    Args:
        filters: int. Number of output channels.
        kernel_size: (h, w), each at least 2; w is odd for shift "down".
        shift: "down" or "down_right".
        use_weight_norm, kernel_initializer: see `WeightNormalized`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape: `[B, R, S, C]`, and `size`, the rows and columns of the output: one less than double, or double.
    Output shape: `[B, *size, filters]`.

    Raises:
        ValueError: If the shift is unknown or a size out of range.

    Example:
        >>> ShiftedConv2DTranspose(8, (2, 3), "down")(tf.ones([4, 3, 4, 2]), size=(5, 7)).shape
        TensorShape([4, 5, 7, 8])

    References:
        Salimans et al. PixelCNN++. ICLR 2017, section 2.3. https://arxiv.org/abs/1701.05517
    """

    filter_axis = -2

    def __init__(self, filters: int, kernel_size: Sequence[int], shift: str = "down", **kwargs: Any) -> None:
        super().__init__(filters, **kwargs)
        self.kernel_size, self.shift = check_kernel(kernel_size, shift), shift
        if min(self.kernel_size) < STRIDES:
            raise ValueError(
                f"Expected `kernel_size` of at least (2, 2), or outputs get nothing; received {kernel_size}."
            )

    @property
    def offsets(self) -> tuple[range, range]:
        """The rows and columns of the output that the input at 0, 0 gives to."""
        rows, columns = self.kernel_size
        first = -(columns // 2) if self.shift == "down" else 0
        return range(rows), range(first, first + columns)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._add_weights((*self.kernel_size, self.filters, input_shape[-1]))
        self.built = True

    def call(self, x: Any, size: Sequence[int]) -> tf.Tensor:  # type: ignore[override]
        """Applies the layer; `size` is the rows and columns of the output."""
        return self._affine(x, size=size)

    def _linear(self, x: tf.Tensor, kernel: tf.Tensor, **how: Any) -> tf.Tensor:
        (height, width), (rows, columns) = how["size"], self.kernel_size
        left = -self.offsets[1][0]
        full = [STRIDES * (x.shape[1] - 1) + rows, STRIDES * (x.shape[2] - 1) + columns]
        outputs = tf.nn.conv2d_transpose(x, kernel, tf.stack([tf.shape(x)[0], *full, self.filters]), STRIDES, "VALID")
        return outputs[:, :height, left : left + width]

    def compute_output_shape(self, input_shape: Sequence[Any], size: Any = (None, None)) -> tuple[Any, ...]:
        return (input_shape[0], *size, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": list(self.kernel_size), "shift": self.shift}
