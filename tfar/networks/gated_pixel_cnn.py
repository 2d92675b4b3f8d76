"""The network of Gated PixelCNN: a vertical and a horizontal stack of gated convolutions."""

import itertools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks, random
from tfar.networks.base import TrainingPass, Weights
from tfar.networks.conditions import State
from tfar.networks.inputs import dropped, row_seeds, seeded_initializer
from tfar.networks.raster import Drop, RasterNetwork
from tfar.networks.raster_steps import Convolve, Nonlinear, as_float, convolve_rows, nonlinear


@keras.saving.register_keras_serializable("tfar")
class GatedPixelCNNNetwork(RasterNetwork):
    """Gated convolutions of two stacks: the vertical one sees all rows above, the horizontal one the row itself.

        a^v_l = conv(v_{l-1}) + V^v_l c,                        v_l = gate(a^v_l)
        a^h_l = conv_1xn(h_{l-1}) + U_l a^v_l + V^h_l c,        h_l = h_{l-1} + conv_1x1(gate(a^h_l))
        gate(a, b) = tanh(a) * sigmoid(b),                      params = out(relu(sum_l conv_1x1(gate(a^h_l))))

    c is a vector, or the place of a map that a pixel takes.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Features of each stack; twice as many before the gates.
        params_size: int. Parameters of a site.
        num_classes: None, or the number of classes of a site: its values are then scaled to -1 .. 1.
        one_hot: bool. Feed each class of a site as an input of its own.
        num_blocks, first_kernel_size, kernel_size, output_filters, dropout_rate, conditional_shape, condition_dropout,
            kernel_initializer, seed: see `tfar.GatedPixelCNN`.

    References:
        van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2 and figure 2.
        https://arxiv.org/abs/1606.05328
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        num_blocks: int = 10,
        first_kernel_size: tuple[int, int] = (7, 7),
        kernel_size: tuple[int, int] = (3, 3),
        output_filters: tuple[int, ...] = (),
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        condition_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, params_size, conditional_shape, **kwargs)
        self.filters, self.num_blocks = int(filters), int(num_blocks)
        self.first_kernel_size, self.kernel_size = tuple(first_kernel_size), tuple(kernel_size)
        self.output_filters, self.dropout_rate = tuple(output_filters), float(dropout_rate)
        self.condition_dropout = float(condition_dropout)
        self.row_parts: list[int] = []
        self.kept_rows = {0: self.first_kernel_size[0] // 2}
        self.vertical_layers: list[keras.layers.Layer] = []
        self.link_layers: list[keras.layers.Layer] = []
        self.condition_layers: dict[str, list[keras.layers.Layer]] = {name: [] for name in self._conditions}
        for block in range(self.num_blocks + 1):
            self._add_block(block)
        features = self.filters
        for number, width in enumerate(self.output_filters, start=1):
            self._add(f"output_{number}", features, width)
            features = width
        self._add("params", features, self.image_shape[2] * self.params_size)

    def _add_block(self, block: int) -> None:
        """Makes the layers of a block; the last has no residual connection, as nothing would follow it."""
        size, inputs = (self.kernel_size, self.filters) if block else (self.first_kernel_size, self._depth)
        height = size[0] // 2 + (block > 0)
        self.row_parts.append(len(self.convolutions))
        self._add(f"horizontal_{block}", inputs, 2 * self.filters, (1, size[1]), "B" if block else "A")
        self._add(f"skip_{block}", self.filters, self.filters)
        if block < self.num_blocks:
            self._add(f"residual_{block}", self.filters, self.filters)
        shared = {"dtype": self.dtype_policy, "kernel_initializer": self._initializer(block, 0)}
        vertical = keras.layers.Conv2D(2 * self.filters, (height, size[1]), name=f"vertical_{block}", **shared)
        self.vertical_layers.append(vertical)
        self.link_layers.append(self._dense(f"link_{block}", 2 * self.filters, self._initializer(block, 1)))
        for number, (name, layers) in enumerate(self.condition_layers.items(), start=2):
            layers.append(self._dense(f"{name}_{block}", 4 * self.filters, self._initializer(block, number)))

    def _dense(self, name: str, units: int, initializer: Any) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, use_bias=False, kernel_initializer=initializer, dtype=self.dtype_policy, name=name
        )

    def _initializer(self, block: int, number: int) -> Any:
        return seeded_initializer(self.kernel_initializer, self.seed, 10_000 + 100 * block + number)

    @property
    def _conditions(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of the condition: `(k,)` of a vector, `(H, W, k)` of a map."""
        shape = self.conditional_shape
        if isinstance(shape, Mapping):
            return {f"condition_{name}": tuple(shape[name]) for name in sorted(shape)}
        return {} if shape is None else {"condition": tuple(shape)}

    def _parts(self, conditional_input: Any) -> dict[str, tf.Tensor]:
        """The parts of a condition by the names of `_conditions`."""
        if isinstance(self.conditional_shape, Mapping):
            return {f"condition_{name}": conditional_input[name] for name in sorted(self.conditional_shape)}
        return dict.fromkeys(self._conditions, conditional_input)

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        super().build(input_shape)
        for block, (vertical, link) in enumerate(zip(self.vertical_layers, self.link_layers, strict=True)):
            vertical.build((None, None, None, self.filters if block else self._depth))
            link.build((None, 2 * self.filters))
            for name, layers in self.condition_layers.items():
                layers[block].build((None, self._conditions[name][-1]))

    # How they follow each other --------------------------------------------------------------------------------------

    def _follow(self, convolve: Convolve, nonlinear: Nonlinear, image: Any) -> Any:
        features, total = image, None
        for block, i in enumerate(self.row_parts):
            gated = nonlinear("gate", convolve(i, features))
            skipped = convolve(i + 1, gated)
            total = skipped if total is None else total + skipped
            if block < self.num_blocks:
                added = convolve(i + 2, gated)
                features = added if block == 0 else features + added
        for output in range(self.row_parts[-1] + 2, len(self.convolutions)):
            total = convolve(output, nonlinear("relu", total))
        return total

    def _above(self, image: tf.Tensor, conditional_input: Any, drop: Drop) -> dict[int, tf.Tensor]:
        above, features = {}, image[:, :-1]
        for block, i in enumerate(self.row_parts):
            up, (left, right) = self._rows_up(block), self._margins(block)
            before = self.vertical_layers[block](tf.pad(features, [[0, 0], [up, 0], [left, right], [0, 0]]))
            of_vertical, of_horizontal = self._condition(block, self._parts(conditional_input))
            before = before if of_vertical is None else before + of_vertical
            linked = self.link_layers[block](before)
            above[i] = linked if of_horizontal is None else linked + of_horizontal
            features = drop(nonlinear("gate", before))
        return above

    def _rows_up(self, block: int) -> int:
        """How many rows above its own (for the first block, its own left out) a vertical convolution reaches."""
        return (self.kernel_size if block else self.first_kernel_size)[0] // 2

    def _margins(self, block: int) -> tuple[int, int]:
        """How far a vertical convolution reaches to the left and to the right."""
        width = (self.kernel_size if block else self.first_kernel_size)[1]
        return width // 2, width - 1 - width // 2

    def _condition(self, block: int, parts: dict[str, tf.Tensor]) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """What a condition adds to both stacks, `[B, H, W, 2 filters]` or `[B, 1, 1, 2 filters]`; None for nothing."""
        total = None
        for name, part in parts.items():
            added = self.condition_layers[name][block](tf.cast(part, tf.float32))
            added = added if added.shape.rank == 4 else added[:, None, None]
            total = added if total is None else total + added
        return (None, None) if total is None else tuple(tf.split(total, 2, axis=-1))

    def _influences_from_above(self, sources: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        above, groups = {}, self.image_shape[2]
        for block, i in enumerate(self.row_parts):
            up, width = self._rows_up(block), (self.kernel_size if block else self.first_kernel_size)[1]
            mask = np.zeros((2 * up + 1, width, groups, groups), bool)
            mask[: up + (block > 0)] = True
            above[i] = sources = masks.convolved(sources, mask)
        return above

    # Training --------------------------------------------------------------------------------------------------------

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base: conditions of rows become zeros, and features of both stacks are dropped behind their gates."""
        numbers = itertools.count()

        def drop(gated: tf.Tensor) -> tf.Tensor:
            return dropped(gated, self.dropout_rate, seed, next(numbers))

        return TrainingPass(self._params(x, self._kept_condition(conditional_input, x, seed), drop))

    def _kept_condition(self, conditional_input: Any, x: Any, seed: tf.Tensor) -> Any:
        """The condition, zeros in a row with the probability `condition_dropout`."""
        if self.condition_dropout > 0.0 and conditional_input is not None:
            noise = random.uniform(row_seeds(seed, tf.shape(x)[0]), 1, random.Stream.CONDITION_DROPOUT)[:, 0]
            kept = tf.cast(noise >= self.condition_dropout, tf.float32)
            keep = lambda part: part * tf.reshape(kept, [-1] + [1] * (part.shape.rank - 1))  # noqa: E731
            return tf.nest.map_structure(keep, conditional_input)
        return conditional_input

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        weights = super().step_weights()
        for block, (vertical, link) in enumerate(zip(self.vertical_layers, self.link_layers, strict=True)):
            weights[f"vertical_{block}"] = as_float(vertical.kernel)
            weights[f"vertical_bias_{block}"] = as_float(vertical.bias)
            weights[f"link_{block}"] = as_float(link.kernel)
        return weights

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = super().start(batch_size)
        for block in range(1, self.num_blocks + 1):
            if self._rows_up(block):
                state[f"vertical_{block}"] = tf.zeros(
                    [batch_size, self._rows_up(block), self.image_shape[1], self.filters]
                )
        if self.conditional_shape is not None:
            state.update({name: tf.cast(part, tf.float32) for name, part in self._parts(conditional_input).items()})
        return state

    def _from_above(
        self, rows: dict[int, tf.Tensor], state: State, stage: tf.Tensor, weights: Weights
    ) -> tuple[list[tf.Tensor], State]:
        parts, above, own = [], rows[0], self._parts_of_row(state, stage)
        for block, i in enumerate(self.row_parts):
            of_vertical, of_horizontal = self._condition(block, own)
            before = convolve_rows(above, weights[f"vertical_{block}"]) + weights[f"vertical_bias_{block}"]
            before = before if of_vertical is None else before + as_float(of_vertical)[:, 0]
            part = tf.tensordot(before, weights[f"link_{block}"], 1) + tf.reshape(weights[f"bias_{i}"], [-1])
            parts.append(part if of_horizontal is None else part + as_float(of_horizontal)[:, 0])
            above, name = nonlinear("gate", before)[:, None], f"vertical_{block + 1}"
            if name in state:
                above = tf.concat([state[name], above], axis=1)
                state = {**state, name: above[:, 1:]}
        return parts, state

    def _parts_of_row(self, state: State, stage: tf.Tensor) -> dict[str, tf.Tensor]:
        """The condition of the pixels of a row: vectors, and a row of each map."""
        parts = {name: state[name] for name in self._conditions}
        return {name: t if t.shape.rank == 2 else tf.gather(t, [stage], axis=1) for name, t in parts.items()}

    def get_config(self) -> dict[str, Any]:
        sizes = ("first_kernel_size", "kernel_size", "output_filters")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in ("filters", "num_blocks", "dropout_rate", "condition_dropout")},
            **{name: list(getattr(self, name)) for name in sizes},
        }
