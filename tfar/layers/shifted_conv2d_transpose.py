"""Transposed 2D convolution of stride 2 whose kernel lies below its input, or below and to the right of it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights, overlaps
from tfar.layers.shifted_conv2d import check_kernel
from tfar.layers.weight_normalized import WeightNormalized

STRIDES = 2


@keras.saving.register_keras_serializable("tfar")
class ShiftedConv2DTranspose(WeightNormalized):
    """Transposed 2D convolution that doubles the size of an image; outputs depend on no input below or to the right.

        y[i, j] = bias + sum kernel[a, b] x[r, c]    over all a, b, r, c with i = 2 r + a, j = 2 c + first + b

    Shift "down" centres the columns, first = -(w // 2); "down_right" starts at the pixel itself, first = 0. It inverts
    the strides of a `ShiftedConv2D`: x[r, c] depends on rows up to 2 r (and columns up to 2 c) and contributes to
    outputs from that row (and column) on.

    In steps (see `CausalLayer`), `push` takes positions of the input and `read` takes positions of the output. Steps of
    shift "down_right" are implemented for kernels of two rows.

    Args:
        filters: int. Number of output channels.
        kernel_size: (h, w), each at least 2.
        shift: "down" or "down_right".
        use_weight_norm, use_bias, kernel_initializer: see `WeightNormalized`.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, R, S, C]`, and `size`, the rows and columns of the output: each double the input size, or one less.
    Output shape: `[B, *size, filters]`.

    Raises:
        ValueError: If the shift is unknown or a size is out of range.

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
                f"Expected `kernel_size` of at least (2, 2), so that every output sees an input; received {kernel_size}."
            )

    @property
    def offsets(self) -> tuple[range, range]:
        """Rows and columns of the output that the input at (0, 0) contributes to."""
        rows, columns = self.kernel_size
        first = -(columns // 2) if self.shift == "down" else 0
        return range(rows), range(first, first + columns)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._add_weights(input_shape[-1], (*self.kernel_size, self.filters, input_shape[-1]))
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

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def window(self) -> int:  # type: ignore[override]
        """Number of rows or pixels of the input that an output depends on."""
        return (self.kernel_size[0 if self.shift == "down" else 1] + 1) // STRIDES

    @property
    def num_above(self) -> int:  # type: ignore[override]
        """Number of rows of the input above the row of the pixel that an output depends on."""
        return int(self.shift == "down_right")

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor:
        if self.shift == "down_right" and self.kernel_size[0] != STRIDES:
            raise ValueError(
                f"Expected a kernel of {STRIDES} rows in steps; received `kernel_size` {self.kernel_size}."
            )
        return tf.zeros([batch_size, self.window, *spatial, self.in_channels])

    def step_weights(self) -> Weights:
        """Returns the kernel split by the parity of the output position along the step axis, `[2, window, ...]`."""
        weights = super().step_weights()
        kernel = weights.pop("kernel")
        if self.shift == "down_right":
            weights["above"], kernel = kernel[1], kernel[0]
        padded = tf.pad(kernel, [[0, STRIDES * self.window - kernel.shape[0]]] + [[0, 0]] * (kernel.shape.rank - 1))
        taps = tf.reshape(padded, [self.window, STRIDES, *kernel.shape[1:]])
        weights["taps"] = tf.reverse(tf.stack(tf.unstack(taps, axis=1)), [1])
        return weights

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        taps = tf.gather(weights["taps"], index % STRIDES)
        offset = weights["bias"] if part is None else part
        if self.shift == "down_right":
            return offset + tf.einsum("bwc,wfc->bf", cache, taps)
        return offset + tf.add_n([self._widen(cache[:, i], taps[i]) for i in range(self.window)])

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        """See the base class. Only odd rows of the output depend on the row of the input above."""
        odd = tf.cast(index % STRIDES, tf.float32)
        return odd * self._widen(rows[:, -1], weights["above"]) + weights["bias"]

    def _widen(self, row: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Doubles a row `[B, S, C]` with a kernel `[w, filters, C]`: `[B, up to 2 S, filters]`."""
        columns, left = kernel.shape[0], -self.offsets[1][0]
        size = [tf.shape(row)[0], 1, STRIDES * (row.shape[1] - 1) + columns, self.filters]
        wide = tf.nn.conv2d_transpose(row[:, None], kernel[None], tf.stack(size), [1, STRIDES], "VALID")
        return wide[:, 0, left : left + STRIDES * row.shape[1]]

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        result = np.zeros((len(asked), *size, asked.shape[-1]), bool)
        any_group = np.any(asked, axis=-1, keepdims=True)
        for _, source, out in overlaps(size, asked.shape[1:3], self.offsets, STRIDES):
            result[(slice(None), *source)] |= any_group[(slice(None), *out)]
        return result

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": list(self.kernel_size), "shift": self.shift}
