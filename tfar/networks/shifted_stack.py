"""A stack of PixelCNN++: residual blocks at decreasing and then increasing resolution, with shortcuts between them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfar.layers import GatedResidualBlock, ShiftedConv2D, ShiftedConv2DTranspose
from tfar.layers.causal import Run
from tfar.networks.inputs import seeded_initializer


class Settings(NamedTuple):
    """Settings that both stacks share; see `tfar.PixelCNNPlusPlus`.

    Attributes:
        num_levels, num_blocks, filters, activation, use_weight_norm, kernel_initializer, seed: of all blocks.
        condition_size: int. Number of features of the condition, 0 for none.
    """

    num_levels: int
    num_blocks: int
    filters: int
    activation: str
    use_weight_norm: bool
    condition_size: int
    kernel_initializer: Any
    seed: int


class ShiftedStack(keras.layers.Layer):
    """The blocks and the changes of resolution of one stack, with the settings that both stacks share.

    Args:
        settings, kernel_size, shift: of all convolutions; see `ShiftedConv2D`.
        takes: bool. Whether each block also takes the output of the same block of the other stack; otherwise each block
            passes its output to the other stack.
        salt: int. Distinguishes the seeds of the initial weights of the stacks.

    Attributes:
        down: the blocks of each level on the way to lower resolutions.
        up: the blocks of each level on the way back, one for each feature of the way down.
        contract, expand: the layers between a level and the next.
    """

    def __init__(
        self, settings: Settings, kernel_size: tuple[int, int], shift: str, *, takes: bool, salt: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.settings, self.kernel_size, self.shift, self.takes = settings, kernel_size, shift, takes
        self._salt, self._num_made = salt, 0
        count, levels, filters = settings.num_blocks, range(settings.num_levels), settings.filters
        self.down = [[self._block(filters * takes) for _ in range(count)] for _ in levels]
        num_up = [count + (level + 1 < settings.num_levels) for level in levels]
        self.up = [[self._block(filters * (1 + takes)) for _ in range(number)] for number in num_up]
        self.contract = [self._resize(ShiftedConv2D, strides=2) for _ in levels[1:]]
        self.expand = [self._resize(ShiftedConv2DTranspose) for _ in levels[1:]]

    def _initializer(self, initializer: Any) -> Any:
        self._num_made += 1
        salt = 1000 * self._salt + self._num_made
        return seeded_initializer(keras.initializers.get(initializer), self.settings.seed, salt)

    def _block(self, shortcut_filters: int) -> GatedResidualBlock:
        shared = self.settings
        kernels = [self._initializer(shared.kernel_initializer) for _ in range(3)]
        return GatedResidualBlock(
            shared.filters,
            self.kernel_size,
            self.shift,
            shortcut_filters=shortcut_filters,
            condition_size=shared.condition_size,
            activation=shared.activation,
            use_weight_norm=shared.use_weight_norm,
            kernel_initializers=[*kernels, self._initializer("random_normal")],
            dtype=self.dtype_policy,
        )

    def _resize(self, kind: Callable[..., Any], **kwargs: Any) -> Any:
        return kind(
            self.settings.filters,
            self.kernel_size,
            self.shift,
            use_weight_norm=self.settings.use_weight_norm,
            kernel_initializer=self._initializer(self.settings.kernel_initializer),
            dtype=self.dtype_policy,
            **kwargs,
        )

    def blocks(self) -> list[GatedResidualBlock]:
        """Returns all blocks, in the order in which `flow` calls them."""
        return [block for blocks in (*self.down, *reversed(self.up)) for block in blocks]

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in [*self.blocks(), *self.contract, *self.expand]:
            layer.build((None, None, None, self.settings.filters))
        self.built = True

    def flow(self, run: Run, x: Any, conditions: Mapping[Any, Any], level: int = 0) -> Any:
        """Describes the stack from a level downwards, for the first features x of the level and the condition of each block."""
        passed = [x]
        for block in self.down[level]:
            passed.append(self._flow_block(run, block, passed[-1], [], conditions))
        if level + 1 < self.settings.num_levels:
            deeper = lambda run, x: self.flow(run, x, conditions, level + 1)  # noqa: E731
            x = run.below(self.contract[level], self.expand[level], passed[-1], deeper)
        else:
            x = passed.pop()
        for block in self.up[level]:
            x = self._flow_block(run, block, x, [passed.pop()], conditions)
        return x

    def _flow_block(self, run: Run, block: GatedResidualBlock, x: Any, shortcuts: list[Any], conditions: Any) -> Any:
        if self.takes:
            shortcuts = [run.take(), *shortcuts]
        z = run(_joined, *shortcuts) if shortcuts else None
        x = block.flow(run, x, z, conditions.get(block))
        if not self.takes:
            run.give(x)
        return x


def _joined(*features: tf.Tensor) -> tf.Tensor:
    """Concatenates features."""
    return features[0] if len(features) == 1 else tf.concat(features, axis=-1)
