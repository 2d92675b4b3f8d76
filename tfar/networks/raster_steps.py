"""Stepwise evaluation of convolutional networks over images: every feature of a pixel is computed once.

The steps visit the pixels in raster order, and the channels of a pixel one after the other; a row is a stage. What a row gets
from the rows above it is computed for all its pixels when it starts. A step then adds what comes from the left and from the
pixel itself, for the group of features of its own channel.
"""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar.layers import MaskedConv2D
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State
from tfar.networks.inputs import SiteEncoding

Convolve = Callable[[int, Any], Any]
Nonlinear = Callable[[str, Any], Any]


class RasterSteps(AutoregressiveNetwork, abc.ABC):
    """`start`, `start_stage` and `step` of a network of causal convolutions over an image.

    Attributes:
        image_shape: (H, W, C).
        convolutions: list of `MaskedConv2D` with C groups, the first of which sees the image.
        row_parts: list of int. The convolutions to which `_from_above` adds something.
        kept_rows: dict of int to int. For convolutions whose inputs are kept by rows: how many rows above they reach.
    """

    image_shape: tuple[int, int, int]
    convolutions: list[MaskedConv2D]
    row_parts: list[int]
    kept_rows: dict[int, int]
    _channels: list[int]
    _encode: SiteEncoding

    @property
    def stages(self) -> tuple[int, ...]:  # type: ignore[override]
        """Sites of a row."""
        return (self.image_shape[1] * self.image_shape[2],)

    @abc.abstractmethod
    def _follow(self, convolve: Convolve, nonlinear: Nonlinear, image: Any) -> Any:
        """How the convolutions follow each other: one description for passes, steps and influences.

        Args:
            convolve: applies the convolution of an index to its input.
            nonlinear: applies the function of a name, "relu" or "gate".
            image: input of the first convolution.
        """

    @abc.abstractmethod
    def _from_above(
        self, rows: dict[int, tf.Tensor], state: State, stage: tf.Tensor, weights: Weights
    ) -> tuple[list[tf.Tensor], State]:
        """What each of `row_parts` gets from the rows above, with its bias.

        Args:
            rows: the kept inputs of the rows above, `[B, kept_rows, W, inputs]`.
            state, stage, weights: as `start_stage` takes them.

        Returns:
            float32 `[B, W, filters]` each, and the new state.
        """

    def step_weights(self) -> Weights:
        weights = {}
        for i, layer in enumerate(self.convolutions):
            taps = as_float(layer.kernel)[layer.kernel_size[0] // 2, : self._taps(i)]
            if self._taps(i):
                weights[f"taps_{i}"] = self._by_channel(tf.reshape(taps, [-1, layer.filters]))
            weights[f"bias_{i}"] = self._by_channel(as_float(layer.bias))
        return weights

    def _left(self, i: int) -> int:
        """How many pixels to the left a convolution reaches."""
        return int(self.convolutions[i].kernel_size[1]) // 2

    def _taps(self, i: int) -> int:
        """Taps in the row of the pixel; the first convolution of an image of one channel does not see the pixel."""
        return self._left(i) + (self.image_shape[2] > 1 or self.convolutions[i].mask_type == "B")

    def _inputs(self, i: int) -> int:
        """Channels of the inputs of a convolution."""
        return self._channels[i]

    def _remembers(self, i: int) -> bool:
        """Whether the inputs of a convolution at the last pixel are needed again."""
        return self.image_shape[2] > 1 or self._left(i) > 0 or i in self.kept_rows

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        _, width, groups = self.image_shape
        shapes: dict[str, tuple[int, ...]] = {}
        for i in range(len(self.convolutions)):
            if self._remembers(i):
                shapes[f"pixel_{i}"] = (groups, self._inputs(i) // groups)
            if self._left(i):
                shapes[f"left_{i}"] = (self._left(i), self._inputs(i))
            if self.kept_rows.get(i, 0) > 1:
                shapes[f"above_{i}"] = (self.kept_rows[i] - 1, width, self._inputs(i))
        shapes["row"] = (width, sum(self._inputs(i) for i in self.kept_rows))
        shapes["part"] = (width * groups, sum(self.convolutions[i].filters for i in self.row_parts) // groups)
        return {name: tf.zeros([batch_size, *shape]) for name, shape in shapes.items()}

    def start_stage(
        self, level: int, state: State, stage: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        weights = self.step_weights() if weights is None else weights
        state = self._put_value(dict(state), x_previous, stage > 0, self.image_shape[2] - 1)
        row = tf.concat([state["row"][:, :-1], self._kept_pixel(state)[:, None]], axis=1)
        kept = tf.split(row, [self._inputs(i) for i in self.kept_rows], axis=-1)
        rows = {}
        for i, own in zip(self.kept_rows, kept, strict=True):
            above = [state[f"above_{i}"]] if f"above_{i}" in state else []
            rows[i] = tf.concat([*above, own[:, None]], axis=1)
            if above:
                state[f"above_{i}"] = rows[i][:, 1:]
        parts, state = self._from_above(rows, state, stage, weights)
        groups = self.image_shape[2]
        split = [tf.reshape(part, [-1, self.stages[0], part.shape[-1] // groups]) for part in parts]
        empty = {name: tf.zeros_like(t) for name, t in state.items() if name.startswith(("pixel", "left"))}
        return {**state, **empty, "row": row, "part": tf.concat(split, axis=-1)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        groups = self.image_shape[2]
        position = index % self.stages[0]
        state = self._put_value(dict(state), x_previous, position > 0, (index + groups - 1) % groups)
        state = self._move_on(state, position)
        sizes = [self.convolutions[i].filters // groups for i in self.row_parts]
        parts = tf.split(tf.gather(state["part"], position, axis=1), sizes, axis=-1)
        by_layer = dict(zip(self.row_parts, parts, strict=True))

        def convolve(i: int, inputs: Any) -> tf.Tensor:
            return self._convolve_pixel(i, inputs, state, index % groups, by_layer.get(i), weights)

        return self._follow(convolve, nonlinear, None)[:, None], state

    def _put_value(self, state: State, x: tf.Tensor, exists: tf.Tensor, channel: Any) -> State:
        """Writes the value that the step before decided into the pixel; zeros where there is none yet."""
        inputs = self._encode(tf.cast(x[:, 0], tf.float32)) * tf.cast(exists, tf.float32)
        state["pixel_0"] = self._insert(state["pixel_0"], inputs, channel)
        return state

    def _insert(self, pixel: tf.Tensor, new: tf.Tensor, channel: Any) -> tf.Tensor:
        """Replaces a group of `pixel [B, C, n]` by `new [B, n]`."""
        if self.image_shape[2] == 1:
            return new[:, None]
        chosen = tf.equal(tf.range(self.image_shape[2]), channel)
        return tf.where(chosen[None, :, None], new[:, None], pixel)

    def _kept_pixel(self, state: State) -> tf.Tensor:
        """What is kept by rows of the last pixel, `[B, sum of inputs]`."""
        pixels = [tf.reshape(state[f"pixel_{i}"], [-1, self._inputs(i)]) for i in self.kept_rows]
        return tf.concat(pixels, axis=-1)

    def _move_on(self, state: State, position: tf.Tensor) -> State:
        """Writes the pixel into its row; at the first channel of the next one, it becomes what is to the left.

        The row is only written here and only read when the next one starts, so that compiled loops update it in place. What is
        written of a pixel that is not complete is written again.
        """
        groups = self.image_shape[2]
        column = tf.maximum(position - 1, 0) // groups
        state["row"] = _write_column(state["row"], column, self._kept_pixel(state))
        for i in range(len(self.convolutions)):
            if self._left(i):
                left, pixel = state[f"left_{i}"], tf.reshape(state[f"pixel_{i}"], [-1, 1, self._inputs(i)])
                moved = tf.concat([left[:, 1:], pixel], axis=1)
                state[f"left_{i}"] = moved if groups == 1 else tf.where(position % groups > 0, left, moved)
        return state

    def _convolve_pixel(
        self, i: int, inputs: Any, state: State, channel: tf.Tensor, part: tf.Tensor | None, weights: Weights
    ) -> tf.Tensor:
        """The outputs of a convolution at this pixel for the group of a channel, `[B, filters / C]`."""
        pixel = state.get(f"pixel_{i}")
        if i > 0:
            pixel = self._insert(pixel, inputs, channel)
            if self._remembers(i):
                state[f"pixel_{i}"] = pixel
        taps = [tf.reshape(state[f"left_{i}"], [-1, self._left(i) * self._inputs(i)])] if self._left(i) else []
        if self._taps(i) > self._left(i):
            taps.append(tf.reshape(pixel, [-1, self._inputs(i)]))
        offset = self._of_channel(weights[f"bias_{i}"], channel) if part is None else part
        if not taps:
            return offset
        return offset + tf.matmul(tf.concat(taps, axis=-1), self._of_channel(weights[f"taps_{i}"], channel))

    def _by_channel(self, weights: tf.Tensor) -> tf.Tensor:
        """Puts the groups of filters, the last axis, on a first axis, one for each channel; one channel gets no axis.

        Were it there, every step would take it off again. That is free in itself, but on the CPU XLA fuses it into the matrix
        product of a single image, which it then compiles as a plain loop that takes four times as long.
        """
        groups = self.image_shape[2]
        return weights if groups == 1 else tf.stack(tf.split(weights, groups, axis=-1))

    def _of_channel(self, weights: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        return weights if self.image_shape[2] == 1 else tf.gather(weights, channel)


def nonlinear(name: str, features: tf.Tensor, num_groups: int = 1) -> tf.Tensor:
    """Applies "relu", or "gate": tanh(a) * sigmoid(b) of the halves of each group of features."""
    if name == "relu":
        return tf.nn.relu(features)
    half = features.shape[-1] // (2 * num_groups)
    lead = tf.shape(features)[:-1]
    halves = tf.reshape(features, tf.concat([lead, [num_groups, 2, half]], 0))
    values, gates = tf.unstack(halves, axis=-2)  # its gradient packs the halves; that of slices fills zeros for each
    return tf.reshape(tf.tanh(values) * tf.sigmoid(gates), tf.concat([lead, [num_groups * half]], 0))


def convolve_rows(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves `rows [B, R, W, n]` with a kernel of their height: one row `[B, W, filters]`, padded at its ends."""
    width = kernel.shape[1]
    padded = tf.pad(rows, [[0, 0], [0, 0], [width // 2, width - 1 - width // 2], [0, 0]])
    return tf.nn.conv2d(padded, kernel, 1, "VALID")[:, 0]


def as_float(variable: Any) -> tf.Tensor:
    """The value of a variable in float32; under mixed precision, inside a call, it has been rounded before."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def _write_column(row: tf.Tensor, column: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Writes `values [B, n]` into a column of `row [B, W, n]`."""
    batch = tf.range(tf.shape(row)[0])
    return tf.tensor_scatter_nd_update(row, tf.stack([batch, tf.zeros_like(batch) + column], -1), values)
