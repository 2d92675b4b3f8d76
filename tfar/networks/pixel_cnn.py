"""The network of PixelCNN: masked convolutions over the image."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers.causal import Run
from tfar.networks.bounds import check_bits, sums_of
from tfar.networks.conditions import State, named_inputs, named_shapes
from tfar.networks.masked_raster import MaskedRasterNetwork


@keras.saving.register_keras_serializable("tfar")
class PixelCNNNetwork(MaskedRasterNetwork):
    """Applies a masked convolution that excludes the site itself, residual blocks, and 1x1 convolutions.

        h_0 = conv_A(x),    h_l = h_{l-1} + conv_1x1(relu(conv_B(relu(conv_1x1(relu(h_{l-1}))))))

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features of a pixel between the blocks; a residual block has half as many inside.
        params_size: int. Parameters of a site.
        use_residual: bool. Use residual blocks; otherwise a block is a ReLU and a convolution.
        conditional_shape: None, or `(filters,)` or `(H, W, filters)` of features that are added to h_0.
        **kwargs: arguments of `MaskedRasterNetwork`; see `tfar.PixelCNN`.

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.4 and table 1.
        https://arxiv.org/abs/1601.06759
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        use_residual: bool = True,
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, filters, params_size, conditional_shape=conditional_shape, **kwargs)
        self.use_residual = bool(use_residual)
        self.first = self._masked("first", self.depth, self.filters, self.first_kernel_size, "A")
        self.blocks = [self._block(f"block_{number}") for number in range(1, self.num_blocks + 1)]
        self._add_outputs(self.filters)

    def _block(self, name: str) -> list[Any]:
        """Creates the convolutions of a block."""
        if not self.use_residual:
            return [self._masked(name, self.filters, self.filters, self.kernel_size)]
        half = self.filters // 2
        return [
            self._masked(f"{name}_in", self.filters, half),
            self._masked(name, half, half, self.kernel_size),
            self._masked(f"{name}_out", half, self.filters),
        ]

    def conditions(self, conditional_input: Any) -> State:
        return named_inputs(conditional_input, self.conditional_shape)

    def largest_sums(self) -> dict[str, NDArray[np.float64]]:
        """See the base class. The features of all pixels have the same bounds, which zeros outside the image respect."""
        check_bits(self._encoding)
        per_site = self._encoding.inputs_per_site
        features = sums_of(np.ones(self.num_groups), self.first, group_size=per_site)
        features = features.plus_constant(float(len(named_shapes(self.conditional_shape))))
        found = {self.first.name: features.size}
        for block in self.blocks:
            inside = features
            for layer in block:
                inside = sums_of(inside.activated(self.activation), layer)
                found[layer.name] = inside.size
            features = features.plus(inside) if self.use_residual else inside
            found[block[-1].name] = features.size
        for layer in self.outputs:
            features = sums_of(features.activated(self.activation), layer)
            found[layer.name] = features.size
        return found

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features = run(self.first, image)
        for part in conditions.values():
            features = features + tf.cast(run.condition(part), features.dtype)
        for block in self.blocks:
            inside = features
            for layer in block:
                inside = run(layer, run(self.activation, inside))
            features = features + inside if self.use_residual else inside
        return self._outputs(run, features)
