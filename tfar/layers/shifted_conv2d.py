"""2D convolution whose kernel lies above its output, or above and to the left of it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Weights, convolve_rows, overlaps
from tfar.layers.weight_normalized import WeightNormalized

SHIFTS = ("down", "down_right")


@keras.saving.register_keras_serializable("tfar")
class ShiftedConv2D(WeightNormalized):
    """2D convolution over the rows above, or over the pixels above and to the left, of an image padded with zeros.

        y[i, j] = bias + sum_{a, b} kernel[a, b] x[s i - h + 1 + a, s j + first + b]

    for a kernel of h rows and w columns and strides s. Shift "down" centres the columns, first = -(w // 2): an output
    depends on row s i and the rows above it. "down_right" ends at column s j, first = 1 - w. The kernel of a strict
    layer is shifted one row further up ("down") or one column further left ("down_right"), so that an output does not
    depend on its own row or pixel.

    The kernel has no masked entries. In steps (see `CausalLayer`), a position is a whole row for shift "down" and a
    pixel for shift "down_right".

    Args:
        filters: int. Number of output channels.
        kernel_size: (h, w).
        shift: "down" or "down_right".
        strict: bool. Whether an output does not depend on its own row ("down") or pixel ("down_right").
        strides: int. Stride of both axes; an axis of n positions has (n + strides - 1) // strides outputs.
        use_weight_norm, use_bias, kernel_initializer: see `WeightNormalized`.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, H, W, C]`.
    Output shape: `[B, ceil(H / strides), ceil(W / strides), filters]`.

    Raises:
        ValueError: If the shift is unknown or a size is below 1.

    Example:
        >>> ShiftedConv2D(8, (2, 3), "down")(tf.ones([4, 5, 7, 2])).shape
        TensorShape([4, 5, 7, 8])

    References:
        Salimans et al. PixelCNN++. ICLR 2017, sections 2.3 and 2.4. https://arxiv.org/abs/1701.05517
        van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2.2: the two stacks.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        shift: str = "down",
        *,
        strict: bool = False,
        strides: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, **kwargs)
        self.kernel_size = check_kernel(kernel_size, shift)
        self.shift, self.strict, self.strides = shift, bool(strict), int(strides)

    @property
    def offsets(self) -> tuple[range, range]:
        """Rows and columns of the input that the output at (0, 0) depends on."""
        rows, columns = self.kernel_size
        above, left = (int(self.strict), 0) if self.shift == "down" else (0, int(self.strict))
        first = -(columns // 2) if self.shift == "down" else 1 - columns - left
        return range(1 - rows - above, 1 - above), range(first, first + columns)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._add_weights(input_shape[-1], (*self.kernel_size, input_shape[-1], self.filters))
        self.built = True

    def _linear(self, x: tf.Tensor, kernel: tf.Tensor, **how: Any) -> tf.Tensor:
        paddings, crop = [[0, 0]], [slice(None)]
        for offsets in self.offsets:
            paddings.append([max(0, -offsets[0]), max(0, offsets[-1])])
            crop.append(slice(None, offsets[-1] if offsets[-1] < 0 else None))
        return tf.nn.conv2d(tf.pad(x, [*paddings, [0, 0]])[tuple(crop)], kernel, self.strides, "VALID")

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        size = [None if n is None else -(-n // self.strides) for n in input_shape[1:3]]
        return (input_shape[0], *size, self.filters)

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def window(self) -> int:  # type: ignore[override]
        """Number of rows or pixels that a step depends on."""
        return self.kernel_size[0 if self.shift == "down" else 1]

    @property
    def num_above(self) -> int:  # type: ignore[override]
        """Number of rows above the row of the pixel; 0 for shift "down", whose cache holds the rows."""
        return 0 if self.shift == "down" else self.kernel_size[0] - 1

    def step_weights(self) -> Weights:
        weights = super().step_weights()
        if self.shift == "down":
            return weights
        kernel = weights.pop("kernel")
        weights["taps"] = tf.reshape(kernel[-1], [-1, self.filters])
        return {**weights, "above": kernel[:-1]} if self.num_above else weights

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        if self.shift == "down":
            return convolve_rows(cache, weights["kernel"], self.offsets[1], self.strides, weights["bias"])
        taps = weights["taps"]
        outputs = tf.matmul(tf.reshape(cache, [-1, taps.shape[0]]), taps)
        return outputs + (weights["bias"] if part is None else part)

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        return convolve_rows(rows, weights["above"], self.offsets[1], self.strides, weights["bias"])

    def reach(self, asked: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
        result = np.zeros((len(asked), *size, asked.shape[-1]), bool)
        any_group = np.any(asked, axis=-1, keepdims=True)
        for _, out, source in overlaps(asked.shape[1:3], size, self.offsets, self.strides):
            result[(slice(None), *source)] |= any_group[(slice(None), *out)]
        return result

    def get_config(self) -> dict[str, Any]:
        own = {
            "kernel_size": list(self.kernel_size),
            "shift": self.shift,
            "strict": self.strict,
            "strides": self.strides,
        }
        return {**super().get_config(), **own}


def check_kernel(kernel_size: Sequence[int], shift: str) -> tuple[int, int]:
    """Returns the rows and columns of a shifted kernel, or raises ValueError."""
    rows, columns = (int(n) for n in kernel_size)
    if shift not in SHIFTS:
        raise ValueError(f"Expected `shift` to be one of {SHIFTS}; received {shift!r}.")
    if rows < 1 or columns < 1:
        raise ValueError(f"Expected `kernel_size` of at least (1, 1); received {tuple(kernel_size)}.")
    return rows, columns
