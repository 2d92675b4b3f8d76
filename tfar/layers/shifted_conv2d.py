"""Convolution whose kernel lies above, or above and to the left, of what it computes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.weight_normalized import WeightNormalized

SHIFTS = ("down", "down_right")


@keras.saving.register_keras_serializable("tfar")
class ShiftedConv2D(WeightNormalized):
    """2D convolution that sees what is above, or what is above and to the left; the image is padded with zeros.

        y[i, j] = bias + sum_{a, b} kernel[a, b] x[s i - h + 1 + a, s j + first + b]

    of a kernel of h rows and w columns and strides s. Shift "down" centres the columns, first = -(w // 2): all columns of row s i
    and of those above it are seen. "down_right" ends at column s j, first = 1 - w. With `strict` the kernel lies one row higher
    ("down") or one column further left ("down_right"), so that the row or the pixel itself is not seen.

    The kernel has no masked entries: what must not be seen has no weight.

    Args:
        filters: int. Number of output channels.
        kernel_size: (h, w); w is odd for shift "down".
        shift: "down" or "down_right".
        strict: bool.
        strides: int. Of both axes; an axis of n has (n + strides - 1) // strides outputs.
        use_weight_norm, kernel_initializer: see `WeightNormalized`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape: `[B, H, W, C]`.
    Output shape: `[B, ceil(H / strides), ceil(W / strides), filters]`.

    Raises:
        ValueError: If the shift is unknown, a size is below 1, or the width is even where columns are centred.

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
        """The rows and columns that the output at 0, 0 sees."""
        rows, columns = self.kernel_size
        above, left = (int(self.strict), 0) if self.shift == "down" else (0, int(self.strict))
        first = -(columns // 2) if self.shift == "down" else 1 - columns - left
        return range(1 - rows - above, 1 - above), range(first, first + columns)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._add_weights((*self.kernel_size, input_shape[-1], self.filters))
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

    def get_config(self) -> dict[str, Any]:
        own = {
            "kernel_size": list(self.kernel_size),
            "shift": self.shift,
            "strict": self.strict,
            "strides": self.strides,
        }
        return {**super().get_config(), **own}


def check_kernel(kernel_size: Sequence[int], shift: str) -> tuple[int, int]:
    """The rows and columns of a shifted kernel, or a ValueError."""
    rows, columns = (int(n) for n in kernel_size)
    if shift not in SHIFTS:
        raise ValueError(f"Expected `shift` to be one of {SHIFTS}; received {shift!r}.")
    if rows < 1 or columns < 1 or (shift == "down" and columns % 2 == 0):
        raise ValueError(
            f"Expected `kernel_size` of at least (1, 1), and odd columns for shift 'down'; received {tuple(kernel_size)}."
        )
    return rows, columns
