"""Base class of raster networks of masked convolutions."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfar.layers import MaskedConv2D
from tfar.layers.causal import Run
from tfar.networks.conditions import State, named_inputs, named_shapes
from tfar.networks.inputs import SiteEncoding
from tfar.networks.raster import RasterNetwork


class MaskedRasterNetwork(RasterNetwork, abc.ABC):
    """Raster network of masked convolutions.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features of a pixel.
        params_size: int. Parameters of a site.
        site_shape: `()` if the channels of a pixel are decided one after the other, `(C,)` if they are decided together.
        num_blocks: int. Number of blocks.
        first_kernel_size: (height, width) of the first layer, which excludes the site itself.
        kernel_size: (height, width) of the blocks.
        output_filters: tuple of int. Numbers of features of the 1x1 convolutions before the parameters.
        num_classes: None, or the number of classes of a site, whose values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        low: float. The lowest of the classes.
        activation: activation function before the convolutions of the outputs, and of PixelCNN's blocks.
        **kwargs: arguments of `RasterNetwork`.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        site_shape: tuple[int, ...] = (),
        num_blocks: int = 7,
        first_kernel_size: tuple[int, int] = (7, 7),
        kernel_size: tuple[int, int] = (3, 3),
        output_filters: tuple[int, ...] = (),
        num_classes: int | None = None,
        one_hot: bool = False,
        low: float = 0.0,
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, params_size, **kwargs)
        self.filters, self.num_blocks = int(filters), int(num_blocks)
        self.first_kernel_size = (first_kernel_size[0], first_kernel_size[1])
        self.kernel_size, self.output_filters = (kernel_size[0], kernel_size[1]), tuple(output_filters)
        self._encoding = SiteEncoding(self.site_shape, num_classes, one_hot, low)
        self.num_classes, self.one_hot = num_classes, self._encoding.one_hot
        self.activation = keras.activations.get(activation)
        self._depth = self.num_groups * self._encoding.inputs_per_site

    def _masked(
        self,
        name: str,
        inputs: int,
        filters: int,
        kernel_size: tuple[int, int] = (1, 1),
        mask_type: str = "B",
        **kwargs: Any,
    ) -> Any:
        """Creates a masked convolution."""
        how = {"num_groups": self.num_groups, "name": name, **kwargs}
        return self._add(MaskedConv2D, inputs, filters, kernel_size, mask_type, **how)

    def _add_conditions(self, channels: int) -> None:
        """Creates the layers that map the parts of the condition to features of every block; see `conditions`."""
        self.condition = {
            name: self._add(keras.layers.Dense, shape[-1], self.num_blocks * channels, use_bias=False, name=name)
            for name, shape in named_shapes(self.conditional_shape).items()
        }

    def conditions(self, conditional_input: Any) -> State:
        """See the base class. Returns the contribution of the condition to the features of each block."""
        total = None
        for name, part in named_inputs(conditional_input, self.conditional_shape).items():
            projected = tf.cast(self.condition[name](tf.cast(part, tf.float32)), tf.float32)
            if total is not None and projected.shape.rank != total.shape.rank:
                projected, total = (x if x.shape.rank == 4 else x[:, None, None] for x in (projected, total))
            total = projected if total is None else total + projected
        parts = [] if total is None else tf.split(total, self.num_blocks, axis=-1)
        return {f"condition_{block}": part for block, part in enumerate(parts)}

    def _add_outputs(self, inputs: int) -> None:
        """Creates the 1x1 convolutions from a number of features to the parameters."""
        self.outputs: list[Any] = []
        for number, width in enumerate(self.output_filters, start=1):
            self.outputs.append(self._masked(f"output_{number}", inputs, width))
            inputs = width
        self.outputs.append(self._masked("params", inputs, self.num_groups * self.params_size))

    def _outputs(self, run: Run, features: Any) -> Any:
        """Maps features to parameters; the activation precedes every convolution, including the first."""
        for layer in self.outputs:
            features = run(layer, run(self.activation, features))
        return features

    def encode(self, values: tf.Tensor) -> tf.Tensor:
        return self._encoding(values)

    def blind_sites(self) -> list[int]:
        """Returns the sites, other than the first, whose parameters depend on no other site.

        It suffices to check the first two rows and columns: if a site there depends on another site at some offset, so
        does every site below and to the right.
        """
        _, width, groups = self.image_shape
        pixels = [pixel for pixel, exists in ((0, True), (1, width > 1), (width, self.image_shape[0] > 1)) if exists]
        sites = [pixel * groups + group for pixel in pixels for group in range(groups)][1:]
        counts = self.influences(sites).sum(axis=1)
        return [site for site, count in zip(sites, counts, strict=True) if count == 0]
