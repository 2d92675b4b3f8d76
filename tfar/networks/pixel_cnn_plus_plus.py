"""The network of PixelCNN++: two stacks of shifted convolutions with shortcuts."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfar.layers import GatedResidualBlock, ShiftedConv2D
from tfar.layers.causal import Parallel, Run, as_float
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.raster import RasterNetwork
from tfar.networks.shifted_stack import Settings, ShiftedStack


@keras.saving.register_keras_serializable("tfar")
class PixelCNNPlusPlusNetwork(RasterNetwork):
    """Two stacks of gated residual blocks: a vertical one over the rows above and a horizontal one over the row.

    Args:
        event_shape: (H, W, C).
        params_size: int. Parameters of a pixel.
        low, high: the lowest and the highest value, which are scaled to -1 and 1.
        filters, num_blocks, num_levels, kernel_size, activation, use_weight_norm, use_data_init, dropout_rate,
            conditional_shape, kernel_initializer, seed: see `tfar.PixelCNNPlusPlus`.

    References:
        Salimans et al. PixelCNN++. ICLR 2017, section 2. https://arxiv.org/abs/1701.05517
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        params_size: int,
        *,
        filters: int = 160,
        num_blocks: int = 5,
        num_levels: int = 3,
        kernel_size: tuple[int, int] = (3, 3),
        activation: str = "concat_elu",
        use_weight_norm: bool = True,
        use_data_init: bool = True,
        low: int = 0,
        high: int = 255,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, tuple(event_shape)[-1:], params_size, **kwargs)
        self.low, self.high = int(low), int(high)
        self.filters, self.num_blocks, self.num_levels = int(filters), int(num_blocks), int(num_levels)
        self.kernel_size, self.activation = (int(kernel_size[0]), int(kernel_size[1])), activation
        self.use_weight_norm, self.use_data_init = bool(use_weight_norm), bool(use_data_init)
        self._make_layers()

    # Layers ----------------------------------------------------------------------------------------------------------

    def _make_layers(self) -> None:
        rows, columns = self.kernel_size
        channels = self.image_shape[2]
        self.first_vertical = self._shifted(channels, self.filters, (rows - 1, columns), "down", strict=True)
        self.first_up = self._shifted(channels, self.filters, (1, columns), "down", strict=True)
        self.first_left = self._shifted(channels, self.filters, (2, columns // 2), "down_right", strict=True)
        settings = Settings(
            self.num_levels,
            self.num_blocks,
            self.filters,
            self.activation,
            self.use_weight_norm,
            condition_size(self.conditional_shape),
            self.kernel_initializer,
            self.seed,
        )
        policy = {"dtype": self.dtype_policy}
        self.vertical = ShiftedStack(settings, (rows - 1, columns), "down", takes=False, salt=1, **policy)
        self.horizontal = ShiftedStack(settings, (2, columns // 2 + 1), "down_right", takes=True, salt=2, **policy)
        self.vertical.in_channels = self.horizontal.in_channels = self.filters
        self.outputs = self._shifted(self.filters, self.params_size, (1, 1), "down_right")

    def _shifted(self, inputs: int, *args: Any, **kwargs: Any) -> Any:
        return self._add(ShiftedConv2D, inputs, *args, use_weight_norm=self.use_weight_norm, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        super().build(input_shape)
        self.data_init_pending = None
        if self.use_weight_norm and self.use_data_init:
            self.data_init_pending = self.add_weight(name="data_init_pending", initializer="ones", trainable=False)

    # Description -----------------------------------------------------------------------------------------------------

    def encode(self, values: tf.Tensor) -> tf.Tensor:
        """Scales values from low .. high to -1 .. 1."""
        return (values - float(self.low)) * (2.0 / (self.high - self.low)) - 1.0

    def context(self, run: Run, image: Any, conditions: State) -> None:
        run.give(run(self.first_up, image))
        self.vertical.flow(run, run(self.first_vertical, image), self._of_blocks(self.vertical, conditions))

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        first = run.take() + run(self.first_left, image)
        last = self.horizontal.flow(run, first, self._of_blocks(self.horizontal, conditions))
        return run(self.outputs, run(tf.nn.elu, last))

    def conditions(self, conditional_input: Any) -> State:
        """Returns the terms that the condition adds to the gates, concatenated over all blocks of a stack."""
        if self.conditional_shape is None:
            return {}
        features = flatten_condition(conditional_input, self.conditional_shape)
        return {
            f"condition_{stack.shift}": tf.concat([as_float(b.condition(features)) for b in stack.blocks()], axis=-1)
            for stack in (self.vertical, self.horizontal)
        }

    def _of_blocks(self, stack: ShiftedStack, conditions: State) -> Mapping[GatedResidualBlock, tf.Tensor]:
        if not conditions:
            return {}
        blocks = stack.blocks()
        return dict(zip(blocks, tf.split(conditions[f"condition_{stack.shift}"], len(blocks), axis=-1), strict=True))

    # Initial weights -------------------------------------------------------------------------------------------------

    @property
    def awaits_data(self) -> bool:
        return self.data_init_pending is not None and bool(self.data_init_pending.numpy() > 0.0)

    def initialize(self, x: Any, conditional_input: Any = None) -> None:
        """Sets the kernel norms and the biases of all convolutions such that their outputs have mean 0 and variance 1.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: as in `call`.

        Raises:
            ValueError: If the network has no weight normalisation with data-dependent initialisation.
        """
        if self.data_init_pending is None:
            raise ValueError("Expected a network with `use_weight_norm` and `use_data_init`; received one without.")
        self._pass(Parallel(initialize=True), x, conditional_input)
        self.data_init_pending.assign(tf.zeros([]))
