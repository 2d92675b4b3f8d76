"""The network of PixelCNN: masked convolutions over the image."""

from typing import Any

import keras
import tensorflow as tf

from tfar.networks.base import Weights
from tfar.networks.conditions import State
from tfar.networks.raster import RasterNetwork
from tfar.networks.raster_steps import Convolve, Nonlinear, as_float, convolve_rows


@keras.saving.register_keras_serializable("tfar")
class PixelCNNNetwork(RasterNetwork):
    """Masked convolutions: a wide one that does not see its own pixel, residual blocks, and 1x1 ones to the parameters.

        h_0 = conv_A(x),    h_l = h_{l-1} + conv_1x1(relu(conv_B(relu(conv_1x1(relu(h_{l-1}))))))

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Features of the image between the blocks; inside a residual block, half of them.
        params_size: int. Parameters of a site.
        num_classes: None, or the number of classes of a site: its values are then scaled to -1 .. 1.
        one_hot: bool. Feed each class of a site as an input of its own.
        num_blocks, first_kernel_size, kernel_size, use_residual, output_filters, kernel_initializer, seed: see
            `tfar.PixelCNN`.

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
        num_blocks: int = 7,
        first_kernel_size: tuple[int, int] = (7, 7),
        kernel_size: tuple[int, int] = (3, 3),
        use_residual: bool = True,
        output_filters: tuple[int, ...] = (),
        num_classes: int | None = None,
        one_hot: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_shape,
            params_size,
            num_classes=num_classes,
            one_hot=one_hot,
            kernel_initializer=kernel_initializer,
            seed=seed,
            **kwargs,
        )
        self.filters, self.num_blocks = int(filters), int(num_blocks)
        self.first_kernel_size = (first_kernel_size[0], first_kernel_size[1])
        self.kernel_size = (kernel_size[0], kernel_size[1])
        self.use_residual, self.output_filters = bool(use_residual), tuple(output_filters)
        self._make_convolutions()
        self.kept_rows = {i: n for i, layer in enumerate(self.convolutions) if (n := layer.kernel_size[0] // 2)}
        self.row_parts = list(self.kept_rows)

    def _make_convolutions(self) -> None:
        self._add("first", self._depth, self.filters, self.first_kernel_size, mask_type="A")
        for block in range(1, self.num_blocks + 1):
            if self.use_residual:
                half = self.filters // 2
                self._add(f"block_{block}_in", self.filters, half)
                self._add(f"block_{block}", half, half, self.kernel_size)
                self._add(f"block_{block}_out", half, self.filters)
            else:
                self._add(f"block_{block}", self.filters, self.filters, self.kernel_size)
        features = self.filters
        for number, width in enumerate(self.output_filters, start=1):
            self._add(f"output_{number}", features, width)
            features = width
        self._add("params", features, self.image_shape[2] * self.params_size)

    # How they follow each other --------------------------------------------------------------------------------------

    def _follow(self, convolve: Convolve, nonlinear: Nonlinear, image: Any) -> Any:
        features, i = convolve(0, image), 1
        for _ in range(self.num_blocks):
            if self.use_residual:
                inside = features
                for _ in range(3):
                    inside, i = convolve(i, nonlinear("relu", inside)), i + 1
                features = features + inside
            else:
                features, i = convolve(i, nonlinear("relu", features)), i + 1
        for output in range(i, len(self.convolutions)):
            features = convolve(output, nonlinear("relu", features))
        return features

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        weights = super().step_weights()
        for i, height in self.kept_rows.items():
            weights[f"above_{i}"] = as_float(self.convolutions[i].kernel)[:height]
        return weights

    def _from_above(
        self, rows: dict[int, tf.Tensor], state: State, stage: tf.Tensor, weights: Weights
    ) -> tuple[list[tf.Tensor], State]:
        parts = [convolve_rows(rows[i], weights[f"above_{i}"]) for i in self.row_parts]
        biases = [tf.reshape(weights[f"bias_{i}"], [-1]) for i in self.row_parts]
        return [part + bias for part, bias in zip(parts, biases, strict=True)], state

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "num_blocks", "use_residual")
        sizes = ("first_kernel_size", "kernel_size", "output_filters")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            **{name: list(getattr(self, name)) for name in sizes},
        }
