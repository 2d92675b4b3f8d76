"""What convolutional networks over images share: passes, steps and influences of one description.

The steps visit the pixels in raster order, and the channels of a pixel one after the other; a row is a stage. What a row gets
from the rows above it is computed for all its pixels when it starts. A step then adds what comes from the left and from the
pixel itself, for the group of features of its own channel, so that every feature is computed once.
"""

import abc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks
from tfar.layers import MaskedConv2D
from tfar.networks.base import AutoregressiveNetwork, State, Weights
from tfar.networks.inputs import SiteEncoding, seeded_initializer

Convolve = Callable[[int, Any], Any]
Nonlinear = Callable[[str, Any], Any]


class RasterNetwork(AutoregressiveNetwork, abc.ABC):
    """A network of causal convolutions over an image `[H, W]` or `[H, W, C]`, whose sites are its scalars in raster order.

    A subclass makes the causal `convolutions`, the first of which sees the image, says how they follow each other (`_follow`)
    and what a row gets from those above it (`_from_above`).

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        params_size: int. Parameters of a site.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        num_classes: None, or the number of classes of a site: its values are then scaled to -1 .. 1.
        one_hot: bool. Feed each class of a site as an input of its own.
        kernel_initializer: of all kernels; each gets a seed of its own.
        seed: int. Decides the initial weights.

    Attributes:
        image_shape: (H, W, C).
        convolutions: list of `MaskedConv2D` with C groups.
        row_parts: list of int. The convolutions to which `_from_above` adds something.
        kept_rows: dict of int to int. For convolutions whose inputs are kept by rows: how many rows above they reach.
    """

    convolutions: list[MaskedConv2D]
    row_parts: list[int]
    kept_rows: dict[int, int]
    way_out = (
        "Flip or turn the images, in training too, so that what is observed comes first in raster order; a MADE with "
        "order='random' and num_masks=None allows any pattern."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        params_size: int = 1,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, (), conditional_shape, **kwargs)
        height, width, channels = (*self.event_shape, 1)[:3]
        self.image_shape = (height, width, channels)
        self._params_size = int(params_size)
        self._encode = SiteEncoding((), num_classes, one_hot)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self.convolutions = []
        self._channels: list[int] = []

    def _add(
        self, name: str, inputs: int, filters: int, kernel_size: tuple[int, int] = (1, 1), mask_type: str = "B"
    ) -> None:
        """Makes the next convolution, for so many channels of inputs."""
        initializer = seeded_initializer(self.kernel_initializer, self.seed, len(self.convolutions))
        layer = MaskedConv2D(
            filters,
            kernel_size,
            mask_type,
            num_groups=self.image_shape[2],
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )
        self.convolutions.append(layer)
        self._channels.append(inputs)

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        for layer, channels in zip(self.convolutions, self._channels, strict=True):
            layer.build((None, *self.image_shape[:2], channels))
        self.built = True

    @property
    def params_size(self) -> int:
        return self._params_size

    @property
    def steps_per_stage(self) -> int:
        """Sites of a row."""
        return self.image_shape[1] * self.image_shape[2]

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

    # In parallel -----------------------------------------------------------------------------------------------------

    def _image(self, x: Any) -> tf.Tensor:
        """Inputs of the first convolution, `[B, H, W, C * inputs_per_site]`."""
        return tf.reshape(
            self._encode(tf.reshape(x, [-1, *self.image_shape])), [-1, *self.image_shape[:2], self._depth]
        )

    @property
    def _depth(self) -> int:
        return self.image_shape[2] * self._encode.inputs_per_site

    def _nonlinear(self, name: str, features: tf.Tensor) -> tf.Tensor:
        return nonlinear(name, features, self.image_shape[2])

    def _as_params(self, features: tf.Tensor) -> tf.Tensor:
        """Parameters of the sites, float32, from the outputs of the last convolution."""
        return tf.cast(tf.reshape(features, [-1, self.num_sites, self.params_size]), tf.float32)

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        image = self._image(x)
        above = self._above(image, conditional_input)

        def convolve(i: int, features: tf.Tensor) -> tf.Tensor:
            outputs = self.convolutions[i](features)
            return outputs + above[i] if i in above else outputs

        return self._as_params(self._follow(convolve, self._nonlinear, image))

    def _above(self, image: tf.Tensor, conditional_input: Any) -> dict[int, tf.Tensor]:
        """What is added to the outputs of convolutions from elsewhere, `[B, H, W, filters]` each."""
        return {}

    # Influences ------------------------------------------------------------------------------------------------------

    def connectivity(self, member: int = 0) -> NDArray[np.bool_]:
        """See the base: follows every site through the masks of all layers."""
        sources = np.eye(self.num_sites, dtype=bool).reshape(self.num_sites, *self.image_shape)
        return self._influences(sources).reshape(self.num_sites, self.num_sites)

    def _influences(self, sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which sites each of the sets of sites `[N, H, W, C]` influences, of the same shape."""
        above = self._influences_from_above(sources)

        def convolve(i: int, paths: NDArray[np.bool_]) -> NDArray[np.bool_]:
            reached = masks.convolved(paths, self.convolutions[i].group_mask)
            return reached | above[i] if i in above else reached

        return self._follow(convolve, lambda name, paths: paths, sources)

    def _influences_from_above(self, sources: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """As `_above`: which pixels the sources reach that way."""
        return {}

    def blind_sites(self) -> NDArray[np.int64]:
        """The sites but the first that see nothing of the image, which no parameter can make depend on it."""
        seen = self._influences(np.ones((1, *self.image_shape), bool)).reshape(-1)
        return 1 + np.flatnonzero(~seen[1:])

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        weights = {}
        for i, layer in enumerate(self.convolutions):
            kernel, groups = as_float(layer.kernel), self.image_shape[2]
            taps = kernel[layer.kernel_size[0] // 2, : self._taps(i)]
            if self._taps(i):
                taps = tf.reshape(taps, [-1, groups, layer.filters // groups])
                weights[f"taps_{i}"] = tf.transpose(taps, [1, 0, 2])
            weights[f"bias_{i}"] = tf.reshape(as_float(layer.bias), [groups, -1])
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
        self,
        batch_size: int | tf.Tensor,
        conditional_input: Any = None,
        length: int | None = None,
        order: Any = None,
        member: Any = None,
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
        self, state: State, stage: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
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
        split = [tf.reshape(part, [-1, self.steps_per_stage, part.shape[-1] // groups]) for part in parts]
        empty = {name: tf.zeros_like(t) for name, t in state.items() if name.startswith(("pixel", "left"))}
        return {**state, **empty, "row": row, "part": tf.concat(split, axis=-1)}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        groups = self.image_shape[2]
        position = index % self.steps_per_stage
        state = self._put_value(dict(state), x_previous, position > 0, (index + groups - 1) % groups)
        state = self._move_on(state, position)
        sizes = [self.convolutions[i].filters // groups for i in self.row_parts]
        parts = tf.split(tf.gather(state["part"], position, axis=1), sizes, axis=-1)
        by_layer = dict(zip(self.row_parts, parts, strict=True))

        def convolve(i: int, inputs: Any) -> tf.Tensor:
            return self._convolve_pixel(i, inputs, state, index % groups, by_layer.get(i), weights)

        return self._follow(convolve, nonlinear, None), state

    def _put_value(self, state: State, x: tf.Tensor, exists: tf.Tensor, channel: Any) -> State:
        """Writes the value that the step before decided into the pixel; zeros where there is none yet."""
        inputs = self._encode(tf.cast(x, tf.float32)) * tf.cast(exists, tf.float32)
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

    def _of_channel(self, weights: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        return weights[0] if self.image_shape[2] == 1 else tf.gather(weights, channel)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["site_shape"]
        names = ("params_size", "num_classes", "one_hot", "seed")
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**config, **{name: getattr(self, name) for name in names}, "kernel_initializer": initializer}


def nonlinear(name: str, features: tf.Tensor, num_groups: int = 1) -> tf.Tensor:
    """Applies "relu", or "gate": tanh(a) * sigmoid(b) of the halves of each group of features."""
    if name == "relu":
        return tf.nn.relu(features)
    half = features.shape[-1] // (2 * num_groups)
    lead = tf.shape(features)[:-1]
    halves = tf.reshape(features, tf.concat([lead, [num_groups, 2, half]], 0))
    gated = tf.tanh(halves[..., 0, :]) * tf.sigmoid(halves[..., 1, :])
    return tf.reshape(gated, tf.concat([lead, [num_groups * half]], 0))


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
