"""Stepwise evaluation of the network of PixelCNN++: every feature is computed once."""

import abc
from typing import Any

import tensorflow as tf

from tfar.layers import ShiftedConv2D
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State
from tfar.networks.pixel_cnn_plus_plus_pixels import PixelPass
from tfar.networks.pixel_cnn_plus_plus_rows import RowPass, bases
from tfar.networks.shifted_stack import ShiftedStack
from tfar.networks.step_kernels import Kernels


class PixelCNNPlusPlusSteps(AutoregressiveNetwork, abc.ABC):
    """`start`, `start_stage` and `step`; a stage is a row of pixels.

    When a row starts, all above it is known: the row of the vertical stack, and what the features of the horizontal stack take
    from the row above, from the vertical stack and from the condition (their *base*), are computed for all columns at once. A
    step adds what they take from the pixels to the left in the same row. A level whose row or column does not fall due keeps
    what it has.

    The features of a level lie side by side in the order in which they are computed. The state holds

        image   [B, R, W, C]         the encoded rows above
        row     [B, W + 1, C]        the encoded row so far
        pixels  [B, N, C]            the encoded pixels to the left
        above_l [B, K, W_l, F_l]     vertical features of the last rows of level l
        before_l [B, W_l + 1, F_l]   horizontal features of the last row of level l; while a row is decided, of both
        base_l  [B, W_l, ...]        of the row of level l that is being decided
        left_l  [B, N, F_l]          horizontal features to the left

    While the pixels of a row are decided, `row` and `before_l` are only written, and what is read is small or does not change, so
    that a compiled loop updates them in place. Their last column takes what is to be written nowhere.
    """

    event_shape: tuple[int, ...]
    receptive_field_dims: tuple[int, int]
    num_filters: int
    first_vertical: ShiftedConv2D
    first_up: ShiftedConv2D
    first_left: ShiftedConv2D
    vertical: ShiftedStack
    horizontal: ShiftedStack
    outputs: ShiftedConv2D

    @property
    def stages(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.event_shape[1],)

    @abc.abstractmethod
    def encode(self, values: tf.Tensor) -> tf.Tensor:
        """Scales values from low .. high to -1 .. 1."""

    @abc.abstractmethod
    def _features(self, conditional_input: Any) -> tf.Tensor | None:
        """The condition as features `[B, F]`."""

    def _kernels(self, weights: Weights | None) -> Kernels:
        first = [self.first_vertical, self.first_up, self.first_left, self.outputs]
        return Kernels([*first, *self.vertical.convolutions(), *self.horizontal.convolutions()], weights)

    def step_weights(self) -> Weights:
        return self._kernels(None).weights

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        rows, columns = self.receptive_field_dims
        _, width, channels = self.event_shape
        state = {
            "image": tf.zeros([batch_size, rows - 1, width, channels]),
            "row": tf.zeros([batch_size, width + 1, channels]),
            "pixels": tf.zeros([batch_size, columns // 2, channels]),
        }
        for level, (_, size) in enumerate(self.vertical.settings.sizes):
            features = self.horizontal.num_features(level) * self.num_filters
            state[f"above_{level}"] = tf.zeros([batch_size, max(1, rows - 2, rows // 2), size, features])
            state[f"before_{level}"] = tf.zeros([batch_size, size + 1, features])
            state[f"base_{level}"] = tf.zeros([batch_size, size, sum(self.horizontal.base_sizes(level))])
            state[f"left_{level}"] = tf.zeros([batch_size, columns // 2, features])
        condition = self._features(conditional_input)
        return state if condition is None else {**state, "condition": condition}

    def start_stage(
        self, level: int, state: State, stage: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        state, kernels = self._next_row(state, stage, x_previous), self._kernels(weights)
        run = RowPass(self.vertical, state, kernels, stage)
        first = kernels.rows(self.first_vertical, state["image"]) + kernels.bias(self.first_vertical)
        self.vertical.flow(run, run.begin(first))
        run.close(0)
        state = {**state, **run.state}
        first = kernels.rows(self.first_up, state["image"][:, -1:])
        first += kernels.rows(self.first_left, state["image"][:, -1:], slice(0, 1))
        first += kernels.bias(self.first_up) + kernels.bias(self.first_left)
        return {**state, **bases(self.horizontal, state, kernels, stage, first)}

    def _next_row(self, state: State, stage: tf.Tensor, x_previous: tf.Tensor) -> State:
        """Moves the row that has been decided to the image, and begins an empty one."""
        last = self._known(x_previous, stage > 0)
        row = tf.concat([state["row"][:, : self.event_shape[1] - 1], last[:, None]], axis=1)
        empty = ("row", "pixels", *[name for name in state if name.startswith("left_")])
        image = tf.concat([state["image"][:, 1:], row[:, None]], axis=1)
        return {**state, **{name: tf.zeros_like(state[name]) for name in empty}, "image": image}

    def _known(self, x: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """An encoded pixel, or zeros, as beyond the edge, if it is not known."""
        return self.encode(tf.cast(x[:, 0], tf.float32)) * tf.cast(known, tf.float32)

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        state, kernels = dict(state), self._kernels(weights)
        width = self.event_shape[1]
        row, column = index // width, index % width
        pixel = self._known(x_previous, column > 0)
        state["pixels"] = tf.concat([state["pixels"][:, 1:], pixel[:, None]], axis=1)
        state["row"] = _write(state["row"], tf.where(column > 0, column - 1, width), pixel)
        run = PixelPass(self.horizontal, state, kernels, row, column)
        last = self.horizontal.flow(run, run.begin(0, kernels.left(self.first_left, state["pixels"])))
        run.close(0)
        state.update(run.state)
        for level, (_, size) in enumerate(self.vertical.settings.sizes):
            slot = tf.where(tf.equal(row % 2**level, 0), column // 2**level, size)
            state[f"before_{level}"] = _write(state[f"before_{level}"], slot, state[f"left_{level}"][:, -1])
        return (kernels.pixel(self.outputs, tf.nn.elu(last)) + kernels.bias(self.outputs))[:, None], state


def _write(values: tf.Tensor, column: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Writes `new [B, N]` into a column of `values [B, W, N]`."""
    rows = tf.range(tf.shape(new)[0])
    return tf.tensor_scatter_nd_update(values, tf.stack([rows, tf.zeros_like(rows) + column], axis=-1), new)
