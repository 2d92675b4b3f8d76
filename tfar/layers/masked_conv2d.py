"""2D convolution that respects the raster order of the pixels and an order of the channels."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks

# What a causal convolution leaves no choice about.
FIXED = {"strides": (1, 1), "padding": "same", "data_format": "channels_last", "dilation_rate": (1, 1), "groups": 1}


@keras.saving.register_keras_serializable("tfar")
class MaskedConv2D(keras.layers.Conv2D):
    """2D convolution whose kernel respects the raster order of the pixels and of the groups of channels in a pixel.

    The mask is part of the computation, so it holds before, during and after training under any optimiser:

        y = activation(conv(x, W * M) + b)

    M is 1 for the pixels above and those to the left. In the pixel itself a group of outputs sees the groups of inputs before
    it (mask "A"), or also its own (mask "B"). Rows below, which the mask hides, are not computed.

    Args:
        filters: int. Number of output channels, a multiple of `num_groups`.
        kernel_size: int or two. The centre is `kernel_size // 2`: an even kernel reaches further up and left than to the right.
        mask_type: "A" or "B". "A" belongs to the layers that see the image itself.
        num_groups: int. Groups of channels in a pixel that are decided one after the other, such as 3 for red, green and blue.
            Inputs and outputs are split into so many blocks of equal size, side by side.
        **kwargs: those of `keras.layers.Conv2D` (activation, initialisers, regularisers, dtype, name). Strides, padding and the
            like cannot be changed.

    Input shape: `[B, H, W, C]`.
    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If the mask is unknown, channels do not split into the groups, or an argument cannot be changed.

    Example:
        >>> layer = MaskedConv2D(8, 3, mask_type="A")
        >>> layer(tf.ones([2, 28, 28, 1])).shape
        TensorShape([2, 28, 28, 8])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.4 and figure 2.
        https://arxiv.org/abs/1601.06759
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        mask_type: str = "B",
        num_groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **{**FIXED, **kwargs})
        for name, value in FIXED.items():
            if getattr(self, name) != value:
                raise ValueError(f"Expected `{name}` to be {value!r}; received {getattr(self, name)!r}.")
        if mask_type not in masks.RASTER_MASKS:
            raise ValueError(f"Expected `mask_type` to be one of {masks.RASTER_MASKS}; received {mask_type!r}.")
        self.mask_type, self.num_groups = mask_type, int(num_groups)
        _check_groups("filters", filters, self.num_groups)

    def build(self, input_shape: Sequence[int | None]) -> None:
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(f"Expected inputs `[B, H, W, C]` with a known C; received shape {tuple(input_shape)}.")
        _check_groups("the channels of the input", input_shape[-1], self.num_groups)
        super().build(input_shape)

    @property
    def full_kernel(self) -> Any:
        """The weights W before masking, `[kernel height, kernel width, C, filters]`."""
        return super().kernel

    @property
    def kernel(self) -> Any:
        """The masked weights W * M, `[kernel height, kernel width, C, filters]`."""
        weights = tf.convert_to_tensor(self.full_kernel)
        return weights * self._mask(weights.shape[2], weights.dtype)

    @property
    def group_mask(self) -> NDArray:
        """Which taps join which groups, bool `[kernel height, kernel width, num_groups, num_groups]`."""
        return masks.raster_mask(self.kernel_size, self.mask_type, self.num_groups)

    def _mask(self, num_channels: int, dtype: Any) -> tf.Tensor:
        """M, made where it is used: `[kernel height, kernel width, C or 1, filters or 1]`."""
        mask = tf.constant(self.group_mask)
        if self.num_groups > 1:
            per_group = [num_channels // self.num_groups, self.filters // self.num_groups]
            groups = [tf.range(n * self.num_groups) // n for n in per_group]
            mask = tf.gather(tf.gather(mask, groups[0], axis=2), groups[1], axis=3)
        return tf.cast(mask, dtype)

    def call(self, inputs: Any) -> tf.Tensor:
        """Applies the layer."""
        up, left = (size // 2 for size in self.kernel_size)
        width = self.kernel_size[1] if up else left + 1
        kernel = self.kernel[: up + 1, :width]
        inputs = tf.convert_to_tensor(inputs)
        if (up, width) == (0, 1):
            outputs = tf.tensordot(inputs, kernel[0, 0], 1)
        else:
            padded = tf.pad(inputs, [[0, 0], [up, 0], [left, width - 1 - left], [0, 0]])
            outputs = tf.nn.conv2d(padded, kernel, 1, "VALID")
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def save_own_variables(self, store: Any) -> None:
        """Stores the weights before masking; Conv2D would store its `kernel`."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """The inverse of `save_own_variables`."""
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_type": self.mask_type, "num_groups": self.num_groups}


def _check_groups(name: str, num_channels: int, num_groups: int) -> None:
    if num_groups < 1 or num_channels % num_groups:
        raise ValueError(f"Expected {name} to split into {num_groups} groups of equal size; received {num_channels}.")
