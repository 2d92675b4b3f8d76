"""The decoder of the Video Pixel Network: a PixelCNN of residual multiplicative blocks, for one frame."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfar.layers.causal import Run
from tfar.networks.conditions import State, add_condition
from tfar.networks.gates import multiplicative_unit
from tfar.networks.masked_raster import MaskedRasterNetwork


def multiplicative_layers(add: Callable[..., Any], name: str, filters: int, kernel_size: tuple[int, int]) -> list[Any]:
    """Creates the convolutions of a residual multiplicative block.

    Args:
        add: creates a convolution, `add(name, inputs, filters, kernel_size)`.
        name: begin of the names of the convolutions.
        filters: int. Number of features c of a multiplicative unit; the block has 2 c outside.
        kernel_size: (height, width) of the convolutions of the units.
    """
    units = [add(f"{name}_unit_{number}", filters, 4 * filters, kernel_size) for number in (1, 2)]
    return [add(f"{name}_in", 2 * filters, filters, (1, 1)), *units, add(f"{name}_out", filters, 2 * filters, (1, 1))]


def multiplicative_block(
    run: Run, layers: Sequence[Any], x: Any, condition: Any = None, group_size: int | None = None
) -> Any:
    """Describes a residual multiplicative block by its convolutions, see `Run`.

        h = x + V y,    block(h) = h + conv_1x1(MU(MU(conv_1x1(h))))

    where V y is the contribution of a condition, which may be None. `group_size` is the number of features of a group of channels
    inside the block, such as those of red; None stands for one group.

    References:
        Kalchbrenner et al. Video pixel networks. ICML 2017, section 4 and figure 2.
    """
    first, *units, last = layers
    x = x if condition is None else run(add_condition, x, condition)
    inside = run(first, x)
    for unit in units:
        inside = run(functools.partial(multiplicative_unit, group_size=group_size), run(unit, inside), inside)
    return x + run(last, inside)


@keras.saving.register_keras_serializable("tfar")
class FrameDecoder(MaskedRasterNetwork):
    """Applies a masked convolution that excludes the site itself, residual multiplicative blocks and 1x1 convolutions.

        h_0 = conv_A(frame),    h_l = block(h_{l-1} + V_l y),    params = conv_1x1(relu(... conv_1x1(relu(h_L))))

    where y is the condition: maps of the size of the frame and vectors. The convolutions of the blocks include the pixel itself
    (mask "B"). Only the first layer, which has no identity path, excludes it: in a multiplicative unit with mask "A", the
    identity path would still carry the pixel itself to the parameters.

    Args:
        event_shape: `[H, W]` or `[H, W, C]` of a frame.
        filters: int. Number of features c of a multiplicative unit; there are 2 c features between the blocks.
        params_size: int. Parameters of a site.
        conditional_shape: a dict of the shapes of maps `[H, W, k]` and of vectors `[k]`.
        **kwargs: arguments of `MaskedRasterNetwork`.

    References:
        Kalchbrenner et al. Video pixel networks. ICML 2017, sections 3.2 and 4.
        https://arxiv.org/abs/1610.00527
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        conditional_shape: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, filters, params_size, conditional_shape=conditional_shape, **kwargs)
        width = 2 * self.filters
        self.first = self._masked("first", self.depth, width, self.first_kernel_size, "A")
        self.blocks = [
            multiplicative_layers(self._masked, f"block_{number}", self.filters, self.kernel_size)
            for number in range(1, self.num_blocks + 1)
        ]
        self._add_conditions(width, self.num_blocks)
        self._add_outputs(width)

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features, group_size = run(self.first, image), self.filters // self.num_groups
        for number, block in enumerate(self.blocks):
            condition = run.condition(conditions[f"condition_{number}"])
            features = multiplicative_block(run, block, features, condition, group_size)
        return self._outputs(run, features)

    @property
    def condition_names(self) -> list[str]:
        return [f"condition_{number}" for number in range(self.num_blocks)]
