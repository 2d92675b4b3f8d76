"""2D convolution that respects the raster order of the pixels and an order of the channels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks
from tfar.layers.causal import CausalLayer, Weights, as_float, convolve_rows, overlaps

# Arguments of Conv2D that a masked convolution does not support.
FIXED = {"strides": (1, 1), "padding": "same", "data_format": "channels_last", "dilation_rate": (1, 1), "groups": 1}


@keras.saving.register_keras_serializable("tfar")
class MaskedConv2D(CausalLayer, keras.layers.Conv2D):
    """2D convolution whose kernel respects the raster order of the pixels and of the groups of channels in a pixel.

    The mask is part of the computation, so it holds before, during and after training under any optimiser:

        y = activation(conv(x, W * M) + b)

    M is 1 for the pixels above and for those to the left. At the centre, a group of outputs is connected to the earlier
    groups of inputs (mask "A"), or also to the same group (mask "B"). Rows of the kernel that are entirely masked are
    not computed.

    In steps (see `CausalLayer`), each group of a pixel is one position: a step takes and returns one group. With mask
    "A" it takes the previous group.

    Args:
        filters: int. Number of output channels, a multiple of `num_groups`.
        kernel_size: int or two. The centre is `kernel_size // 2`: an even kernel reaches further up and left than to the right.
        mask_type: "A" or "B". Layers whose input is the image need "A".
        num_groups: int. Groups of channels of a pixel that are decided one after the other, such as 3 for red, green and blue.
            The channels of inputs and outputs are split into contiguous groups of equal size.
        **kwargs: keyword arguments of `keras.layers.Conv2D` (activation, initialisers, regularisers, dtype, name),
            except for strides, padding, dilation, groups and data format.

    Input shape: `[B, H, W, C]`.
    Output shape: `[B, H, W, filters]`.

    Raises:
        ValueError: If the mask is unknown, channels do not split into the groups, or an argument is not supported.

    Example:
        >>> layer = MaskedConv2D(8, 3, mask_type="A")
        >>> layer(tf.ones([2, 28, 28, 1])).shape
        TensorShape([2, 28, 28, 8])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.4 and figure 2.
        https://arxiv.org/abs/1601.06759
    """

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], mask_type: str = "B", num_groups: int = 1, **kwargs: Any
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
        self.in_channels = int(input_shape[-1])
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
        """The groups that each tap connects, bool `[kernel height, kernel width, groups in, groups out]`."""
        return masks.raster_mask(self.kernel_size, self.mask_type, self.num_groups)

    def _mask(self, num_channels: int, dtype: Any) -> tf.Tensor:
        """Returns M as a tensor `[kernel height, kernel width, C or 1, filters or 1]`."""
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

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def num_above(self) -> int:  # type: ignore[override]
        """Number of rows above that an output depends on."""
        return int(self.kernel_size[0]) // 2

    @property
    def window(self) -> int:  # type: ignore[override]
        """Number of pixels of the same row that an output depends on; excludes the pixel for mask "A" and one group."""
        return int(self.kernel_size[1]) // 2 + (self.num_groups > 1 or self.mask_type == "B")

    def step_weights(self) -> Weights:
        kernel, up = as_float(self.kernel), self.num_above
        bias = tf.zeros([self.filters]) if self.bias is None else as_float(self.bias)
        taps = tf.reshape(kernel[up, : self.window], [-1, self.filters])
        weights = {"taps": self._by_group(taps), "bias": self._by_group(bias)}
        return {**weights, "above": kernel[:up], "bias_above": bias} if up else weights

    def _by_group(self, weights: tf.Tensor) -> tf.Tensor:
        """Moves the groups of filters to a first axis; a single group gets no such axis.

        If that axis existed, XLA would fuse its removal into the product of a single row, which makes the product four
        times slower on a CPU.
        """
        return weights if self.num_groups == 1 else tf.stack(tf.split(weights, self.num_groups, axis=-1))

    def start(self, batch_size: int | tf.Tensor, spatial: Sequence[int] = ()) -> tf.Tensor | None:
        if self.num_groups == 1:
            return super().start(batch_size, spatial)
        return tf.zeros([batch_size, self.window, self.in_channels])

    def push(self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Writes a group of a pixel; the first group of a pixel shifts the earlier pixels to the left."""
        if self.num_groups == 1 or cache is None:
            return super().push(cache, x, index)
        group = index % self.num_groups
        moved = lambda c: tf.where(tf.equal(group, 0), tf.concat([c[:, 1:], c[:, -1:]], 1), c)  # noqa: E731
        if self.mask_type == "A":  # `x` is the previous group, which may be the last group of the previous pixel
            return moved(self._insert(cache, x, (group + self.num_groups - 1) % self.num_groups))
        return self._insert(moved(cache), x, group)

    def _insert(self, cache: tf.Tensor, x: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        """Returns the cache with one group of its last pixel replaced."""
        chosen = tf.equal(tf.range(self.in_channels) // (self.in_channels // self.num_groups), group)
        last = tf.where(chosen[None, None], tf.tile(x, [1, self.num_groups])[:, None], cache[:, -1:])
        return tf.concat([cache[:, :-1], last], axis=1)

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        of_group = lambda w: w if self.num_groups == 1 else tf.gather(w, index % self.num_groups)  # noqa: E731
        offset = of_group(weights["bias"]) if part is None else part
        if self.window:
            flat = tf.reshape(cache, [-1, self.window * self.in_channels])
            offset = offset + tf.matmul(flat, of_group(weights["taps"]))
        elif part is None:  # A 1x1 kernel of mask "A" and one group sees nothing.
            offset = tf.broadcast_to(offset, [tf.shape(cache)[0], offset.shape[-1]])
        return offset if self.activation is None else self.activation(offset)

    def step(
        self, cache: tf.Tensor | None, x: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        output, cache, kept = super().step(cache, x, index, weights, part)
        return output, cache, kept if self.num_groups == 1 else cache[:, -1]

    def read_rows(self, rows: tf.Tensor, index: tf.Tensor, weights: Weights) -> tf.Tensor:
        return convolve_rows(rows, weights["above"], self._columns, bias=weights["bias_above"])

    @property
    def _columns(self) -> range:
        """Offsets of the columns of the kernel."""
        return range(-(self.kernel_size[1] // 2), self.kernel_size[1] - self.kernel_size[1] // 2)

    def reach(self, asked: NDArray, size: Sequence[int]) -> NDArray:
        mask, (height, _) = self.group_mask, self.kernel_size
        result = np.zeros((len(asked), *size, self.num_groups), bool)
        rows = range(-(height // 2), 1)
        for tap, out, source in overlaps(asked.shape[1:3], size, (rows, self._columns)):
            if mask[tap].any():
                seen = asked[(slice(None), *out)].astype(np.float32) @ mask[tap].T.astype(np.float32)
                result[(slice(None), *source)] |= seen > 0
        return result

    # Files -----------------------------------------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Stores the weights before masking, because Conv2D would store the masked `kernel`."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Loads the weights that `save_own_variables` stored."""
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_type": self.mask_type, "num_groups": self.num_groups}


def _check_groups(name: str, num_channels: int, num_groups: int) -> None:
    if num_groups < 1 or num_channels % num_groups:
        raise ValueError(f"Expected {name} to split into {num_groups} groups of equal size; received {num_channels}.")
