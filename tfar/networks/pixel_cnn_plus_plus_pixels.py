"""What PixelCNN++ computes for a pixel."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfar.layers import GatedResidualBlock, ShiftedConv2DTranspose
from tfar.layers.gated_residual import ACTIVATIONS, gated
from tfar.networks.conditions import State
from tfar.networks.pixel_cnn_plus_plus_rows import shortcut_channels
from tfar.networks.shifted_stack import ShiftedStack
from tfar.networks.step_kernels import Kernels


class PixelPass:
    """Walks through the horizontal stack with one pixel, the pixels to its left and the base of its row.

    Args:
        stack: the horizontal stack.
        state: see `PixelCNNPlusPlusSteps`.
        kernels: of all layers.
        row, column: int32 scalars. The pixel.
        level: int. Where the walk is.

    Attributes:
        state: `left_l` of the levels that the walk has finished.
    """

    def __init__(
        self, stack: ShiftedStack, state: State, kernels: Kernels, row: tf.Tensor, column: tf.Tensor, level: int = 0
    ) -> None:
        self.stack, self.kernels, self.row, self.column, self.level = stack, kernels, row, column, level
        self.state = {name: value for name, value in state.items() if name.startswith("left_")}
        self._bases = {name: value for name, value in state.items() if name.startswith("base_")}
        base = tf.gather(self._bases[f"base_{level}"], column // 2**level, axis=1)
        self._base = iter(tf.split(base, stack.base_sizes(level), axis=-1))
        self._new: list[tf.Tensor] = []
        self._activation = ACTIVATIONS[stack.settings.activation]

    def begin(self, level: int, x: tf.Tensor) -> tf.Tensor:
        """Adds to features `[B, F]` their base, and notes them."""
        return self._note(x + next(self._base))

    def _note(self, x: tf.Tensor) -> tf.Tensor:
        self._new.append(x)
        return x

    def close(self, level: int) -> None:
        """Moves the pixel to the left of the next."""
        pixel = tf.concat(self._new, axis=-1)[:, None]
        self.state[f"left_{level}"] = tf.concat([self.state[f"left_{level}"][:, 1:], pixel], axis=1)

    def _left(self, layer: Any, activation: Any) -> tf.Tensor:
        """What the lower row of a kernel makes of the last features and of the same ones to the left."""
        filters = self.stack.settings.filters
        first = (len(self._new) - 1) * filters
        left = self.state[f"left_{self.level}"][..., first : first + filters]
        return self.kernels.left(layer, activation(tf.concat([left, self._new[-1][:, None]], axis=1)))

    def block(self, block: GatedResidualBlock, x: tf.Tensor, shortcuts: list[tf.Tensor]) -> tf.Tensor:
        hidden = self._left(block.conv_1, self._activation)
        if shortcuts:
            channels = shortcut_channels(self.stack, block, 1)
            hidden += self.kernels.pixel(block.shortcut, self._activation(shortcuts[0]), channels)
        self.begin(self.level, hidden)
        both = self._left(block.conv_2, self._activation) + next(self._base)
        return self._note(x + gated(both))

    def deeper(self, stack: ShiftedStack, level: int, x: tf.Tensor, beside: Iterator[Any] | None) -> Any:
        """The levels below, if a pixel of them falls due; otherwise they stay as they are."""
        names = [f"left_{below}" for below in range(level + 1, stack.num_levels)]

        def compute() -> list[tf.Tensor]:
            state = {**self.state, **self._bases}
            run = PixelPass(stack, state, self.kernels, self.row, self.column, level + 1)
            first = self._left(stack.contract[level], tf.identity)
            stack.flow(run, run.begin(level + 1, first), None, level + 1)
            run.close(level + 1)
            return [run.state[name] for name in names]

        period = 2 ** (level + 1)
        due = tf.logical_and(tf.equal(self.row % period, 0), tf.equal(self.column % period, 0))
        new = tf.cond(due, compute, lambda: [tf.identity(self.state[name]) for name in names])
        self.state.update(dict(zip(names, new, strict=True)))
        return None

    def expand(self, layer: ShiftedConv2DTranspose, x: Any, level: int) -> tf.Tensor:
        """Column x of a level takes from the columns c of the next that its kernel columns b reach: x = 2 c + b.

        In an odd row nothing of the next level falls due, what is to the left of it is zeros, and the base holds its share.
        """
        columns, filters = layer.kernel_size[1], self.stack.settings.filters
        count, last = (columns + 1) // 2, self.state[f"left_{level + 1}"][..., -filters:]
        kernel = tf.pad(self.kernels.kernel(layer)[0], [[0, 2 * count - columns], [0, 0], [0, 0]])
        kernel = tf.reshape(kernel, [count, 2, *kernel.shape[1:]])
        kernel = tf.gather(kernel, self.column // 2**level % 2, axis=1)
        total = tf.add_n([tf.matmul(last[:, -1 - i], kernel[i], transpose_b=True) for i in range(count)])
        return self.begin(level, total)
