"""One of the two stacks of PixelCNN++: residual blocks down to ever smaller images and up again, with short-cuts across."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import keras

from tfar.layers import GatedResidualBlock, ShiftedConv2D, ShiftedConv2DTranspose
from tfar.networks.inputs import seeded_initializer


class Settings(NamedTuple):
    """What both stacks share; see `tfar.PixelCNNPlusPlus`.

    Attributes:
        sizes: rows and columns of each level, the largest first.
        num_resnet, filters, activation, use_weight_norm, condition_size, kernel_initializer, seed: of all blocks.
    """

    sizes: tuple[tuple[int, int], ...]
    num_resnet: int
    filters: int
    activation: str
    use_weight_norm: bool
    condition_size: int
    kernel_initializer: Any
    seed: int


class Run(Protocol):
    """Somebody who walks through a stack: with whole images, with rows, with pixels, or with sets of sites."""

    def block(self, block: GatedResidualBlock, x: Any, shortcuts: list[Any]) -> Any:
        """What a block makes of its input and of the features that short-cuts bring."""

    def deeper(self, stack: "ShiftedStack", level: int, x: Any, beside: Iterator[Any] | None) -> Any:
        """What the levels below `level` make of its features: a contraction, and the flow of the next level."""

    def expand(self, layer: ShiftedConv2DTranspose, x: Any, level: int) -> Any:
        """The features of `level` that the next level's give."""


class ShiftedStack(keras.layers.Layer):
    """Blocks and changes of size of one stack; the stack beside it brings more short-cuts.

    Args:
        settings: what both stacks share.
        kernel_size: of all convolutions.
        shift: of all convolutions; see `ShiftedConv2D`.
        beside: bool. Whether each block also takes the output of the same block of another stack.
        salt: int. Tells the seeds of this stack's initial weights from others.
        **kwargs: those of `keras.layers.Layer`.

    Attributes:
        down, up: the blocks of all levels; see `blocks_down` and `blocks_up`.
        contract, expand: the layers between a level and the next.
    """

    def __init__(
        self, settings: Settings, kernel_size: tuple[int, int], shift: str, *, beside: bool, salt: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.settings, self.kernel_size, self.shift, self.salt = settings, kernel_size, shift, salt
        self.num_levels, self._made = len(settings.sizes), 0
        count, filters = settings.num_resnet, settings.filters
        self.down = [self._block(filters if beside else 0) for _ in range(self.num_levels * count)]
        self.up = [self._block((2 if beside else 1) * filters) for _ in range(self._first_up(-1))]
        self.contract = [self._resize(ShiftedConv2D, strides=2) for _ in settings.sizes[1:]]
        self.expand = [self._resize(ShiftedConv2DTranspose) for _ in settings.sizes[1:]]

    def _initializer(self, initializer: Any) -> Any:
        self._made += 1
        return seeded_initializer(
            keras.initializers.get(initializer), self.settings.seed, 1000 * self.salt + self._made
        )

    def _block(self, shortcut_filters: int) -> GatedResidualBlock:
        shared = self.settings
        return GatedResidualBlock(
            shared.filters,
            self.kernel_size,
            self.shift,
            shortcut_filters=shortcut_filters,
            condition_size=shared.condition_size,
            activation=shared.activation,
            use_weight_norm=shared.use_weight_norm,
            kernel_initializers=[
                *[self._initializer(shared.kernel_initializer) for _ in range(3)],
                self._initializer("random_normal"),
            ],
            dtype=self.dtype_policy,
        )

    def _resize(self, kind: Any, **kwargs: Any) -> Any:
        return kind(
            self.settings.filters,
            self.kernel_size,
            self.shift,
            use_weight_norm=self.settings.use_weight_norm,
            kernel_initializer=self._initializer(self.settings.kernel_initializer),
            dtype=self.dtype_policy,
            **kwargs,
        )

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        for layer in [*self.down, *self.up, *self.contract, *self.expand]:
            layer.build((None, None, None, self.settings.filters))
        self.built = True

    def _first_up(self, level: int) -> int:
        """Index of the first block up of a level, or the number of all blocks up for level -1; the deepest come first."""
        levels = self.num_levels - 1 - level
        return levels * (self.settings.num_resnet + 1) - min(levels, 1)

    def blocks_down(self, level: int) -> list[GatedResidualBlock]:
        """The blocks of a level on the way down."""
        count = self.settings.num_resnet
        return list(self.down[level * count : (level + 1) * count])

    def blocks_up(self, level: int) -> list[GatedResidualBlock]:
        """The blocks of a level on the way up: one for each feature that the way down has left."""
        return list(self.up[self._first_up(level) : self._first_up(level - 1)])

    def convolutions(self) -> list[Any]:
        """All convolutions, always in the same order."""
        blocks = [*self.down, *self.up]
        inner = [
            layer for block in blocks for layer in (block.conv_1, block.conv_2, block.shortcut) if layer is not None
        ]
        return [*inner, *self.contract, *self.expand]

    def num_features(self, level: int) -> int:
        """Features of a level, `filters` channels each: the first, two of each block, and what the next level gives."""
        deepest = level + 1 == self.num_levels
        return 2 + 2 * (len(self.blocks_down(level)) + len(self.blocks_up(level))) - int(deepest)

    def base_sizes(self, level: int) -> list[int]:
        """Channels that go into each feature of a level: twice as many where they are gated."""
        filters, down, up = self.settings.filters, self.blocks_down(level), self.blocks_up(level)
        middle = [] if level + 1 == self.num_levels else [filters]
        return [filters, *[filters, 2 * filters] * len(down), *middle, *[filters, 2 * filters] * len(up)]

    def flow(self, run: Run, x: Any, beside: Iterator[Any] | None = None, level: int = 0) -> Any:
        """Goes from the first features of a level down to the deepest one and up again to the last features of the level.

        Args:
            run: what walks.
            x: the first features.
            beside: outputs of the blocks of the other stack, in the order of the blocks.
            level: int, from 0.
        """
        passed = [x]
        for block in self.blocks_down(level):
            passed.append(run.block(block, passed[-1], [] if beside is None else [next(beside)]))
        if level + 1 < self.num_levels:
            x = run.expand(self.expand[level], run.deeper(self, level, passed[-1], beside), level)
        else:
            x = passed.pop()
        for block in self.blocks_up(level):
            x = run.block(block, x, [*([] if beside is None else [next(beside)]), passed.pop()])
        return x
