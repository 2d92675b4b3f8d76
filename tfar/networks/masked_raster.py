"""Base class of raster networks of masked convolutions."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfar.layers import MaskedConv2D
from tfar.layers.causal import Run
from tfar.networks.conditioned_raster import ConditionedRasterNetwork
from tfar.networks.inputs import SiteEncoding


class MaskedRasterNetwork(ConditionedRasterNetwork, abc.ABC):
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

    Attributes:
        depth: int. Number of inputs of a pixel.
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
        self.depth = self.num_groups * self._encoding.inputs_per_site

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
