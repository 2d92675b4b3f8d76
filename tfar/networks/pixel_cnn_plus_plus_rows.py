"""What PixelCNN++ computes when a row of pixels starts."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfar.layers import GatedResidualBlock, ShiftedConv2DTranspose
from tfar.layers.gated_residual import ACTIVATIONS, gated
from tfar.networks.conditions import State
from tfar.networks.shifted_stack import ShiftedStack
from tfar.networks.step_kernels import Kernels


class RowPass:
    """Walks through the vertical stack with one row, and with the rows above it that the state holds.

    Args:
        stack: the vertical stack.
        state: see `PixelCNNPlusPlusSteps`.
        kernels: of all layers.
        stage: int32 scalar. The row of pixels.
        level: int. Where the walk is.

    Attributes:
        state: `above_l` of the levels that the walk has finished.
    """

    def __init__(self, stack: ShiftedStack, state: State, kernels: Kernels, stage: tf.Tensor, level: int = 0) -> None:
        self.stack, self.kernels, self.stage, self.level = stack, kernels, stage, level
        self.state = {name: value for name, value in state.items() if name.startswith("above_")}
        self._condition = state.get("condition")
        self._new: list[tf.Tensor] = []
        self._activation = ACTIVATIONS[stack.settings.activation]

    def begin(self, x: tf.Tensor) -> tf.Tensor:
        """Notes the features `[B, W, F]` that were computed last."""
        self._new.append(x)
        return x

    def close(self, level: int) -> None:
        """Moves the row on top of those above."""
        row = tf.concat(self._new, axis=-1)[:, None]
        self.state[f"above_{level}"] = tf.concat([self.state[f"above_{level}"][:, 1:], row], axis=1)

    def _rows(self, layer: Any, activation: Any) -> tf.Tensor:
        """What a convolution makes of the last features and of the same ones in the rows above."""
        above, filters = self.state[f"above_{self.level}"], self.stack.settings.filters
        first, count = (len(self._new) - 1) * filters, layer.kernel_size[0] - 1
        x = self._new[-1][:, None]
        if count:
            x = tf.concat([above[:, -count:, :, first : first + filters], x], axis=1)
        return self.kernels.rows(layer, activation(x)) + self.kernels.bias(layer)

    def block(self, block: GatedResidualBlock, x: tf.Tensor, shortcuts: list[tf.Tensor]) -> tf.Tensor:
        hidden = self._rows(block.conv_1, self._activation)
        if block.shortcut is not None:
            z = self._activation(tf.concat(shortcuts, axis=-1))
            hidden += self.kernels.pixel(block.shortcut, z) + self.kernels.bias(block.shortcut)
        self.begin(hidden)
        both = self._rows(block.conv_2, self._activation)
        if self._condition is not None:
            both += conditioned(block, self._condition)
        return self.begin(x + gated(both))

    def deeper(self, stack: ShiftedStack, level: int, x: tf.Tensor, beside: Iterator[Any] | None) -> Any:
        """The levels below, if a row of them falls due; otherwise they stay as they are."""
        names = [f"above_{below}" for below in range(level + 1, stack.num_levels)]

        def compute() -> list[tf.Tensor]:
            first = self._rows(stack.contract[level], tf.identity)
            run = RowPass(stack, {**self.state, **self._of_condition()}, self.kernels, self.stage, level + 1)
            stack.flow(run, run.begin(first), None, level + 1)
            run.close(level + 1)
            return [run.state[name] for name in names]

        due = tf.equal(self.stage % 2 ** (level + 1), 0)
        new = tf.cond(due, compute, lambda: [tf.identity(self.state[name]) for name in names])
        self.state.update(dict(zip(names, new, strict=True)))
        return None

    def _of_condition(self) -> State:
        return {} if self._condition is None else {"condition": self._condition}

    def expand(self, layer: ShiftedConv2DTranspose, x: Any, level: int) -> tf.Tensor:
        """Row y of a level takes from the rows r of the next that its kernel rows a reach: y = 2 r + a."""
        rows, filters = layer.kernel_size[0], self.stack.settings.filters
        count, last = (rows + 1) // 2, self.state[f"above_{level + 1}"][..., -filters:]
        kernel = tf.pad(self.kernels.kernel(layer), [[0, 2 * count - rows], [0, 0], [0, 0], [0, 0]])
        kernel = tf.reshape(kernel, [count, 2, *kernel.shape[1:]])
        kernel = tf.gather(kernel, self.stage // 2**level % 2, axis=1)
        total = self.kernels.bias(layer)
        for i in range(count):
            total += widened(last[:, -1 - i], kernel[i], -layer.offsets[1][0], self.stack.settings.sizes[level][1])
        return self.begin(total)


def widened(row: tf.Tensor, kernel: tf.Tensor, left: int, width: int) -> tf.Tensor:
    """A row `[B, S, C]` of twice the width by a kernel `[w, F, C]`: `[B, width, F]`; the first `left` columns are cut off."""
    columns, filters = kernel.shape[0], kernel.shape[1]
    size = [tf.shape(row)[0], 1, 2 * (row.shape[1] - 1) + columns, filters]
    full = tf.nn.conv2d_transpose(row[:, None], kernel[None], tf.stack(size), [1, 2], "VALID")
    return full[:, 0, left : left + width]


def conditioned(block: GatedResidualBlock, features: tf.Tensor) -> tf.Tensor:
    """What the condition adds to the gate of a block, `[B, 1, 2 F]`."""
    dense = block.condition
    return (tf.matmul(features, tf.convert_to_tensor(dense.kernel)) + tf.convert_to_tensor(dense.bias))[:, None]


def bases(stack: ShiftedStack, state: State, kernels: Kernels, stage: tf.Tensor, first: tf.Tensor) -> State:
    """`base_l` of the horizontal stack for a row of pixels; of the levels whose row falls due.

    Args:
        stack: the horizontal stack.
        state: see `PixelCNNPlusPlusSteps`, with the vertical features of the row.
        kernels: of all layers.
        stage: int32 scalar. The row of pixels.
        first: `[B, W, F]`. What the first features take from the rows above, with their biases.
    """
    result = {}
    for level in range(stack.num_levels):
        base = Base(stack, state, kernels, stage, level)
        if level == 0:
            result["base_0"] = base.whole(first)
        else:
            old, due = state[f"base_{level}"], tf.equal(stage % 2**level, 0)
            result[f"base_{level}"] = tf.cond(due, base.whole, lambda old=old: tf.identity(old))
    return result


class Base:
    """What the horizontal features of a row take from all but the row itself, side by side.

    Args:
        stack, state, kernels, stage: see `bases`.
        level: int.
    """

    def __init__(self, stack: ShiftedStack, state: State, kernels: Kernels, stage: tf.Tensor, level: int) -> None:
        self.stack, self.state, self.kernels, self.stage, self.level = stack, state, kernels, stage, level
        self._activation = ACTIVATIONS[stack.settings.activation]

    def _feature(self, name: str, level: int, index: int) -> tf.Tensor:
        """A feature of the last row, `[B, W, F]`: "above", vertical ones, or "before", horizontal ones."""
        filters, width = self.stack.settings.filters, self.stack.settings.sizes[level][1]
        values = self.state[f"{name}_{level}"]
        values = values[:, -1] if name == "above" else values[:, :width]
        index %= self.stack.num_features(level)
        return values[..., index * filters : (index + 1) * filters]

    def _before(self, layer: Any, index: int, activation: Any) -> tf.Tensor:
        """What the upper row of a kernel makes of a feature of the row before."""
        x = activation(self._feature("before", self.level, index))
        return self.kernels.rows(layer, x[:, None], slice(0, 1)) + self.kernels.bias(layer)

    def whole(self, first: tf.Tensor | None = None) -> tf.Tensor:
        """The base of a row, `[B, W, ...]`."""
        stack, level = self.stack, self.level
        parts = [self._contracted() if first is None else first]
        for block in stack.blocks_down(level):
            parts += self._block(block, len(parts))
        if level + 1 < stack.num_levels:
            parts.append(self._expanded(stack.expand[level]))
        for block in stack.blocks_up(level):
            parts += self._block(block, len(parts))
        return tf.concat(parts, axis=-1)

    def _contracted(self) -> tf.Tensor:
        layer, above = self.stack.contract[self.level - 1], self.level - 1
        x = self._feature("before", above, 2 * self.stack.settings.num_resnet)
        return self.kernels.rows(layer, x[:, None], slice(0, 1)) + self.kernels.bias(layer)

    def _expanded(self, layer: ShiftedConv2DTranspose) -> tf.Tensor:
        """In an odd row all of the next level's row is known; in an even one the pixels bring it."""
        row, width = self._feature("before", self.level + 1, -1), self.stack.settings.sizes[self.level][1]
        odd = tf.cast(self.stage // 2**self.level % 2, tf.float32)
        return odd * widened(row, self.kernels.kernel(layer)[1], 0, width) + self.kernels.bias(layer)

    def _block(self, block: GatedResidualBlock, index: int) -> list[tf.Tensor]:
        """Of the hidden features, `index`, and of the outputs of a block, `index + 1`."""
        z = self._activation(self._feature("above", self.level, index + 1))
        hidden = self._before(block.conv_1, index - 1, self._activation) + self.kernels.bias(block.shortcut)
        hidden += self.kernels.pixel(block.shortcut, z, shortcut_channels(self.stack, block, 0))
        both = self._before(block.conv_2, index, self._activation)
        if "condition" in self.state:
            both += conditioned(block, self.state["condition"])
        return [hidden, both]


def shortcut_channels(stack: ShiftedStack, block: GatedResidualBlock, number: int) -> list[slice]:
    """The channels of a short-cut's input that come from its first or its second source, after the activation."""
    filters, size = stack.settings.filters, block.shortcut_filters
    starts = range(number * filters, (2 if block.activation == "concat_elu" else 1) * size, size)
    return [slice(start, start + filters) for start in starts]
